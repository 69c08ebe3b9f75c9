//! Children that come back as others than they were, and what must follow from that.

use crate::world::{World, mysql, sqlite};
use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{PersistentVolumeClaim, ServiceAccount},
};
use kube::{
    ResourceExt,
    api::{DeleteParams, Patch, PatchParams},
};
use serde_json::json;

/// The account that the pods of this Deployment run under.
fn account(deployment: &Deployment) -> Option<String> {
    let template = &deployment.spec.as_ref()?.template;
    template.metadata.as_ref()?.annotations.as_ref()?.get("shopkeeper.dev/account").cloned()
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_whose_account_was_made_again_are_replaced_because_their_token_is_dead() {
    let world = World::new("replaced-account").await;
    world.inventory("inventory", mysql(2)).await;
    let deployment = world.until_there::<Deployment>("inventory").await;
    let before = world.until_there::<ServiceAccount>("inventory").await;
    assert_eq!(account(&deployment), before.uid());
    world.until_quiet().await;
    world.api::<ServiceAccount>().delete("inventory", &DeleteParams::default()).await.unwrap();
    let after =
        world.until_is::<ServiceAccount>("inventory", |now| now.uid() != before.uid()).await;
    world.until_is::<Deployment>("inventory", |now| account(now) == after.uid()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_that_goes_after_its_pod_comes_back_without_anything_else_happening() {
    let world = World::new("replaced-claim").await;
    world.inventory("inventory", sqlite()).await;
    world.until_there::<Deployment>("inventory").await;
    let claims = world.api::<PersistentVolumeClaim>();
    let before = world.until_there::<PersistentVolumeClaim>("inventory-data").await;
    // Kubernetes keeps a claim until no pod uses it; here the test does.
    claims.delete("inventory-data", &DeleteParams::default()).await.unwrap();
    let going = world.until_there::<PersistentVolumeClaim>("inventory-data").await;
    assert!(going.metadata.deletion_timestamp.is_some(), "nothing keeps the claim");
    // Its pod ends, which the operator sees, and only then the claim goes, which it does not see.
    world.make_pod("inventory", "inventory-a").await;
    world.delete_pod("inventory-a").await;
    world.until_quiet().await;
    let free = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    claims.patch("inventory-data", &PatchParams::default(), &free).await.unwrap();
    world
        .until_is::<PersistentVolumeClaim>("inventory-data", |now| now.uid() != before.uid())
        .await;
}
