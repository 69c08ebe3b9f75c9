//! Brings the world of one custom resource to what its spec asks. Four steps; only the second decides anything.
//! Holds no memory between calls: whatever a crash interrupts, the next call finishes.

use crate::{
    apply,
    build::{self, Settings},
    caches::Caches,
    dereference::{self, Look},
    error::Error,
    numbers::Numbers,
    report,
};
use crds::ManagedService;
use kube::{
    Client,
    core::{DeserializeGuard, error_boundary::InvalidObject},
    runtime::{controller::Action, events::Reporter},
};
use std::{sync::Arc, time::Instant};

/// How often one call may find that what it saw had changed before it gives way to others and comes back later.
const LOOKS_MAX: usize = 5;

/// What every reconcile of one kind needs.
pub(crate) struct Context<S: ManagedService> {
    pub client: Client,
    pub caches: Caches<S>,
    pub settings: Settings,
    pub reporter: Reporter,
    pub numbers: Numbers,
}

/// Brings the children and the status of `service` to what its spec asks.
///
/// The first look is at the caches, which costs nothing. Every write carries the version it was decided on, so what was
/// decided on an old view is answered with a conflict; then the next look is at the API itself.
pub(crate) async fn reconcile<S: ManagedService>(
    service: Arc<S>,
    ctx: Arc<Context<S>>,
) -> Result<Action, Error> {
    if service.meta().deletion_timestamp.is_some() {
        // The children carry owner references: the garbage collector takes them away.
        return Ok(Action::await_change());
    }
    let started = Instant::now();
    let mut done = attempt(service.clone(), &ctx, Look::AtCaches).await;
    for _ in 1..LOOKS_MAX {
        match done {
            Err(Error::Stale { .. }) => done = attempt(service.clone(), &ctx, Look::AtTheApi).await,
            _ => break,
        }
    }
    ctx.numbers.reconciled(S::BINARY, &done, started.elapsed());
    done
}

async fn attempt<S: ManagedService>(
    service: Arc<S>,
    ctx: &Context<S>,
    look: Look,
) -> Result<Action, Error> {
    let Some(observed) = dereference::observe(service, ctx, look).await? else {
        return Ok(Action::await_change());
    };
    let desired = build::children(&observed, &ctx.settings);
    let applied = apply::children(ctx, &observed, desired).await?;
    report::tell(ctx, observed, &applied).await?;
    Ok(applied.next_look())
}

/// [`reconcile`], for what may not even be a custom resource of ours: one that an older CRD let in must not stop the
/// rest.
pub(crate) async fn reconcile_guarded<S: ManagedService>(
    guarded: Arc<DeserializeGuard<S>>,
    ctx: Arc<Context<S>>,
) -> Result<Action, Error> {
    match &guarded.0 {
        Ok(service) => reconcile(Arc::new(service.clone()), ctx).await,
        Err(InvalidObject { error, metadata }) => {
            report::unreadable(&ctx, metadata, error).await?;
            Ok(Action::await_change())
        }
    }
}
