//! The children: they appear, they belong to their custom resource, they heal, they are never somebody else's.

use crate::world::{World, is_owned_by, mysql, service_account, sqlite};
use crds::InventoryService;
use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{ConfigMap, PersistentVolumeClaim, Service, ServiceAccount},
    policy::v1::PodDisruptionBudget,
    rbac::v1::{Role, RoleBinding},
};
use kube::{
    Resource, ResourceExt,
    api::{DeleteParams, Patch, PatchParams, PostParams},
    core::NamespaceResourceScope,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use std::fmt::Debug;

#[tokio::test(flavor = "multi_thread")]
async fn every_child_appears_and_belongs_to_its_custom_resource() {
    let world = World::new("children-appear").await;
    let owner = world.inventory("inventory", mysql(5)).await;
    async fn owned<K>(world: &World, owner: &InventoryService, name: &str)
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
            + Clone
            + Debug
            + DeserializeOwned
            + Serialize,
    {
        let child = world.until_there::<K>(name).await;
        assert!(is_owned_by(&child, owner), "{} {name} is not owned", K::kind(&()));
        let labels = child.labels();
        assert_eq!(labels["app.kubernetes.io/name"], "inventory-srv");
        assert_eq!(labels["app.kubernetes.io/instance"], "inventory");
        assert_eq!(labels["app.kubernetes.io/component"], "inventory");
        assert_eq!(labels["app.kubernetes.io/managed-by"], "shopkeeper");
    }
    owned::<ServiceAccount>(&world, &owner, "inventory").await;
    owned::<Role>(&world, &owner, "inventory").await;
    owned::<RoleBinding>(&world, &owner, "inventory").await;
    owned::<ConfigMap>(&world, &owner, "inventory-config").await;
    owned::<ConfigMap>(&world, &owner, "inventory-config-acks-0").await;
    owned::<ConfigMap>(&world, &owner, "inventory-config-acks-1").await;
    owned::<Service>(&world, &owner, "inventory").await;
    owned::<Service>(&world, &owner, "inventory-headless").await;
    owned::<PodDisruptionBudget>(&world, &owner, "inventory").await;
    owned::<Deployment>(&world, &owner, "inventory").await;
    world.until_quiet().await;
    assert!(
        world
            .api::<PersistentVolumeClaim>()
            .list(&Default::default())
            .await
            .unwrap()
            .items
            .is_empty()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_configuration_is_written_before_the_deployment() {
    let world = World::new("children-order").await;
    let mark = world.mark();
    world.inventory("inventory", sqlite()).await;
    world.until_there::<Deployment>("inventory").await;
    world.until_quiet().await;
    let writes = world.writes_since(mark);
    let place = |resource: &str, name: &str| {
        let found =
            writes.iter().position(|write| write.resource == resource && write.name == name);
        found.unwrap_or_else(|| panic!("{resource} {name} was not written: {writes:?}"))
    };
    let order = [
        place("serviceaccounts", "inventory"),
        place("roles", "inventory"),
        place("rolebindings", "inventory"),
        place("configmaps", "inventory-config-acks-0"),
        place("configmaps", "inventory-config"),
        place("deployments", "inventory"),
        place("inventoryservices/status", "inventory"),
    ];
    assert!(order.is_sorted(), "{writes:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_child_that_is_deleted_comes_back() {
    let world = World::new("children-deleted").await;
    world.inventory("inventory", mysql(2)).await;
    world.until_there::<Deployment>("inventory").await;
    async fn comes_back<K>(world: &World, name: &str)
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
            + Clone
            + Debug
            + DeserializeOwned
            + Serialize,
    {
        let before = world.until_there::<K>(name).await.uid();
        world.api::<K>().delete(name, &DeleteParams::default()).await.unwrap();
        world.until_is::<K>(name, |now| now.uid() != before).await;
    }
    comes_back::<ServiceAccount>(&world, "inventory").await;
    comes_back::<Role>(&world, "inventory").await;
    comes_back::<RoleBinding>(&world, "inventory").await;
    comes_back::<ConfigMap>(&world, "inventory-config-acks-0").await;
    comes_back::<Service>(&world, "inventory").await;
    comes_back::<Service>(&world, "inventory-headless").await;
    comes_back::<PodDisruptionBudget>(&world, "inventory").await;
    comes_back::<Deployment>(&world, "inventory").await;
    let revision = |config_map: &ConfigMap| config_map.data.as_ref().unwrap()["revision"].clone();
    let before = revision(&world.until_there("inventory-config").await);
    comes_back::<ConfigMap>(&world, "inventory-config").await;
    assert_eq!(
        revision(&world.until_there("inventory-config").await),
        before,
        "the same text is the same revision"
    );
}

/// Edits one object, and waits until what the edit changed is as it was.
async fn put_right<K>(world: &World, name: &str, pointer: &str, edit: Value)
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
        + Clone
        + Debug
        + DeserializeOwned
        + Serialize,
{
    let at = |object: &K| serde_json::to_value(object).unwrap().pointer(pointer).cloned();
    let before = at(&world.until_there::<K>(name).await);
    let edited =
        world.api::<K>().patch(name, &PatchParams::default(), &Patch::Merge(edit)).await.unwrap();
    assert_ne!(at(&edited), before, "the edit of {pointer} did nothing");
    world.until_is::<K>(name, |now| at(now) == before).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_child_that_is_edited_is_put_right() {
    let world = World::new("children-edited").await;
    world.inventory("inventory", mysql(2)).await;
    world.until_there::<Deployment>("inventory").await;
    put_right::<ServiceAccount>(
        &world,
        "inventory",
        "/automountServiceAccountToken",
        json!({"automountServiceAccountToken": true}),
    )
    .await;
    let verbs = ["get", "list", "watch", "patch"];
    let wide = json!({"rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": verbs}]});
    put_right::<Role>(&world, "inventory", "/rules", wide).await;
    let subjects = json!({"subjects": [
        {"kind": "ServiceAccount", "name": "inventory", "namespace": "children-edited"},
        {"kind": "ServiceAccount", "name": "stranger", "namespace": "children-edited"},
    ]});
    put_right::<RoleBinding>(&world, "inventory", "/subjects", subjects).await;
    put_right::<ConfigMap>(
        &world,
        "inventory-config",
        "/data/config.yaml",
        json!({"data": {"config.yaml": "logLevel: trace\n"}}),
    )
    .await;
    put_right::<Service>(
        &world,
        "inventory",
        "/spec/selector",
        json!({"spec": {"selector": {"app.kubernetes.io/instance": "other"}}}),
    )
    .await;
    // One more label selects no pod at all.
    let narrow = json!({"spec": {"selector": {"track": "canary"}}});
    put_right::<Service>(&world, "inventory", "/spec/selector", narrow).await;
    let narrow = json!({"spec": {"selector": {"matchLabels": {"track": "canary"}}}});
    put_right::<PodDisruptionBudget>(&world, "inventory", "/spec/selector", narrow).await;
    // Another port of our port's name cannot stand beside ours.
    let moved = json!({"spec": {"ports": [{"name": "grpc", "port": 50052, "targetPort": "grpc"}]}});
    put_right::<Service>(&world, "inventory", "/spec/ports", moved).await;
    put_right::<PodDisruptionBudget>(
        &world,
        "inventory",
        "/spec/maxUnavailable",
        json!({"spec": {"maxUnavailable": 2}}),
    )
    .await;
    put_right::<Deployment>(
        &world,
        "inventory",
        "/spec/replicas",
        json!({"spec": {"replicas": 7}}),
    )
    .await;
    put_right::<Deployment>(
        &world,
        "inventory",
        "/metadata/labels",
        json!({"metadata": {"labels": {"app.kubernetes.io/managed-by": "somebody"}}}),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_pod_is_never_let_onto_a_sqlite_file() {
    let world = World::new("children-strategy").await;
    world.inventory("inventory", sqlite()).await;
    world.until_there::<Deployment>("inventory").await;
    let rolling = json!({"spec": {"strategy": {"type": "RollingUpdate"}}});
    put_right::<Deployment>(&world, "inventory", "/spec/strategy", rolling).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_that_a_person_asks_for_is_not_undone() {
    let world = World::new("children-restart").await;
    world.inventory("inventory", mysql(2)).await;
    world.until_there::<Deployment>("inventory").await;
    let template = json!({"metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": "2026-11-24T00:00:00Z"}}});
    let restart = json!({"spec": {"template": template}});
    let deployments = world.api::<Deployment>();
    deployments.patch("inventory", &PatchParams::default(), &Patch::Merge(restart)).await.unwrap();
    // Something of ours changes as well, so the Deployment is applied again.
    world.inventory("inventory", mysql(3)).await;
    let now = world
        .until_is::<Deployment>("inventory", |now| now.spec.as_ref().unwrap().replicas == Some(3))
        .await;
    let annotations = now.spec.unwrap().template.metadata.unwrap().annotations.unwrap();
    assert!(annotations.contains_key("kubectl.kubernetes.io/restartedAt"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_object_of_a_childs_name_is_left_alone_and_named() {
    let world = World::new("children-foreign").await;
    let foreign: Service = serde_json::from_value(json!({
        "metadata": {"name": "inventory-headless"},
        "spec": {"ports": [{"port": 80}], "selector": {"app": "somebody-elses"}},
    }))
    .unwrap();
    let foreign = world.api::<Service>().create(&PostParams::default(), &foreign).await.unwrap();
    world.inventory("inventory", sqlite()).await;
    let service = world
        .until_is::<InventoryService>("inventory", |service| {
            condition(service, "Ready").is_some_and(|ready| ready.reason == "NameConflict")
        })
        .await;
    let ready = condition(&service, "Ready").unwrap();
    assert_eq!(ready.status, "False");
    assert!(ready.message.contains("Service inventory-headless exists"), "{}", ready.message);
    world.until_quiet().await;
    let now = world.until_there::<Service>("inventory-headless").await;
    assert_eq!(now.resource_version(), foreign.resource_version());
    let deployments = world.api::<Deployment>().list(&Default::default()).await.unwrap();
    assert!(deployments.items.is_empty(), "children were made beside a foreign one");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_services_of_one_name_do_not_take_each_others_children() {
    let world = World::new("children-same-name").await;
    world.inventory("shop", sqlite()).await;
    world.until_there::<Deployment>("shop").await;
    world.until_quiet().await;
    let before = world.until_there::<Deployment>("shop").await;
    world.goods("shop", sqlite()).await;
    world
        .until_is::<crds::GoodsService>("shop", |service| {
            let conditions = service.status.iter().flat_map(|status| &status.conditions);
            conditions.into_iter().any(|condition| condition.reason == "NameConflict")
        })
        .await;
    world.until_quiet().await;
    let after = world.until_there::<Deployment>("shop").await;
    assert_eq!(after.resource_version(), before.resource_version());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_account_does_not_stop_another_service() {
    let world = World::new("children-neighbour").await;
    world.api().create(&PostParams::default(), &service_account("bad")).await.unwrap();
    world.inventory("bad", sqlite()).await;
    world.inventory("good", sqlite()).await;
    world.until_there::<Deployment>("good").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_volume_is_made_once_and_outlives_its_custom_resource() {
    let world = World::new("children-volume").await;
    let spec = json!({
        "database": {"sqlite": {"size": "2Gi", "storageClassName": "fast"}},
        "tls": {"mode": "disabled"},
    });
    world.inventory("inventory", spec.clone()).await;
    let claim = world.until_there::<PersistentVolumeClaim>("inventory-data").await;
    assert!(claim.owner_references().is_empty());
    let volume = claim.spec.clone().unwrap();
    assert_eq!(volume.storage_class_name.as_deref(), Some("fast"));
    assert_eq!(volume.resources.unwrap().requests.unwrap()["storage"].0, "2Gi");
    // The custom resource goes and comes back with another identity; nobody collects garbage here but the test.
    world.until_there::<Deployment>("inventory").await;
    world.until_quiet().await;
    world.api::<InventoryService>().delete("inventory", &DeleteParams::default()).await.unwrap();
    let labels = kube::api::ListParams::default().labels("app.kubernetes.io/instance=inventory");
    let delete = DeleteParams::default();
    world.api::<ServiceAccount>().delete_collection(&delete, &labels).await.unwrap();
    world.api::<Role>().delete_collection(&delete, &labels).await.unwrap();
    world.api::<RoleBinding>().delete_collection(&delete, &labels).await.unwrap();
    world.api::<ConfigMap>().delete_collection(&delete, &labels).await.unwrap();
    world.api::<Service>().delete_collection(&delete, &labels).await.unwrap();
    world.api::<Deployment>().delete_collection(&delete, &labels).await.unwrap();
    let again = world.inventory("inventory", spec).await;
    world.until_is::<Deployment>("inventory", |deployment| is_owned_by(deployment, &again)).await;
    let now = world.until_there::<PersistentVolumeClaim>("inventory-data").await;
    assert_eq!(now.uid(), claim.uid(), "the volume was made anew");
    assert_eq!(now.resource_version(), claim.resource_version());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_longer_asked_for_goes() {
    let world = World::new("children-pruned").await;
    world.inventory("inventory", mysql(5)).await;
    world.until_there::<Deployment>("inventory").await;
    world.until_there::<PodDisruptionBudget>("inventory").await;
    world.inventory("inventory", mysql(1)).await;
    let gone = async |name: &str| world.api::<ConfigMap>().get_opt(name).await.unwrap().is_none();
    world
        .until("the second shard goes", || async {
            gone("inventory-config-acks-1").await.then_some(())
        })
        .await;
    world
        .until("the budget goes", || async {
            let budget = world.api::<PodDisruptionBudget>().get_opt("inventory").await.unwrap();
            budget.is_none().then_some(())
        })
        .await;
    assert!(!gone("inventory-config-acks-0").await);
}

fn condition<'a>(
    service: &'a InventoryService,
    kind: &str,
) -> Option<&'a k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition> {
    service.status.as_ref()?.conditions.iter().find(|condition| condition.type_ == kind)
}
