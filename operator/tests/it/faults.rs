//! An operator that dies at any of its writes, and others that write between its look and its write.

use crate::world::{World, mysql, operators_config, sqlite};
use crds::InventoryService;
use futures::{StreamExt, future::BoxFuture, stream};
use http::{Method, Request, Response};
use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{ConfigMap, Service, ServiceAccount},
    policy::v1::PodDisruptionBudget,
    rbac::v1::{Role, RoleBinding},
};
use kube::{
    Client,
    api::{Patch, PatchParams, PostParams},
    client::{Body, ClientBuilder},
};
use serde_json::json;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    task::{Context, Poll},
};
use tokio::sync::Notify;

/// What becomes of a request.
pub(crate) enum Fate {
    /// It goes on after this.
    Sent(BoxFuture<'static, ()>),
    /// The operator dies before it is sent.
    NeverSent,
    /// It is sent, and the operator dies before the answer.
    NeverAnswered,
}

type Decide = Arc<dyn Fn(&Request<Body>) -> Fate + Send + Sync>;

/// A connection on which each write has a fate.
struct Fated<S> {
    inner: S,
    decide: Decide,
    died: Arc<Notify>,
}

impl<S, B> tower::Service<Request<Body>> for Fated<S>
where
    S: tower::Service<Request<Body>, Response = Response<B>>,
    S::Future: Send + 'static,
    B: Send,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<S::Response, S::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let fate = match *request.method() {
            Method::GET => Fate::Sent(Box::pin(async {})),
            _ => (self.decide)(&request),
        };
        let died = self.died.clone();
        let sent = self.inner.call(request);
        Box::pin(async move {
            match fate {
                Fate::Sent(before) => {
                    before.await;
                    return sent.await;
                }
                Fate::NeverSent => drop(sent),
                Fate::NeverAnswered => drop(sent.await),
            }
            died.notify_one();
            std::future::pending().await
        })
    }
}

/// A client whose writes have the fate that `decide` gives them, and what tells that one was fatal.
pub(crate) async fn fated(
    decide: impl Fn(&Request<Body>) -> Fate + Send + Sync + 'static,
) -> (Client, Arc<Notify>) {
    let died = Arc::new(Notify::new());
    let (decide, told): (Decide, _) = (Arc::new(decide), died.clone());
    let layer = tower::layer::layer_fn(move |inner| Fated {
        inner,
        decide: decide.clone(),
        died: told.clone(),
    });
    let client =
        ClientBuilder::try_from(operators_config().await).unwrap().with_layer(&layer).build();
    (client, died)
}

/// How many places of a first reconcile an operator is killed at; it has fewer writes than that.
const PLACES: usize = 16;
/// How many of them at a time, so that each has its share of a small machine.
const AT_A_TIME: usize = 8;

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_killed_at_any_write_is_finished_by_the_next() {
    let runs = (0..PLACES).flat_map(|place| [(place, false), (place, true)]);
    let runs = runs.map(|(place, sent)| async move {
        let mut world = World::without_operator(&format!("faults-{place}-{sent}")).await;
        let count = AtomicUsize::new(0);
        let (client, died) = fated(move |_| match count.fetch_add(1, SeqCst) {
            now if now != place => Fate::Sent(Box::pin(async {})),
            _ if sent => Fate::NeverAnswered,
            _ => Fate::NeverSent,
        })
        .await;
        world.start_operator_with(client).await;
        world.inventory("inventory", mysql(2)).await;
        let finished = async {
            world
                .until_is::<InventoryService>("inventory", |service| service.status.is_some())
                .await;
            world.until_quiet().await;
        };
        let died = tokio::select! {
            () = died.notified() => true,
            () = finished => false,
        };
        world.kill_operator().await;
        world.start_operator().await;
        assert_complete(&world).await;
        died
    });
    let died: Vec<bool> = stream::iter(runs).buffered(AT_A_TIME).collect().await;
    assert!(died[0] && died[1], "no operator died at its first write");
    assert!(died.contains(&false), "PLACES does not reach beyond the last write");
}

async fn assert_complete(world: &World) {
    world.until_there::<ServiceAccount>("inventory").await;
    world.until_there::<Role>("inventory").await;
    world.until_there::<RoleBinding>("inventory").await;
    world.until_there::<ConfigMap>("inventory-config-acks-0").await;
    world.until_there::<Service>("inventory").await;
    world.until_there::<Service>("inventory-headless").await;
    world.until_there::<PodDisruptionBudget>("inventory").await;
    world.until_there::<Deployment>("inventory").await;
    let config_map = world.until_there::<ConfigMap>("inventory-config").await;
    let revision = config_map.data.unwrap()["revision"].clone();
    assert!(revision.starts_with("1-"), "a crash used up a revision: {revision}");
    world
        .until_is::<InventoryService>("inventory", |service| {
            let config = service.status.as_ref().and_then(|status| status.config.as_ref());
            config.is_some_and(|config| config.revision == revision)
        })
        .await;
    world.until_quiet().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_comes_between_look_and_write_is_not_overwritten() {
    let mut world = World::without_operator("faults-between").await;
    let services = world.api::<Service>();
    let once = AtomicBool::new(true);
    let (client, _) = fated(move |request| {
        let (path, services) = (request.uri().path().to_owned(), services.clone());
        let first = path.ends_with("/services/inventory") && once.swap(false, SeqCst);
        Fate::Sent(Box::pin(async move {
            if first {
                let foreign: Service = serde_json::from_value(json!({
                    "metadata": {"name": "inventory"},
                    "spec": {"ports": [{"name": "other", "port": 80}], "selector": {"app": "somebody-elses"}},
                }))
                .unwrap();
                services.create(&PostParams::default(), &foreign).await.unwrap();
            }
        }))
    })
    .await;
    world.start_operator_with(client).await;
    world.inventory("inventory", sqlite()).await;
    world
        .until_is::<InventoryService>("inventory", |service| {
            let conditions = service.status.iter().flat_map(|status| &status.conditions);
            conditions.into_iter().any(|condition| condition.reason == "NameConflict")
        })
        .await;
    let service = world.until_there::<Service>("inventory").await;
    assert_eq!(service.spec.unwrap().selector.unwrap()["app"], "somebody-elses");
    assert!(service.metadata.owner_references.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_decided_on_an_old_view_is_decided_again() {
    let mut world = World::without_operator("faults-stale").await;
    let config_maps = world.api::<ConfigMap>();
    let once = AtomicBool::new(true);
    let armed = Arc::new(AtomicBool::new(false));
    let fire = armed.clone();
    let (client, _) = fated(move |request| {
        let (path, config_maps) = (request.uri().path().to_owned(), config_maps.clone());
        let now = fire.load(SeqCst)
            && path.ends_with("/configmaps/inventory-config")
            && once.swap(false, SeqCst);
        Fate::Sent(Box::pin(async move {
            if now {
                // Another operator was faster and is five revisions ahead.
                let ahead = json!({"data": {"revision": "7-0123456789ab"}});
                let merge = Patch::Merge(ahead);
                config_maps
                    .patch("inventory-config", &PatchParams::default(), &merge)
                    .await
                    .unwrap();
            }
        }))
    })
    .await;
    world.start_operator_with(client).await;
    world.inventory("inventory", sqlite()).await;
    world.until_there::<Deployment>("inventory").await;
    world.until_quiet().await;
    armed.store(true, SeqCst);
    let debug = crate::world::with(sqlite(), json!({"config": {"logLevel": "debug"}}));
    world.inventory("inventory", debug).await;
    let after = world
        .until_is::<ConfigMap>("inventory-config", |now| {
            now.data.as_ref().unwrap()["config.yaml"].contains("logLevel: debug")
        })
        .await;
    let revision = &after.data.as_ref().unwrap()["revision"];
    assert!(revision.starts_with("8-"), "the revision went back: {revision}");
}
