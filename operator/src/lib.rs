//! The operator: makes and keeps what a `GoodsService` or an `InventoryService` asks for.
//!
//! Read [`reconcile`] first; it is the whole story. A third kind of service would be one more `impl` of
//! [`crds::ManagedService`] and one more line in [`run`].

mod reconcile;

mod dereference;

mod build;
mod compare;

mod apply;
mod obstacle;

mod report;

mod backoff;
mod caches;
mod controller;
mod definitions;
mod error;
mod names;
mod numbers;
pub mod rbac;

use build::Settings;
use caches::Caches;
use crds::{GoodsService, InventoryService, ManagedService};
use futures::{FutureExt as _, future::Shared};
use kube::{Client, runtime::events::Reporter};
use numbers::Numbers;
use reconcile::Context;
use srv_runtime::{Metrics, Readiness};

/// What the operator is told at its start.
#[derive(Clone, Debug)]
pub struct Options {
    /// The image of a `GoodsService` that names none.
    pub goods_image: String,
    /// The image of an `InventoryService` that names none.
    pub inventory_image: String,
    /// The namespaces to look after; none means all.
    pub namespaces: Vec<String>,
}

/// What the operator lacks before [`run`] has begun. Made before the admin port opens, so that it is never ready too
/// early.
pub fn readiness() -> Readiness {
    let readiness = Readiness::default();
    for service in [GoodsService::BINARY, InventoryService::BINARY] {
        readiness.lacks(service, "the CRDs are not looked for yet");
    }
    readiness
}

/// Looks after both kinds until `until` completes, then finishes what is under way.
pub async fn run(
    client: Client,
    options: Options,
    readiness: Readiness,
    metrics: Metrics,
    until: impl Future<Output = ()> + Send + 'static,
) {
    let until = until.boxed().shared();
    let numbers = Numbers::new(&metrics.meter("operator"));
    let context = |default_image: &str| {
        let settings = Settings { default_image: default_image.to_owned() };
        (settings, numbers.clone())
    };
    tokio::join!(
        look_after::<GoodsService>(
            &client,
            &options.namespaces,
            context(&options.goods_image),
            &readiness,
            until.clone()
        ),
        look_after::<InventoryService>(
            &client,
            &options.namespaces,
            context(&options.inventory_image),
            &readiness,
            until.clone()
        ),
    );
}

fn reporter() -> Reporter {
    Reporter { controller: names::MANAGER.to_owned(), instance: None }
}

/// One controller for each namespace to look after, or one for all of them.
async fn look_after<S: ManagedService>(
    client: &Client,
    namespaces: &[String],
    (settings, numbers): (Settings, Numbers),
    readiness: &Readiness,
    until: Shared<impl Future<Output = ()> + Send + 'static>,
) {
    let definition = definitions::await_definition::<S>(client, |why| {
        tracing::warn!("{why}");
        readiness.lacks(S::BINARY, why);
    });
    tokio::select! {
        () = definition => {}
        () = until.clone() => return,
    }
    readiness.lacks(S::BINARY, "the watches have not brought their first lists yet");
    let scopes: Vec<Option<&str>> = match namespaces {
        [] => vec![None],
        namespaces => namespaces.iter().map(|namespace| Some(namespace.as_str())).collect(),
    };
    let waiting = std::sync::atomic::AtomicUsize::new(scopes.len());
    let controllers = scopes.into_iter().map(|namespace| {
        let context = |client: Client, caches: Caches<S>| Context {
            client,
            caches,
            settings: settings.clone(),
            reporter: reporter(),
            numbers: numbers.clone(),
        };
        let ready = || {
            if waiting.fetch_sub(1, std::sync::atomic::Ordering::Relaxed) == 1 {
                readiness.has(S::BINARY);
            }
        };
        controller::run::<S>(client.clone(), namespace, context, ready, until.clone())
    });
    futures::future::join_all(controllers).await;
}
