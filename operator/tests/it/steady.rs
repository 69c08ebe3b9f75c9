//! When nothing changes, nothing is written; what a restart or a conflict interrupts, is finished.

use crate::world::{OPERATOR, World, mysql, sqlite, with};
use crds::InventoryService;
use k8s_openapi::api::apps::v1::Deployment;
use kube::api::{Patch, PatchParams};
use serde_json::json;
use std::time::Duration;

/// How long nothing may be written. A whole minute is counted on a node; here every trigger is pulled instead.
const STEADY: Duration = Duration::from_secs(3);

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_written_at_steady_state_and_by_a_new_operator() {
    let mut world = World::new("steady").await;
    // Amounts as people write them, which the API server rewrites.
    let amounts = json!({"requests": {"cpu": "0.5", "memory": "1024Mi"}, "limits": {"cpu": 2}});
    let amounts = json!({"resources": amounts});
    let spec = with(mysql(2), amounts);
    world.inventory("inventory", spec.clone()).await;
    world.goods("goods", sqlite()).await;
    world.until_there::<Deployment>("goods").await;
    world.serving("inventory", 2).await;
    world
        .until_is::<InventoryService>("inventory", |service| {
            let config = service.status.as_ref().and_then(|status| status.config.as_ref());
            config.is_some_and(|config| config.applied == "2/2")
        })
        .await;
    world.until_quiet().await;
    let mark = world.mark();
    // Touches every watch without changing anything of ours.
    let label = Patch::Merge(json!({"metadata": {"labels": {"touched": "yes"}}}));
    let parameters = PatchParams::default();
    world.api::<Deployment>().patch("inventory", &parameters, &label).await.unwrap();
    world
        .api::<k8s_openapi::api::core::v1::Service>()
        .patch("inventory", &parameters, &label)
        .await
        .unwrap();
    world
        .api::<k8s_openapi::api::core::v1::ConfigMap>()
        .patch("inventory-config", &parameters, &label)
        .await
        .unwrap();
    world.api::<InventoryService>().patch("inventory", &parameters, &label).await.unwrap();
    tokio::time::sleep(STEADY).await;
    assert_eq!(world.writes_since(mark), [], "{OPERATOR} wrote at steady state");
    // Another operator of the same version finds nothing to do.
    world.stop_operator().await;
    world.start_operator().await;
    world
        .until("the operator is ready", || async {
            world.readiness.unready().is_none().then_some(())
        })
        .await;
    tokio::time::sleep(STEADY).await;
    assert_eq!(world.writes_since(mark), [], "a restarted operator wrote");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_changed_while_no_operator_ran_is_put_right_by_the_next() {
    let mut world = World::new("steady-away").await;
    world.inventory("inventory", mysql(2)).await;
    world.until_there::<Deployment>("inventory").await;
    world.until_quiet().await;
    world.stop_operator().await;
    world.api::<Deployment>().delete("inventory", &Default::default()).await.unwrap();
    let wide = Patch::Merge(
        json!({"rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]}]}),
    );
    let roles = world.api::<k8s_openapi::api::rbac::v1::Role>();
    roles.patch("inventory", &PatchParams::default(), &wide).await.unwrap();
    world.start_operator().await;
    world.until_there::<Deployment>("inventory").await;
    world
        .until_is::<k8s_openapi::api::rbac::v1::Role>("inventory", |role| {
            role.rules.as_ref().is_some_and(|rules| rules.len() == 2)
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_of_changes_ends_at_the_last_one() {
    let world = World::new("steady-burst").await;
    world.inventory("inventory", mysql(1)).await;
    for replicas in 2..=20 {
        let config = json!({"config": {"limits": {"callsInFlight": replicas}}});
        world.inventory("inventory", with(mysql(replicas), config)).await;
    }
    world
        .until_is::<Deployment>("inventory", |now| now.spec.as_ref().unwrap().replicas == Some(20))
        .await;
    let config = world
        .until_is::<k8s_openapi::api::core::v1::ConfigMap>("inventory-config", |now| {
            now.data.as_ref().unwrap()["config.yaml"].contains("callsInFlight: 20\n")
        })
        .await;
    let revision = &config.data.unwrap()["revision"];
    let number: i64 = revision.split_once('-').unwrap().0.parse().unwrap();
    assert!((2..=20).contains(&number), "{revision}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_looks_after_its_namespaces_and_no_other() {
    let mut one = World::without_operator("steady-one").await;
    let two = World::without_operator("steady-two").await;
    let other = World::without_operator("steady-other").await;
    for world in [&one, &two, &other] {
        world.inventory("inventory", sqlite()).await;
    }
    let namespaces = vec![one.namespace.clone(), two.namespace.clone()];
    let client = one.operators_client().await;
    one.start_operator_for(client, namespaces).await;
    one.until_there::<Deployment>("inventory").await;
    two.until_there::<Deployment>("inventory").await;
    one.until("it is ready", || async { one.readiness.unready().is_none().then_some(()) }).await;
    two.until_quiet().await;
    assert!(other.api::<Deployment>().get_opt("inventory").await.unwrap().is_none());
    assert!(other.until_there::<InventoryService>("inventory").await.status.is_none());
}
