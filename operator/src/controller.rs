//! Calls reconcile when something touched a custom resource: bounded, never twice at a time for one, without delay.

use crate::{
    backoff::{Failures, Waits},
    caches::{Caches, Triggers},
    error::Error,
    reconcile::{Context, reconcile_guarded},
};
use crds::ManagedService;
use futures::{FutureExt as _, StreamExt as _, future::Shared, stream};
use kube::{
    Client, ResourceExt,
    core::DeserializeGuard,
    runtime::controller::{Action, Config, Error as ControllerError, applier},
    runtime::reflector::ObjectRef,
};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::time::timeout;

/// How many custom resources of one kind and scope are worked on at a time. Unbounded, ten thousand of them at a start
/// took six times the memory and the time.
const CONCURRENCY: u16 = 16;
/// How long after its first failure a custom resource is tried again, and the longest wait.
const RETRY: Waits = Waits { first: Duration::from_millis(250), longest: Duration::from_secs(120) };

/// The longest that one reconcile may take: it makes some twenty requests of a few milliseconds each. Being cut off
/// between two writes is no worse than a crash there.
const RECONCILE_MAX: Duration = Duration::from_secs(60);

/// What a controller shares between its calls: the reconcile's context, and how often each custom resource failed in
/// a row. That is no knowledge about the world: losing it only makes the next retry come sooner.
struct Shift<S: ManagedService> {
    ctx: Arc<Context<S>>,
    failures: Mutex<HashMap<ObjectRef<DeserializeGuard<S>>, Failures>>,
}

/// Opens the watches of kind `S` in one namespace or all, and reconciles until `until` completes; then finishes what is
/// under way.
pub(crate) async fn run<S: ManagedService>(
    client: Client,
    namespace: Option<&str>,
    context: impl FnOnce(Client, Caches<S>) -> Context<S>,
    ready: impl FnOnce() + Send,
    until: Shared<impl Future<Output = ()> + Send + 'static>,
) {
    let (caches, triggers) = Caches::open(&client, namespace);
    let primaries = caches.primaries.clone();
    let shift =
        Arc::new(Shift { ctx: Arc::new(context(client, caches)), failures: Mutex::default() });
    let ctx = shift.ctx.clone();
    let work = applier(
        |service, shift: Arc<Shift<S>>| one(service, shift).boxed(),
        |service, error, shift| shift.retry(&service, error),
        shift.clone(),
        primaries,
        requests(triggers).take_until(until),
        Config::default().concurrency(CONCURRENCY),
    );
    let reconciling = work.for_each(|done| async {
        match done {
            Ok(_) | Err(ControllerError::ReconcilerFailed(..)) => {}
            // A child that outlived its custom resource for a moment.
            Err(ControllerError::ObjectNotFound(which)) => tracing::debug!(%which, "is gone"),
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "a watch failed and is opened again"
                );
            }
        }
    });
    tokio::join!(reconciling, async {
        ctx.caches.ready().await;
        ready();
    });
}

/// All triggers as one stream.
fn requests<S: ManagedService>(
    triggers: Vec<Triggers<S>>,
) -> impl stream::Stream<Item = <Triggers<S> as stream::Stream>::Item> {
    stream::select_all(triggers)
}

async fn one<S: ManagedService>(
    service: Arc<DeserializeGuard<S>>,
    shift: Arc<Shift<S>>,
) -> Result<Action, Error> {
    let reconciled = reconcile_guarded(service.clone(), shift.ctx.clone());
    let done = timeout(RECONCILE_MAX, reconciled).await;
    let done = done.unwrap_or_else(|_| Err(Error::TooSlow(RECONCILE_MAX)));
    if done.is_ok() {
        shift.counted().remove(&ObjectRef::from_obj(&*service));
    }
    done
}

impl<S: ManagedService> Shift<S> {
    fn counted(
        &self,
    ) -> std::sync::MutexGuard<'_, HashMap<ObjectRef<DeserializeGuard<S>>, Failures>> {
        self.failures.lock().expect("no holder of this lock panics")
    }

    /// When to try again after a failure: twice as long after each one in a row, give or take, up to a bound.
    fn retry(&self, service: &DeserializeGuard<S>, error: &Error) -> Action {
        let mut failures = self.counted();
        let known = &self.ctx.caches.primaries;
        failures.retain(|which, _| known.get(which).is_some());
        let counted = failures.entry(ObjectRef::from_obj(service));
        let wait = counted.or_insert_with(|| Failures::none(RETRY)).one_more();
        tracing::warn!(
            error = error as &dyn std::error::Error,
            kind = %S::kind(&()),
            name = service.name_any(),
            namespace = service.namespace(),
            retry_in_ms = wait.as_millis() as u64,
            "a reconcile failed"
        );
        Action::requeue(wait)
    }
}
