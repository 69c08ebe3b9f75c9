//! Says how things stand: the status, last and only when it differs, and an Event when a condition turns.

mod acknowledgements;
mod answers;
mod conditions;
mod pods;
mod unreadable;

use crate::{
    apply::Applied,
    dereference::{Observed, revision_of},
    error::Error,
    names,
    reconcile::Context,
};
use acknowledgements::Fold;
use crds::{ConfigStatus, ManagedService, ServiceStatus};
use k8s_openapi::{
    apimachinery::pkg::apis::meta::v1::{Condition, ObjectMeta, Time},
    jiff::Timestamp,
};
use kube::{
    Api, ResourceExt,
    api::{Patch, PatchParams},
    runtime::events::{Event, EventType, Recorder},
};
use serde_json::json;
use srv_config::{Revision, ServiceConfig as _};

pub(crate) use unreadable::unreadable;

/// Conditions whose turns are told as Events; the others follow from them.
const TOLD: [&str; 3] = [conditions::READY, conditions::CONFIG_APPLIED, conditions::PAUSED];
/// The most that an Event may say.
const NOTE_MAX: usize = 1000;

/// Writes the status if it differs from what the custom resource says already, and tells what turned.
pub(crate) async fn tell<S: ManagedService>(
    ctx: &Context<S>,
    observed: Observed<S>,
    applied: &Applied,
) -> Result<(), Error> {
    let observed = answers::awaited(ctx, observed, applied).await;
    let service = &*observed.service;
    let status = status(&observed, applied, Time(Timestamp::now()));
    if service.status() == Some(&status) {
        return Ok(());
    }
    write(ctx, service.meta(), &status).await?;
    // A new recorder each time: one that is kept takes a turn of the same reason for a repetition, within minutes, and
    // tells the words of the one before.
    let recorder = Recorder::new(ctx.client.clone(), ctx.reporter.clone());
    for event in events(service.status(), &status) {
        // An Event is a courtesy: the condition says the same and stays.
        if let Err(error) = recorder.publish(&event, &service.object_ref(&())).await {
            tracing::warn!(error = %error, reason = event.reason, "an Event was lost");
        }
    }
    Ok(())
}

async fn write<S: ManagedService>(
    ctx: &Context<S>,
    of: &ObjectMeta,
    status: &ServiceStatus,
) -> Result<(), Error> {
    let name = of.name.clone().unwrap_or_default();
    let api = Api::<kube::core::PartialObjectMeta<S>>::namespaced(
        ctx.client.clone(),
        of.namespace.as_deref().unwrap_or_default(),
    );
    let patch = json!({
        "apiVersion": S::api_version(&()),
        "kind": S::kind(&()),
        "metadata": {"name": name, "resourceVersion": of.resource_version},
        "status": status,
    });
    let parameters = PatchParams::apply(names::MANAGER).force();
    let written = api.patch_status(&name, &parameters, &Patch::Apply(patch)).await;
    ctx.numbers.wrote(&S::kind(&()));
    match written {
        // It went away meanwhile: there is nobody left to tell.
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
        Err(error) => {
            Err(Error::from_api("write", &format!("status of {} {name}", S::kind(&())), error))
        }
        Ok(written) => {
            ctx.caches.await_echo(&written.metadata).await;
            Ok(())
        }
    }
}

/// The whole status. Pure: `now` only stamps conditions that turn.
fn status<S: ManagedService>(
    observed: &Observed<S>,
    applied: &Applied,
    now: Time,
) -> ServiceStatus {
    let service = &*observed.service;
    let name = service.name_any();
    let revision = revision_in_force(observed, applied);
    let fold = acknowledgements::fold(observed, revision.as_ref());
    let pods = applied.deployment.as_deref().and_then(|deployment| deployment.status.as_ref());
    let port = service.config().restart().grpc_port;
    ServiceStatus {
        observed_generation: service.meta().generation,
        conditions: conditions::of(observed, applied, revision.as_ref(), &fold, now),
        endpoint: Some(format!("{name}.{}.svc:{port}", service.namespace().unwrap_or_default())),
        replicas: Some(pods.and_then(|pods| pods.replicas).unwrap_or(0)),
        ready_replicas: Some(pods.and_then(|pods| pods.ready_replicas).unwrap_or(0)),
        selector: Some(names::query(&names::selector::<S>(&name))),
        config: revision.map(|revision| config_status(revision.to_string(), fold)),
    }
}

/// The revision that the pods are to run. Where there is no ConfigMap, as while somebody else's object has its name,
/// the newest that is remembered: what forgets it here begins to count anew, and pods take no revision of a lower
/// number.
fn revision_in_force<S: ManagedService>(
    observed: &Observed<S>,
    applied: &Applied,
) -> Option<Revision> {
    let written = applied.config_map.as_deref().and_then(revision_of);
    written.or_else(|| observed.newest_revision())
}

fn config_status(revision: String, fold: Fold) -> ConfigStatus {
    ConfigStatus { revision, applied: fold.ratio(), rejected: fold.rejected }
}

/// An Event for each condition that turned: whose status or reason is another one than before, or that tells of another
/// revision. What a first visit finds undecided is no news, and neither is a step on the way.
fn events(before: Option<&ServiceStatus>, now: &ServiceStatus) -> Vec<Event> {
    let revision =
        |status: &ServiceStatus| status.config.as_ref().map(|config| config.revision.clone());
    let same_revision = before.and_then(revision) == revision(now);
    let has_turned = |condition: &&Condition| {
        let mut known = before.iter().flat_map(|status| &status.conditions);
        let Some(old) = known.find(|old| old.type_ == condition.type_) else {
            return !conditions::is_undecided(condition);
        };
        let same = old.status == condition.status && old.reason == condition.reason;
        !same || (condition.type_ == conditions::CONFIG_APPLIED && !same_revision)
    };
    let told = now.conditions.iter().filter(|condition| TOLD.contains(&condition.type_.as_str()));
    told.filter(has_turned)
        .filter(|condition| !conditions::is_under_way(condition))
        .map(event)
        .collect()
}

fn event(condition: &Condition) -> Event {
    let mut note = condition.message.clone();
    let end = note.char_indices().map(|(at, _)| at).find(|at| *at >= NOTE_MAX);
    note.truncate(end.unwrap_or(note.len()));
    Event {
        type_: if conditions::is_trouble(condition) {
            EventType::Warning
        } else {
            EventType::Normal
        },
        reason: condition.reason.clone(),
        note: Some(note),
        action: condition.type_.clone(),
        secondary: None,
    }
}
