//! Gives the pods a moment to say what they did with a configuration that was just written, so that the status tells
//! the outcome, once, instead of every step on the way to it.

use super::acknowledgements::fold;
use crate::{
    apply::Applied,
    dereference::{Observed, revision_of},
    reconcile::Context,
};
use crds::ManagedService;
use kube::{Resource, ResourceExt, runtime::reflector::ObjectRef};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// The longest wait. Pods usually answer within a few milliseconds; one that takes longer is reported as not heard yet,
/// and its answer is told when it comes.
const ANSWERS_WITHIN: Duration = Duration::from_millis(25);
const LISTEN_EVERY: Duration = Duration::from_millis(1);

/// What was observed, with the answers to a configuration that `applied` has just brought. Ends at once when there is
/// nothing to wait for, and when the custom resource has changed again.
pub(super) async fn awaited<S: ManagedService>(
    ctx: &Context<S>,
    mut observed: Observed<S>,
    applied: &Applied,
) -> Observed<S> {
    let written = applied.config_map.as_deref().and_then(revision_of);
    if written == observed.config_map().and_then(|before| revision_of(before)) {
        return observed;
    }
    let deadline = Instant::now() + ANSWERS_WITHIN;
    while !fold(&observed, written.as_ref()).silent.is_empty()
        && Instant::now() < deadline
        && !has_changed_again(ctx, &observed.service)
    {
        sleep(LISTEN_EVERY).await;
        hear(ctx, &mut observed);
    }
    observed
}

fn has_changed_again<S: ManagedService>(ctx: &Context<S>, service: &S) -> bool {
    let known = ctx.caches.primaries.get(&ObjectRef::from_obj(service).into_kind_unchecked(()));
    known.is_some_and(|known| known.meta().generation > service.meta().generation)
}

/// Takes over what the watch has brought of the shards.
fn hear<S: ManagedService>(ctx: &Context<S>, observed: &mut Observed<S>) {
    let namespace = observed.service.namespace().unwrap_or_default();
    let shards: Vec<String> = observed.shards().map(|shard| shard.name_any()).collect();
    for name in shards {
        if let Some(now) =
            ctx.caches.config_maps.store.get(&ObjectRef::new(&name).within(&namespace))
        {
            observed.config_maps.insert(name, now);
        }
    }
}
