//! With Kubernetes' own controllers: what the tests elsewhere play, as it really is. A control plane of its own, on
//! which no custom resource is known at first.

use crate::world::{GOODS_IMAGE, INVENTORY_IMAGE, client, named, sqlite};
use crds::InventoryService;
use k8s_openapi::{
    api::{
        apps::v1::Deployment,
        core::v1::{ConfigMap, Namespace, PersistentVolumeClaim, Pod},
        discovery::v1::EndpointSlice,
    },
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api, Client,
    api::{DynamicObject, ListParams, Patch, PatchParams, PostParams},
};
use operator::Options;
use serde_json::json;
use srv_runtime::Metrics;
use std::{path::Path, time::Duration};
use testkit::ControlPlane;

const PATIENCE: Duration = Duration::from_secs(60);

async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = std::time::Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(std::time::Instant::now() < deadline, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn shop<K>(client: &Client) -> Api<K>
where
    K: kube::Resource<Scope = kube::core::NamespaceResourceScope, DynamicType = ()>,
{
    Api::namespaced(client.clone(), "shop")
}

/// Applies an InventoryService of one pod on SQLite.
async fn apply(client: &Client) {
    let service = json!({
        "apiVersion": "shopkeeper.dev/v1alpha1", "kind": "InventoryService",
        "metadata": {"name": "inventory"}, "spec": sqlite(),
    });
    let parameters = PatchParams::apply("user").force();
    shop::<InventoryService>(client)
        .patch("inventory", &parameters, &Patch::Apply(service))
        .await
        .unwrap();
}

/// Kubernetes makes a pod, and endpoints that carry the labels by which the operator finds them.
async fn pods_and_endpoints_come(client: &Client) {
    apply(client).await;
    let selector = ListParams::default()
        .labels("app.kubernetes.io/managed-by=shopkeeper,app.kubernetes.io/component=inventory");
    until("a pod", async || shop::<Pod>(client).list(&selector).await.unwrap().items.pop()).await;
    until("endpoints of both Services", async || {
        let slices = shop::<EndpointSlice>(client).list(&selector).await.unwrap();
        (slices.items.len() == 2).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_waits_for_its_definitions_and_its_children_live_and_die_with_their_owner() {
    let control_plane =
        tokio::task::spawn_blocking(|| ControlPlane::options().controllers().start().unwrap())
            .await
            .unwrap();
    let client = client(control_plane.kubeconfig()).await;
    let namespace = Namespace { metadata: named("shop"), ..Namespace::default() };
    Api::all(client.clone()).create(&PostParams::default(), &namespace).await.unwrap();
    let readiness = operator::readiness();
    let options = Options {
        goods_image: GOODS_IMAGE.into(),
        inventory_image: INVENTORY_IMAGE.into(),
        namespaces: Vec::new(),
    };
    let metrics = Metrics::new("operator");
    let operator = tokio::spawn(operator::run(
        client.clone(),
        options,
        readiness.clone(),
        metrics.clone(),
        std::future::pending(),
    ));

    // It says which definition it waits for, and goes on by itself when it comes.
    until("the operator misses the CRDs", async || {
        let missing = readiness.unready().unwrap_or_default();
        ["goodsservices.shopkeeper.dev", "inventoryservices.shopkeeper.dev"]
            .iter()
            .all(|name| missing.contains(name))
            .then_some(())
    })
    .await;
    let crds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crds");
    control_plane.kubectl(&["apply", "-f", crds.to_str().unwrap()]).unwrap();
    until("the operator is ready", async || readiness.unready().is_none().then_some(())).await;

    pods_and_endpoints_come(&client).await;
    let numbers = metrics.text();
    assert!(numbers.contains("shopkeeper_reconcile_duration_seconds"), "{numbers}");

    // The API server goes away for a moment; the operator does not.
    control_plane.restart_api_server();
    until("the API again", async || shop::<Deployment>(&client).get("inventory").await.ok()).await;
    shop::<Deployment>(&client).delete("inventory", &Default::default()).await.unwrap();
    until("the Deployment again", async || {
        let found = shop::<Deployment>(&client).get_opt("inventory").await.ok()??;
        found.metadata.deletion_timestamp.is_none().then_some(())
    })
    .await;

    // The children go with their owner; the data stays, and nothing is left terminating.
    shop::<InventoryService>(&client).delete("inventory", &Default::default()).await.unwrap();
    until("the children go", async || {
        let all = ListParams::default().labels("app.kubernetes.io/instance=inventory");
        let deployments = shop::<Deployment>(&client).list(&all).await.unwrap().items.len();
        let config_maps = shop::<ConfigMap>(&client).list(&all).await.unwrap().items.len();
        (deployments + config_maps == 0).then_some(())
    })
    .await;
    assert!(shop::<InventoryService>(&client).get_opt("inventory").await.unwrap().is_none());
    shop::<PersistentVolumeClaim>(&client).get("inventory-data").await.unwrap();

    // The same name again: the old children may still be on their way out, the new ones come all the same.
    apply(&client).await;
    until("the Deployment of the new resource", async || {
        shop::<Deployment>(&client).get_opt("inventory").await.unwrap()
    })
    .await;
    operator.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resource_that_cannot_be_read_is_told_so_and_stops_no_other() {
    let control_plane = tokio::task::spawn_blocking(ControlPlane::start).await.unwrap();
    let client = client(control_plane.kubeconfig()).await;
    let namespace = Namespace { metadata: named("shop"), ..Namespace::default() };
    Api::all(client.clone()).create(&PostParams::default(), &namespace).await.unwrap();
    // The CRDs of another version, which lets in what this operator does not know.
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    for mut definition in
        [crds::manifest::definition_of_goods(), crds::manifest::definition_of_inventory()]
    {
        let schema = &mut definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
        let spec = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
        schema["properties"]["spec"] = spec;
        let definition = serde_json::from_value(definition).unwrap();
        definitions.create(&PostParams::default(), &definition).await.unwrap();
    }
    let options = Options {
        goods_image: GOODS_IMAGE.into(),
        inventory_image: INVENTORY_IMAGE.into(),
        namespaces: vec!["shop".into()],
    };
    let readiness = operator::readiness();
    let run = operator::run(
        client.clone(),
        options,
        readiness.clone(),
        Metrics::new("operator"),
        std::future::pending(),
    );
    let operator = tokio::spawn(run);
    until("the operator is ready", async || readiness.unready().is_none().then_some(())).await;
    let resource = kube::api::ApiResource::erase::<InventoryService>(&());
    let services: Api<DynamicObject> = Api::namespaced_with(client.clone(), "shop", &resource);
    let unreadable = DynamicObject::new("unreadable", &resource)
        .data(json!({"spec": {"database": {"sqlite": {}}, "tls": {"mode": "ofTheFuture"}, "replicas": 1}}));
    services.create(&PostParams::default(), &unreadable).await.unwrap();
    apply(&client).await;
    until("the other one's Deployment", async || {
        shop::<Deployment>(&client).get_opt("inventory").await.unwrap()
    })
    .await;
    let condition = until("the condition", async || {
        let service = services.get("unreadable").await.unwrap();
        service.data.pointer("/status/conditions/0").cloned()
    })
    .await;
    assert_eq!(condition["reason"], "Unreadable");
    assert!(condition["message"].as_str().unwrap().contains("ofTheFuture"), "{condition}");
    tells_it_once(&control_plane, &client, &services, &condition).await;
    operator.abort();
}

/// What is looked at again and is as it was is not told again; what changed is told with the time at which it turned.
async fn tells_it_once(
    control_plane: &ControlPlane,
    client: &Client,
    services: &Api<DynamicObject>,
    before: &serde_json::Value,
) {
    // What it said while it could read the resource.
    let said = json!({"status": {"selector": "of=before", "conditions": [before, {
        "type": "Available", "status": "True", "reason": "Serving", "message": "1 of 1 pods are ready",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }]}});
    let said = Patch::Merge(said);
    services.patch_status("unreadable", &PatchParams::default(), &said).await.unwrap();
    // A child of its calls the operator again, at a later second; it has said everything.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let mark = control_plane.audit().mark();
    let child = json!({"metadata": {"name": "child", "labels": {
        "app.kubernetes.io/name": "inventory-srv", "app.kubernetes.io/instance": "unreadable",
        "app.kubernetes.io/component": "inventory", "app.kubernetes.io/managed-by": "shopkeeper",
    }}});
    let child: ConfigMap = serde_json::from_value(child).unwrap();
    shop::<ConfigMap>(client).create(&PostParams::default(), &child).await.unwrap();
    // Only what is done after it shows that it was looked at: the next spec that cannot be read.
    let next = Patch::Merge(json!({"spec": {"replicas": 2}}));
    let next = services.patch("unreadable", &PatchParams::default(), &next).await.unwrap();
    let after = until("the status of the next generation", async || {
        let service = services.get("unreadable").await.unwrap();
        let told = service.data.pointer("/status/observedGeneration").cloned();
        (told == Some(json!(next.metadata.generation)))
            .then(|| service.data.pointer("/status/conditions/0").cloned().unwrap())
    })
    .await;
    assert_eq!(after["lastTransitionTime"], before["lastTransitionTime"]);
    let service = services.get("unreadable").await.unwrap();
    assert_eq!(service.data.pointer("/status/selector"), Some(&json!("of=before")));
    assert_eq!(service.data.pointer("/status/conditions/1/type"), Some(&json!("Available")));
    tokio::time::sleep(Duration::from_secs(1)).await;
    let written: Vec<_> = control_plane.audit().writes_since(mark).unwrap();
    let told = written.iter().filter(|write| write.resource == "inventoryservices/status");
    assert_eq!(told.filter(|write| write.name == "unreadable").count(), 1, "{written:?}");
}
