//! What the status says, and when.

use crate::{
    actors::entries,
    world::{World, mysql, sqlite, with},
};
use crds::InventoryService;
use k8s_openapi::{
    api::{apps::v1::Deployment, core::v1::ConfigMap, events::v1::Event},
    apimachinery::pkg::apis::meta::v1::Condition,
    jiff::Timestamp,
};
use serde_json::json;

fn condition<'a>(service: &'a InventoryService, kind: &str) -> &'a Condition {
    let conditions = &service.status.as_ref().expect("a status").conditions;
    conditions.iter().find(|condition| condition.type_ == kind).expect("the condition")
}

fn is(service: &InventoryService, kind: &str, status: &str, reason: &str) -> bool {
    service.status.is_some() && {
        let condition = condition(service, kind);
        condition.status == status && condition.reason == reason
    }
}

fn applied(service: &InventoryService) -> &str {
    let config = service.status.as_ref().and_then(|status| status.config.as_ref());
    config.map_or("", |config| &config.applied)
}

async fn until(world: &World, what: impl Fn(&InventoryService) -> bool) -> InventoryService {
    world.until_is::<InventoryService>("inventory", what).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_whose_pods_run_the_configuration_is_ready() {
    let world = World::new("status-ready").await;
    let created = world.inventory("inventory", mysql(3)).await;
    let starting = until(&world, |service| service.status.is_some()).await;
    assert!(is(&starting, "Ready", "False", "RollingOut"), "{starting:?}");
    assert!(is(&starting, "ConfigApplied", "Unknown", "NoPodServes"));
    assert!(is(&starting, "Available", "False", "NoPodReady"));
    world.serving("inventory", 3).await;
    let ready = until(&world, |service| {
        applied(service) == "3/3" && is(service, "Ready", "True", "AsAsked")
    })
    .await;
    let status = ready.status.as_ref().unwrap();
    assert_eq!(status.observed_generation, created.metadata.generation);
    assert_eq!(status.endpoint.as_deref(), Some("inventory.status-ready.svc:50051"));
    assert_eq!((status.replicas, status.ready_replicas), (Some(3), Some(3)));
    assert_eq!(
        status.selector.as_deref(),
        Some("app.kubernetes.io/instance=inventory,app.kubernetes.io/name=inventory-srv")
    );
    assert_eq!(status.config.as_ref().unwrap().revision, world.revision("inventory").await);
    for (kind, value) in [
        ("Available", "True"),
        ("Progressing", "False"),
        ("ConfigApplied", "True"),
        ("Paused", "False"),
    ] {
        assert_eq!(condition(&ready, kind).status, value, "{kind}");
        assert_eq!(condition(&ready, kind).observed_generation, created.metadata.generation);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_condition_keeps_its_time_until_its_status_turns() {
    let world = World::new("status-time").await;
    world.inventory("inventory", mysql(3)).await;
    world.serving("inventory", 3).await;
    let before = until(&world, |service| {
        applied(service) == "3/3" && is(service, "Ready", "True", "AsAsked")
    })
    .await;
    // Times are kept in whole seconds: only in a later one would a new time be another.
    let second =
        |service: &InventoryService| condition(service, "Ready").last_transition_time.0.as_second();
    world
        .until("the clock shows a later second", || async {
            (Timestamp::now().as_second() > second(&before)).then_some(())
        })
        .await;
    let hot = with(mysql(3), json!({"config": {"logLevel": "debug"}}));
    let changed = world.inventory("inventory", hot).await;
    let after = until(&world, |service| {
        applied(service) == "0/3"
            && service.status.as_ref().unwrap().observed_generation == changed.metadata.generation
    })
    .await;
    let time = |service: &InventoryService, kind: &str| {
        condition(service, kind).last_transition_time.clone()
    };
    assert_eq!(time(&after, "Ready"), time(&before, "Ready"));
    assert_eq!(time(&after, "Available"), time(&before, "Available"));
    assert!(is(&after, "ConfigApplied", "False", "AwaitingPods"));
    assert!(
        is(&after, "Ready", "True", "AsAsked"),
        "a change on its way is no reason to be unready"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn only_serving_pods_that_applied_this_very_revision_count() {
    let world = World::new("status-fold").await;
    world.inventory("inventory", mysql(3)).await;
    let pods = world.serving("inventory", 3).await;
    until(&world, |service| applied(service) == "3/3").await;
    // An older revision does not count.
    world.acknowledge("inventory", 3, &pods[0], "1-000000000000", json!("applied")).await;
    until(&world, |service| applied(service) == "2/3").await;
    let revision = world.revision("inventory").await;
    // Neither does one that waits for a restart; it is named.
    world.acknowledge("inventory", 3, &pods[0], &revision, json!("awaitsRestart")).await;
    let service =
        until(&world, |service| is(service, "ConfigApplied", "False", "AwaitingRestart")).await;
    assert!(condition(&service, "ConfigApplied").message.contains(&pods[0]));
    world.acknowledge("inventory", 3, &pods[0], &revision, json!("applied")).await;
    until(&world, |service| applied(service) == "3/3").await;
    // A pod that is not ready does not serve.
    world.endpoints("inventory", &[(&pods[0], true), (&pods[1], false), (&pods[2], true)]).await;
    until(&world, |service| applied(service) == "2/2").await;
    world.endpoints("inventory", &[(&pods[0], true), (&pods[1], true), (&pods[2], true)]).await;
    until(&world, |service| applied(service) == "3/3").await;
    // A pod that is gone does not count, even while its endpoint is still listed, and its word is dropped.
    world.delete_pod(&pods[2]).await;
    until(&world, |service| applied(service) == "2/2").await;
    world
        .until_is::<ConfigMap>("inventory-config-acks-0", |shard| {
            entries(shard) == [pods[0].clone(), pods[1].clone()]
        })
        .await;
}

/// When the number of shards changes a pod writes elsewhere, and its word in the old place stays.
#[tokio::test(flavor = "multi_thread")]
async fn of_two_words_about_one_revision_the_one_in_the_pods_own_place_counts() {
    let world = World::new("status-moved").await;
    world.inventory("inventory", mysql(5)).await;
    let pods = world.serving("inventory", 5).await;
    until(&world, |service| applied(service) == "5/5" && is(service, "Ready", "True", "AsAsked"))
        .await;
    let revision = world.revision("inventory").await;
    let shards = srv_config::shards_for(5);
    let moved = pods.iter().find(|pod| srv_config::shard_of(pod, shards) > 0).unwrap();
    let rejection = json!({"rejected": {"field": "lockStrategy", "reason": "no Redis"}});
    // With one shard it wrote into the first.
    world.acknowledge("inventory", 1, moved, &revision, rejection.clone()).await;
    world.until_quiet().await;
    let service = world.until_there::<InventoryService>("inventory").await;
    assert_eq!((applied(&service), condition(&service, "Ready").status.as_str()), ("5/5", "True"));
    // In its own place it counts.
    world.acknowledge("inventory", 5, moved, &revision, rejection).await;
    until(&world, |service| is(service, "Ready", "False", "ConfigRejected")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rejection_is_shown_with_pod_field_and_reason() {
    let world = World::new("status-rejected").await;
    world.inventory("inventory", mysql(2)).await;
    let pods = world.serving("inventory", 2).await;
    until(&world, |service| is(service, "Ready", "True", "AsAsked")).await;
    let revision = world.revision("inventory").await;
    let rejection =
        json!({"rejected": {"field": "lockStrategy", "reason": "Redis refused the credentials"}});
    world.acknowledge("inventory", 2, &pods[1], &revision, rejection).await;
    let service = until(&world, |service| is(service, "Ready", "False", "ConfigRejected")).await;
    let config = service.status.as_ref().unwrap().config.as_ref().unwrap();
    assert_eq!(config.applied, "1/2");
    let shown = serde_json::to_value(&config.rejected).unwrap();
    assert_eq!(
        shown,
        json!([{"pod": pods[1], "field": "lockStrategy", "reason": "Redis refused the credentials"}])
    );
    for kind in ["Ready", "ConfigApplied"] {
        let message = &condition(&service, kind).message;
        for words in [pods[1].as_str(), "lockStrategy", "Redis refused the credentials"] {
            assert!(message.contains(words), "{kind}: {message}");
        }
    }
    // A pod that refuses its first configuration never serves; it is shown all the same.
    world.endpoints("inventory", &[(&pods[0], true), (&pods[1], false)]).await;
    until(&world, |service| {
        applied(service) == "1/1" && is(service, "Ready", "False", "ConfigRejected")
    })
    .await;
    world.acknowledge("inventory", 2, &pods[1], &revision, json!("applied")).await;
    let mended = until(&world, |service| is(service, "Ready", "True", "AsAsked")).await;
    assert!(mended.status.unwrap().config.unwrap().rejected.is_empty());
    // One that is evicted stays as an object, and what it said last is nobody's business any more.
    let rejection = json!({"rejected": {"field": "lockStrategy", "reason": "no Redis"}});
    world.acknowledge("inventory", 2, &pods[1], &revision, rejection).await;
    until(&world, |service| is(service, "Ready", "False", "ConfigRejected")).await;
    world.pod_status(&pods[1], json!({"phase": "Failed", "reason": "Evicted"})).await;
    world.make_pod("inventory", "inventory-z").await;
    world.endpoints("inventory", &[(&pods[0], true), ("inventory-z", true)]).await;
    world.acknowledge("inventory", 2, "inventory-z", &revision, json!("applied")).await;
    until(&world, |service| applied(service) == "2/2" && is(service, "Ready", "True", "AsAsked"))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_pod_is_shown_in_its_own_words() {
    let world = World::new("status-words").await;
    world.inventory("inventory", mysql(2)).await;
    world.until_there::<Deployment>("inventory").await;
    world.until_there::<k8s_openapi::api::core::v1::ServiceAccount>("inventory").await;
    world.make_pod("inventory", "inventory-a").await;
    let words = "cannot connect to the database: access denied for user 'shop'";
    let state = |state: serde_json::Value, last: serde_json::Value, name: &str| {
        json!([{"name": name, "image": "x", "imageID": "", "ready": false, "restartCount": 3,
                "state": state, "lastState": last}])
    };
    let ended = json!({"terminated": {"exitCode": 1, "reason": "Error", "message": words}});
    let waiting =
        |reason: &str, message: &str| json!({"waiting": {"reason": reason, "message": message}});
    let back_off = waiting("CrashLoopBackOff", "back-off 40s");
    let migrate = state(back_off.clone(), ended.clone(), "migrate");
    world
        .pod_status("inventory-a", json!({"phase": "Pending", "initContainerStatuses": migrate}))
        .await;
    let service = until(&world, |service| is(service, "Ready", "False", "MigrationFailed")).await;
    let message = &condition(&service, "Ready").message;
    assert!(message.contains("inventory-a") && message.contains(words), "{message}");

    let server = state(back_off, ended, "inventory-srv");
    let status =
        json!({"phase": "Running", "initContainerStatuses": [], "containerStatuses": server});
    world.pod_status("inventory-a", status).await;
    let service = until(&world, |service| is(service, "Ready", "False", "PodFailing")).await;
    assert!(condition(&service, "Ready").message.contains(words));

    let pull = state(waiting("ImagePullBackOff", "no such image"), json!({}), "inventory-srv");
    world.pod_status("inventory-a", json!({"phase": "Pending", "containerStatuses": pull})).await;
    let says = |service: &InventoryService, words: &[&str]| {
        is(service, "Ready", "False", "PodFailing")
            && words.iter().all(|words| condition(service, "Ready").message.contains(words))
    };
    until(&world, |service| says(service, &["ImagePullBackOff", "no such image"])).await;
    let create =
        state(waiting("CreateContainerConfigError", "bad user"), json!({}), "inventory-srv");
    world.pod_status("inventory-a", json!({"phase": "Pending", "containerStatuses": create})).await;
    until(&world, |service| says(service, &["CreateContainerConfigError", "bad user"])).await;
    let unschedulable = json!({"type": "PodScheduled", "status": "False", "reason": "Unschedulable",
                               "message": "0/1 nodes are available"});
    world
        .pod_status("inventory-a", json!({"containerStatuses": [], "conditions": [unschedulable]}))
        .await;
    until(&world, |service| is(service, "Ready", "False", "PodUnschedulable")).await;
    // A bad spec is mended by the next one: nothing waits for the pods.
    world.inventory("inventory", with(mysql(2), json!({"image": "x:2"}))).await;
    world
        .until_is::<Deployment>("inventory", |now| {
            serde_json::to_value(now).unwrap()["spec"]["template"]["spec"]["containers"][0]["image"]
                == "x:2"
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_paused_nothing_changes_but_the_status() {
    let world = World::new("status-paused").await;
    world.inventory("inventory", mysql(2)).await;
    world.until_there::<Deployment>("inventory").await;
    world.until_quiet().await;
    let paused = with(mysql(2), json!({"paused": true}));
    world.inventory("inventory", paused.clone()).await;
    until(&world, |service| is(service, "Paused", "True", "Paused")).await;
    let mark = world.mark();
    let changed = with(paused, json!({"replicas": 4, "config": {"logLevel": "debug"}}));
    let changed = world.inventory("inventory", changed).await;
    world
        .api::<k8s_openapi::api::core::v1::Service>()
        .delete("inventory", &Default::default())
        .await
        .unwrap();
    until(&world, |service| {
        service.status.as_ref().unwrap().observed_generation == changed.metadata.generation
    })
    .await;
    world.until_quiet().await;
    let written: Vec<_> = world
        .writes_since(mark)
        .into_iter()
        .filter(|write| write.resource != "inventoryservices/status" && write.resource != "events")
        .collect();
    assert!(written.is_empty(), "{written:?}");
    // What is told is about what was asked before: `kubectl wait` must not take it for what is asked now.
    let service = world.until_there::<InventoryService>("inventory").await;
    let told_of = |kind: &str| condition(&service, kind).observed_generation;
    assert_eq!(told_of("Paused"), changed.metadata.generation);
    for kind in ["Ready", "Available", "Progressing", "ConfigApplied"] {
        assert_eq!(told_of(kind), Some(1), "{kind}");
    }
    assert!(condition(&service, "Ready").message.contains("of 2 pods"), "{service:?}");
    let changed = with(mysql(2), json!({"replicas": 4}));
    world.inventory("inventory", changed).await;
    until(&world, |service| is(service, "Paused", "False", "NotPaused")).await;
    world
        .until_is::<Deployment>("inventory", |now| now.spec.as_ref().unwrap().replicas == Some(4))
        .await;
    world.until_there::<k8s_openapi::api::core::v1::Service>("inventory").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_tell_transitions_once() {
    let world = World::new("status-events").await;
    world.inventory("inventory", mysql(2)).await;
    let pods = world.serving("inventory", 2).await;
    until(&world, |service| applied(service) == "2/2" && is(service, "Ready", "True", "AsAsked"))
        .await;
    let revision = world.revision("inventory").await;
    let rejection = json!({"rejected": {"field": "lockStrategy", "reason": "no Redis"}});
    world.acknowledge("inventory", 2, &pods[0], &revision, rejection).await;
    until(&world, |service| is(service, "Ready", "False", "ConfigRejected")).await;
    let tell = async || world.api::<Event>().list(&Default::default()).await.unwrap().items;
    world.until("all Events", || async { (tell().await.len() >= 4).then_some(()) }).await;
    world.until_quiet().await;
    let events = tell().await;
    let count = |reason: &str, kind: &str| {
        events
            .iter()
            .filter(|event| {
                event.reason.as_deref() == Some(reason) && event.type_.as_deref() == Some(kind)
            })
            .inspect(|event| assert!(event.series.is_none(), "told more than once: {event:?}"))
            .count()
    };
    assert_eq!(count("AsAsked", "Normal"), 1, "{events:?}");
    assert_eq!(count("Applied", "Normal"), 1, "{events:?}");
    // Once for Ready and once for ConfigApplied.
    assert_eq!(count("ConfigRejected", "Warning"), 2, "{events:?}");
    // Within minutes the same happens to another revision: that is told, and in its own words.
    world.inventory("inventory", with(mysql(2), json!({"config": {"logLevel": "debug"}}))).await;
    world
        .until("another revision", || async {
            (world.revision("inventory").await != revision).then_some(())
        })
        .await;
    let revision = world.revision("inventory").await;
    for pod in &pods {
        world.acknowledge("inventory", 2, pod, &revision, json!("applied")).await;
    }
    world
        .until("the Event of the second revision", || async {
            let mut told = tell().await.into_iter().filter(|event| {
                event.reason.as_deref() == Some("Applied")
                    && event.note.as_ref().is_some_and(|note| note.contains(&revision))
            });
            told.next()
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_scaled_to_zero_is_as_asked_but_not_available() {
    let world = World::new("status-zero").await;
    world.inventory("inventory", with(sqlite(), json!({"replicas": 0}))).await;
    world.until_there::<Deployment>("inventory").await;
    world.rolled_out("inventory", 0, 0).await;
    let service = until(&world, |service| is(service, "Ready", "True", "AsAsked")).await;
    assert!(is(&service, "Available", "False", "ScaledToZero"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_api_refuses_is_shown_in_its_words_and_mended_by_the_next_spec() {
    let world = World::new("status-refused").await;
    let resources = |memory: &str| {
        with(
            mysql(2),
            json!({"resources": {"requests": {"memory": memory}, "limits": {"memory": "1Gi"}}}),
        )
    };
    world.inventory("inventory", resources("2Gi")).await;
    let service = until(&world, |service| is(service, "Ready", "False", "Refused")).await;
    let message = &condition(&service, "Ready").message;
    assert!(
        message.contains("Deployment inventory") && message.contains("memory limit"),
        "{message}"
    );
    world.until_quiet().await;
    world.inventory("inventory", resources("512Mi")).await;
    world.until_there::<Deployment>("inventory").await;
    until(&world, |service| is(service, "Ready", "False", "RollingOut")).await;
}
