//! A change of configuration: one revision, no restart; or a restart and nothing else.

use crate::world::{World, mysql, sqlite, with};
use crds::InventoryService;
use k8s_openapi::api::{apps::v1::Deployment, core::v1::ConfigMap};
use kube::{
    ResourceExt,
    api::{DeleteParams, Patch, PatchParams},
};
use serde_json::{Value, json};

fn revision(config_map: &ConfigMap) -> &str {
    &config_map.data.as_ref().unwrap()["revision"]
}

fn number(config_map: &ConfigMap) -> i64 {
    revision(config_map).split_once('-').unwrap().0.parse().unwrap()
}

fn template(deployment: &Deployment) -> Value {
    serde_json::to_value(&deployment.spec.as_ref().unwrap().template).unwrap()
}

fn configured(config: Value) -> Value {
    with(mysql(2), json!({"config": config}))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hot_change_is_one_new_revision_and_touches_no_pod() {
    let world = World::new("config-hot").await;
    world.inventory("inventory", configured(json!({}))).await;
    let deployment = world.until_there::<Deployment>("inventory").await;
    world.until_quiet().await;
    let before = world.until_there::<ConfigMap>("inventory-config").await;
    assert_eq!(number(&before), 1);
    let mark = world.mark();
    world
        .inventory("inventory", configured(json!({"logLevel": "debug", "lockStrategy": "rowLock"})))
        .await;
    let after = world
        .until_is::<ConfigMap>("inventory-config", |now| revision(now) != revision(&before))
        .await;
    let text = &after.data.as_ref().unwrap()["config.yaml"];
    assert!(text.contains("logLevel: debug") && text.contains("lockStrategy: rowLock"), "{text}");
    world.until_quiet().await;
    let after = world.until_there::<ConfigMap>("inventory-config").await;
    assert_eq!(number(&after), 2, "the revision grew by more than one");
    let now = world.until_there::<Deployment>("inventory").await;
    assert_eq!(now.resource_version(), deployment.resource_version(), "the Deployment was written");
    let children: Vec<_> = world
        .writes_since(mark)
        .into_iter()
        .filter(|write| write.resource != "inventoryservices/status" && write.resource != "events")
        .collect();
    assert_eq!(children.len(), 1, "{children:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_number_goes_on_after_the_config_map_was_lost() {
    let world = World::new("config-not-owned").await;
    for level in ["debug", "info"] {
        world.inventory("inventory", configured(json!({"logLevel": level}))).await;
        let is_told = format!("logLevel: {level}");
        world
            .until_is::<ConfigMap>("inventory-config", |now| {
                now.data.as_ref().unwrap()["config.yaml"].contains(&is_told)
            })
            .await;
    }
    world.until_quiet().await;
    let before = world.until_there::<ConfigMap>("inventory-config").await;
    assert_eq!(number(&before), 2);
    // As after a restored backup: it is there and nobody's, and the condition says to delete it.
    let config_maps = world.api::<ConfigMap>();
    let nobodys = Patch::Merge(json!({"metadata": {"ownerReferences": null}}));
    config_maps.patch("inventory-config", &PatchParams::default(), &nobodys).await.unwrap();
    let has_conflict = |service: &InventoryService| {
        let conditions = service.status.iter().flat_map(|status| &status.conditions);
        conditions.into_iter().any(|condition| condition.reason == "NameConflict")
    };
    world.until_is::<InventoryService>("inventory", has_conflict).await;
    // What cannot be written is not told as applied.
    let spec = configured(json!({"logLevel": "error"}));
    let asked = world.inventory("inventory", spec).await.metadata.generation;
    let service = world
        .until_is::<InventoryService>("inventory", |service| {
            service.status.as_ref().is_some_and(|status| status.observed_generation == asked)
        })
        .await;
    for kind in ["Progressing", "ConfigApplied"] {
        let conditions = &service.status.as_ref().unwrap().conditions;
        let told = conditions.iter().find(|condition| condition.type_ == kind).unwrap();
        assert_eq!((&*told.status, &*told.reason), ("False", "NameConflict"), "{told:?}");
    }
    config_maps.delete("inventory-config", &DeleteParams::default()).await.unwrap();
    world.inventory("inventory", configured(json!({"logLevel": "warn"}))).await;
    let after = world
        .until_is::<ConfigMap>("inventory-config", |now| {
            now.data.as_ref().unwrap()["config.yaml"].contains("logLevel: warn")
        })
        .await;
    assert!(
        number(&after) > 2,
        "{} after {}: no pod takes that",
        revision(&after),
        revision(&before)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_that_returns_gets_a_new_number() {
    let world = World::new("config-returns").await;
    let mut seen = Vec::new();
    for level in ["info", "debug", "info", "debug"] {
        world.inventory("inventory", configured(json!({"logLevel": level}))).await;
        let config_map = world
            .until_is::<ConfigMap>("inventory-config", |now| {
                now.data.as_ref().unwrap()["config.yaml"].contains(&format!("logLevel: {level}"))
            })
            .await;
        seen.push(revision(&config_map).to_owned());
    }
    let [a, b, c, d] = [0, 1, 2, 3].map(|i| seen[i].split_once('-').unwrap());
    assert_eq!([a.0, b.0, c.0, d.0], ["1", "2", "3", "4"]);
    assert_eq!((a.1, b.1), (c.1, d.1));
    assert_ne!(a.1, b.1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spec_that_renders_the_same_is_the_same_revision() {
    let world = World::new("config-same").await;
    world.inventory("inventory", sqlite()).await;
    let before = world.until_there::<ConfigMap>("inventory-config").await;
    world.until_quiet().await;
    // The default, written out.
    world.inventory("inventory", with(sqlite(), json!({"config": {"logLevel": "info"}}))).await;
    world.until_quiet().await;
    let after = world.until_there::<ConfigMap>("inventory-config").await;
    assert_eq!(after.resource_version(), before.resource_version());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_field_changes_the_template_by_its_annotation_alone() {
    let world = World::new("config-restart").await;
    world.inventory("inventory", configured(json!({}))).await;
    let before = template(&world.until_there::<Deployment>("inventory").await);
    world.inventory("inventory", configured(json!({"restart": {"databaseConnections": 3}}))).await;
    let after = world.until_is::<Deployment>("inventory", |now| template(now) != before).await;
    let mut after = template(&after);
    let annotation = &mut after["metadata"]["annotations"]["shopkeeper.dev/restart-hash"];
    assert_ne!(*annotation, before["metadata"]["annotations"]["shopkeeper.dev/restart-hash"]);
    *annotation = before["metadata"]["annotations"]["shopkeeper.dev/restart-hash"].clone();
    assert_eq!(after, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_number_survives_the_loss_of_the_configmap_and_of_the_operator() {
    let mut world = World::new("config-not-ours").await;
    for level in ["info", "debug", "warn"] {
        world.inventory("inventory", configured(json!({"logLevel": level}))).await;
        world
            .until_is::<ConfigMap>("inventory-config", |now| {
                now.data.as_ref().unwrap()["config.yaml"].contains(&format!("logLevel: {level}"))
            })
            .await;
    }
    world.until_quiet().await;
    world.stop_operator().await;
    world.api::<ConfigMap>().delete("inventory-config", &Default::default()).await.unwrap();
    world.inventory("inventory", configured(json!({"logLevel": "error"}))).await;
    world.start_operator().await;
    let again = world.until_there::<ConfigMap>("inventory-config").await;
    assert_eq!(number(&again), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_number_of_shards_follows_the_replicas_without_a_new_revision() {
    let world = World::new("config-shards").await;
    world.inventory("inventory", mysql(1)).await;
    let before = world.until_there::<ConfigMap>("inventory-config").await;
    assert_eq!(before.data.as_ref().unwrap()["acknowledgement-shards"], "1");
    world.inventory("inventory", mysql(9)).await;
    let after = world
        .until_is::<ConfigMap>("inventory-config", |now| {
            now.data.as_ref().unwrap()["acknowledgement-shards"] == "3"
        })
        .await;
    assert_eq!(revision(&after), revision(&before));
    let role = world.until_there::<k8s_openapi::api::rbac::v1::Role>("inventory").await;
    let named = role.rules.unwrap()[1].resource_names.clone().unwrap();
    assert_eq!(
        named,
        ["inventory-config-acks-0", "inventory-config-acks-1", "inventory-config-acks-2"]
    );
}
