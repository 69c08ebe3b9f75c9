//! Every field of the workload reaches a child, and leaves it again.

use crate::world::{INVENTORY_IMAGE, World, mysql, with};
use crds::{
    Database, GoodsServiceSpec, InventoryServiceSpec, MySql, Redis, Resources, SecretKey, Sqlite,
    Tls, Workload,
};
use k8s_openapi::api::apps::v1::Deployment;
use serde_json::{Value, json};

/// A field that is added to a spec does not compile here until it is named, and with it goes a line that shows where it
/// ends up: in [`every_field_of_the_workload_reaches_a_child`], or in the test that is named beside it.
#[expect(dead_code, reason = "that it compiles is what it is for")]
fn every_field_of_a_spec_is_named(inventory: InventoryServiceSpec, goods: GoodsServiceSpec) {
    let InventoryServiceSpec { workload, redis, config: _config } = inventory;
    let GoodsServiceSpec { workload: _, config: _ } = goods;
    let Workload { image: _, replicas: _, image_pull_secrets: _, resources, database, tls, paused } =
        workload;
    let Some(Resources { requests: _, limits: _ }) = resources else { return };
    let Database { sqlite, mysql } = database;
    // children.rs: the_volume_is_made_once_and_outlives_its_custom_resource
    let Some(Sqlite { size: _, storage_class_name: _ }) = sqlite else { return };
    let Some(MySql { url_secret_ref: SecretKey { name: _, key: _ } }) = mysql else { return };
    let Some(Redis { url_secret_ref: SecretKey { name: _, key: _ } }) = redis else { return };
    // refusals.rs: tls_must_be_written_out_and_can_only_be_disabled
    let Tls { mode: _ } = tls;
    // status.rs: while_paused_nothing_changes_but_the_status
    let _: bool = paused;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_field_of_the_workload_reaches_a_child() {
    let world = World::new("children-fields").await;
    world.inventory("inventory", mysql(2)).await;
    let pod = |deployment: &Deployment| {
        serde_json::to_value(deployment).unwrap()["spec"]["template"]["spec"].clone()
    };
    let first = world.until_there::<Deployment>("inventory").await;
    assert_eq!(pod(&first)["containers"][0]["image"], INVENTORY_IMAGE);
    assert_eq!(pod(&first)["initContainers"][0]["args"], json!(["migrate"]));
    let changed = async |more: Value, pointer: &str, expected: Value| {
        world.inventory("inventory", with(mysql(2), more)).await;
        let at = |deployment: &Deployment| {
            serde_json::to_value(deployment).unwrap().pointer(pointer).cloned()
        };
        world.until_is::<Deployment>("inventory", |now| at(now).as_ref() == Some(&expected)).await;
    };
    let template = "/spec/template/spec";
    let at = |path: &str| format!("{template}/{path}");
    let image = json!({"image": "registry.example/inventory-srv:2"});
    changed(image.clone(), &at("containers/0/image"), image["image"].clone()).await;
    changed(image.clone(), &at("initContainers/0/image"), image["image"].clone()).await;
    changed(json!({"replicas": 4}), "/spec/replicas", json!(4)).await;
    let pull = json!([{"name": "pull"}]);
    changed(json!({"imagePullSecrets": pull}), &at("imagePullSecrets"), pull).await;
    let resources = json!({"requests": {"cpu": 1}, "limits": {"memory": "1Gi"}});
    let written = json!({"requests": {"cpu": "1"}, "limits": {"memory": "1Gi"}});
    changed(json!({"resources": resources}), &at("containers/0/resources"), written).await;
    let mounted = |name: &str, key: &str| {
        let items = json!([{"key": key, "path": "url"}]);
        json!({"secretName": name, "items": items, "defaultMode": 288, "optional": true})
    };
    let database = json!({"mysql": {"urlSecretRef": {"name": "other", "key": "dsn"}}});
    changed(json!({"database": database}), &at("volumes/2/secret"), mounted("other", "dsn")).await;
    let redis = json!({"urlSecretRef": {"name": "redis"}});
    changed(json!({"redis": redis}), &at("volumes/3/secret"), mounted("redis", "url")).await;
    let restart = |fields: Value| json!({"config": {"restart": fields}});
    let drain = restart(json!({"drainDelaySeconds": 1, "drainSeconds": 2}));
    changed(drain, &at("terminationGracePeriodSeconds"), json!(18)).await;
    let port = |number: u32| at(&format!("containers/0/ports/{number}/containerPort"));
    changed(restart(json!({"grpcPort": 6000})), &port(0), json!(6000)).await;
    changed(restart(json!({"adminPort": 6001})), &port(1), json!(6001)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_field_that_leaves_the_spec_leaves_the_child() {
    let world = World::new("fields-leave").await;
    let secrets = |deployment: &Deployment| {
        let pod = deployment.spec.as_ref().and_then(|spec| spec.template.spec.clone());
        pod.and_then(|pod| pod.image_pull_secrets).unwrap_or_default().len()
    };
    world
        .inventory("inventory", with(mysql(2), json!({"imagePullSecrets": [{"name": "pull"}]})))
        .await;
    world.until_is::<Deployment>("inventory", |now| secrets(now) == 1).await;
    world.until_quiet().await;
    // Nothing else changes: every field that is still asked for stands already.
    world.inventory("inventory", mysql(2)).await;
    world.until_is::<Deployment>("inventory", |now| secrets(now) == 0).await;
}
