//! What the API server refuses, each with a sentence that says what to write.

use crate::world::{World, mysql, sqlite, with};
use crds::{GoodsService, InventoryService};
use serde_json::{Value, json};

async fn refused(world: &World, name: &str, spec: Value) -> String {
    let answer = world.apply::<InventoryService>(name, json!({"spec": spec})).await;
    answer.err().unwrap_or_else(|| panic!("{name} was accepted"))
}

#[track_caller]
fn says(answer: &str, words: &[&str]) {
    for words in words {
        assert!(answer.contains(words), "{answer:?} does not say {words:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spec_without_a_database_or_with_two_is_refused() {
    let world = World::without_operator("refusals-database").await;
    let tls = json!({"tls": {"mode": "disabled"}});
    says(
        &refused(&world, "none", tls.clone()).await,
        &["write database: {sqlite: {}}", "mysql: {urlSecretRef:"],
    );
    let empty = with(tls.clone(), json!({"database": {}}));
    says(
        &refused(&world, "empty", empty).await,
        &["spec.database", "exactly one of sqlite and mysql"],
    );
    let both = json!({"database": {"sqlite": {}, "mysql": {"urlSecretRef": {"name": "x"}}}});
    says(&refused(&world, "both", with(tls, both)).await, &["exactly one of sqlite and mysql"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_size_that_no_volume_can_have_is_refused() {
    let world = World::without_operator("refusals-size").await;
    let sized = |size: &str| with(sqlite(), json!({"database": {"sqlite": {"size": size}}}));
    for size in ["10GB", "1GiB", "0", "-1Gi", "much"] {
        says(&refused(&world, "inventory", sized(size)).await, &["spec.database.sqlite", "1Gi"]);
    }
    for (name, size) in [("one", "1Gi"), ("two", "500M"), ("three", "1.5Gi")] {
        world.inventory(name, sized(size)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_secret_that_stands_twice_is_refused() {
    let world = World::without_operator("refusals-twice").await;
    let twice = json!({"imagePullSecrets": [{"name": "a"}, {"name": "b"}, {"name": "a"}]});
    says(
        &refused(&world, "inventory", with(sqlite(), twice)).await,
        &["spec.imagePullSecrets", "duplicate entries"],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn which_database_cannot_be_changed() {
    let world = World::without_operator("refusals-move").await;
    world.inventory("inventory", sqlite()).await;
    says(&refused(&world, "inventory", mysql(1)).await, &["cannot be changed", "another name"]);
    let larger = with(sqlite(), json!({"database": {"sqlite": {"size": "2Gi"}}}));
    says(&refused(&world, "inventory", larger).await, &["editing its PersistentVolumeClaim"]);
    world.inventory("server", mysql(1)).await;
    says(&refused(&world, "server", sqlite()).await, &["cannot be changed"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn more_than_one_pod_on_sqlite_is_refused_also_by_kubectl_scale() {
    let world = World::without_operator("refusals-replicas").await;
    let three = with(sqlite(), json!({"replicas": 3}));
    says(&refused(&world, "inventory", three).await, &["replicas: 1", "database.mysql"]);
    world.inventory("inventory", with(sqlite(), json!({"replicas": 0}))).await;
    let scale = ["scale", "inv", "inventory", "--replicas=2", "-n", &world.namespace];
    let answer = testkit::ControlPlane::shared().kubectl(&scale).unwrap_err();
    says(&format!("{answer:#}"), &["replicas: 1"]);
    world.inventory("server", mysql(1)).await;
    let scale = ["scale", "inv", "server", "--replicas=2", "-n", &world.namespace];
    testkit::ControlPlane::shared().kubectl(&scale).unwrap();
    let negative = with(mysql(1), json!({"replicas": -1}));
    says(
        &refused(&world, "negative", negative).await,
        &["spec.replicas", "greater than or equal to 0"],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_redis_lock_without_a_redis_is_refused() {
    let world = World::without_operator("refusals-redis").await;
    let lock = json!({"config": {"lockStrategy": "redisLock"}});
    says(
        &refused(&world, "inventory", with(mysql(1), lock.clone())).await,
        &["write redis: {urlSecretRef:"],
    );
    let redis = with(mysql(1), json!({"redis": {"urlSecretRef": {"name": "redis"}}}));
    world.inventory("inventory", with(redis, lock)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_must_be_written_out_and_can_only_be_disabled() {
    let world = World::without_operator("refusals-tls").await;
    let bare = json!({"database": {"sqlite": {}}});
    says(&refused(&world, "inventory", bare.clone()).await, &["write tls: {mode: disabled}"]);
    let answer =
        refused(&world, "inventory", with(bare.clone(), json!({"tls": {"mode": "mutual"}}))).await;
    says(&answer, &["spec.tls.mode", "supported values: \"disabled\""]);
    says(
        &refused(&world, "inventory", with(bare, json!({"tls": {}}))).await,
        &["spec.tls.mode", "Required"],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_cannot_be_a_services_is_refused() {
    let world = World::without_operator("refusals-name").await;
    let long = "a".repeat(51);
    for name in ["1st", "in.ventory", &long] {
        says(
            &refused(&world, name, sqlite()).await,
            &["metadata.name", "at most 50 lowercase letters"],
        );
    }
    world.inventory(&"a".repeat(50), sqlite()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_that_no_pod_would_take_is_refused() {
    let world = World::without_operator("refusals-config").await;
    let refuse = async |config: Value| {
        refused(&world, "inventory", with(sqlite(), json!({"config": config}))).await
    };
    says(
        &refuse(json!({"lockStrategy": "hope"})).await,
        &["spec.config.lockStrategy", "\"rowLock\""],
    );
    says(
        &refuse(json!({"restart": {"grpcPort": 80}})).await,
        &["spec.config.restart.grpcPort", "1024"],
    );
    says(&refuse(json!({"restart": {"grpcPort": 9090}})).await, &["must differ", "two ports"]);
    says(&refuse(json!({"restart": {"adminPort": 50051}})).await, &["must differ"]);
    says(
        &refuse(json!({"redisLock": {"ttlMilliseconds": 40000}})).await,
        &["maxHoldMilliseconds must be at least"],
    );
    says(
        &refuse(json!({"limits": {"callsInFlight": 0}})).await,
        &["spec.config.limits.callsInFlight", "1"],
    );
    let resources = with(sqlite(), json!({"resources": {"requests": {"cpu": "much"}}}));
    says(&refused(&world, "inventory", resources).await, &["spec.resources.requests.cpu"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stored_resource_carries_no_default_of_its_configuration() {
    let world = World::without_operator("refusals-defaults").await;
    let config = json!({"config": {"limits": {"callsInFlight": 7}}});
    world.inventory("inventory", with(sqlite(), config.clone())).await;
    world.apply::<GoodsService>("goods", json!({"spec": sqlite()})).await.unwrap();
    let control_plane = testkit::ControlPlane::shared();
    let read = |kind: &str, name: &str| -> Value {
        let text = control_plane
            .kubectl(&["get", kind, name, "-n", &world.namespace, "-o", "json"])
            .unwrap();
        serde_json::from_str::<Value>(&text).unwrap()["spec"].clone()
    };
    let inventory = read("inv", "inventory");
    assert_eq!(inventory["config"], config["config"]);
    assert_eq!(inventory["replicas"], 1);
    assert_eq!(inventory["database"], json!({"sqlite": {"size": "1Gi"}}));
    assert!(read("gs", "goods").get("config").is_none());
    let table = control_plane.kubectl(&["get", "shop", "-n", &world.namespace]).unwrap();
    says(
        &table,
        &["READY", "REPLICAS", "APPLIED", "REVISION", "ENDPOINT", "AGE", "inventory", "goods"],
    );
}
