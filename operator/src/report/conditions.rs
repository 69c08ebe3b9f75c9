//! The conditions. A pure function of what was seen and done; a condition's time changes only when its status does.

use super::{
    acknowledgements::Fold,
    pods::{self, Trouble},
};
use crate::{apply::Applied, dereference::Observed, obstacle::Obstacle};
use crds::ManagedService;
use k8s_openapi::{
    api::apps::v1::Deployment,
    apimachinery::pkg::apis::meta::v1::{Condition, Time},
};
use srv_config::Revision;

/// Sums up: everything is as the spec asks.
pub(super) const READY: &str = "Ready";
/// At least one pod takes calls.
const AVAILABLE: &str = "Available";
/// Pods are being started or replaced.
const PROGRESSING: &str = "Progressing";
/// Every serving pod runs the current configuration.
pub(super) const CONFIG_APPLIED: &str = "ConfigApplied";
/// Nothing is changed.
pub(super) const PAUSED: &str = "Paused";

/// The longest message: a status is read by people.
const MESSAGE_MAX: usize = 2048;

/// Reasons that stand for "on its way": no Event tells them.
const UNDER_WAY: [&str; 3] = ["RollingOut", "AwaitingPods", "NotPaused"];
/// Reasons of a condition that is False without anything being wrong.
const HARMLESS: [&str; 4] = ["NotPaused", "RollingOut", "AwaitingPods", "ScaledToZero"];

/// All conditions, in the order in which `kubectl describe` shows them.
pub(super) fn of<S: ManagedService>(
    observed: &Observed<S>,
    applied: &Applied,
    revision: Option<&Revision>,
    fold: &Fold,
    now: Time,
) -> Vec<Condition> {
    let before = observed.service.status().map_or(&[][..], |status| &status.conditions);
    let is_paused = applied.obstacle == Some(Obstacle::Paused);
    // That it is paused is told by a condition of its own.
    let obstacle = applied.obstacle.as_ref().filter(|_| !is_paused);
    let deployment = applied.deployment.as_deref();
    let asked = observed.service.workload().replicas;
    // What a paused resource asks for is not carried out, so all but `Paused` is about what was asked before.
    let asked = replicas_of(deployment).filter(|_| is_paused).unwrap_or(asked);
    let generation = observed.service.meta().generation;
    let carried_out = before.iter().find(|condition| condition.type_ == READY);
    let carried_out = carried_out.and_then(|condition| condition.observed_generation);
    let carried_out = carried_out.filter(|_| is_paused).or(generation);
    let rollout = Rollout::of(deployment, asked);
    let trouble = pods::trouble(&observed.pods);
    let config = ConfigOf { wanted: wanted(observed), revision };
    let ready = ready(obstacle, &rollout, trouble.as_ref(), fold);
    let paused = match &applied.obstacle {
        Some(obstacle @ Obstacle::Paused) => ("True", obstacle.reason(), obstacle.message()),
        _ => ("False", "NotPaused", "changes are carried out".to_owned()),
    };
    let mut conditions = Conditions::new(before, carried_out, now);
    for (kind, (status, reason, message)) in [
        (READY, ready),
        (AVAILABLE, available(&rollout)),
        (PROGRESSING, progressing(obstacle, &rollout, trouble.as_ref())),
        (CONFIG_APPLIED, config_applied(obstacle, &config, fold)),
    ] {
        conditions = conditions.with(kind, status, reason, message);
    }
    let (status, reason, message) = paused;
    conditions.about(generation).with(PAUSED, status, reason, message).done()
}

fn replicas_of(deployment: Option<&Deployment>) -> Option<i32> {
    deployment?.spec.as_ref()?.replicas
}

type Verdict = (&'static str, &'static str, String);

/// How far the Deployment is.
struct Rollout {
    asked: i32,
    ready: i32,
    /// Every pod is new, and no old one is left.
    complete: bool,
    /// Kubernetes has given up waiting, with these words.
    stuck: Option<String>,
}

impl Rollout {
    fn of(deployment: Option<&Deployment>, asked: i32) -> Self {
        let status =
            deployment.and_then(|deployment| deployment.status.clone()).unwrap_or_default();
        let generation = deployment.and_then(|deployment| deployment.metadata.generation);
        let seen = generation.is_some() && status.observed_generation >= generation;
        let [all, updated, ready] =
            [status.replicas, status.updated_replicas, status.ready_replicas]
                .map(|count| count.unwrap_or(0));
        let stuck = status.conditions.iter().flatten().find(|condition| {
            condition.type_ == "Progressing"
                && condition.reason.as_deref() == Some("ProgressDeadlineExceeded")
        });
        Self {
            asked,
            ready,
            complete: seen && all == asked && updated == asked && ready == asked,
            stuck: stuck
                .filter(|_| seen)
                .map(|condition| condition.message.clone().unwrap_or_default()),
        }
    }

    fn ratio(&self) -> String {
        format!("{} of {} pods are ready", self.ready, self.asked)
    }
}

fn ready(
    obstacle: Option<&Obstacle>,
    rollout: &Rollout,
    trouble: Option<&Trouble>,
    fold: &Fold,
) -> Verdict {
    if let Some(obstacle) = obstacle {
        return ("False", obstacle.reason(), obstacle.message());
    }
    if let Some(rejected) = fold.rejected.first() {
        let message = format!(
            "pod {} keeps the last good configuration, it refused {}: {}",
            rejected.pod, rejected.field, rejected.reason
        );
        return ("False", "ConfigRejected", message);
    }
    if rollout.complete {
        return ("True", "AsAsked", rollout.ratio());
    }
    if let Some(trouble) = trouble {
        return ("False", trouble.reason, trouble.message.clone());
    }
    match &rollout.stuck {
        Some(words) => ("False", "RolloutStuck", words.clone()),
        None => ("False", "RollingOut", rollout.ratio()),
    }
}

fn available(rollout: &Rollout) -> Verdict {
    match (rollout.asked, rollout.ready) {
        (_, 1..) => ("True", "Serving", rollout.ratio()),
        (0, _) => ("False", "ScaledToZero", "spec.replicas is 0: nothing serves".to_owned()),
        _ => ("False", "NoPodReady", rollout.ratio()),
    }
}

fn progressing(
    obstacle: Option<&Obstacle>,
    rollout: &Rollout,
    trouble: Option<&Trouble>,
) -> Verdict {
    if let Some(obstacle) = obstacle {
        return ("False", obstacle.reason(), obstacle.message());
    }
    match (rollout.complete, &rollout.stuck, trouble) {
        (true, ..) => ("False", "Complete", "every pod is as the spec asks".to_owned()),
        (false, Some(words), _) => ("False", "RolloutStuck", words.clone()),
        (false, None, Some(trouble)) => ("True", trouble.reason, trouble.message.clone()),
        (false, None, None) => ("True", "RollingOut", rollout.ratio()),
    }
}

/// The configuration as the spec asks for it, by its hash, and as it was written.
struct ConfigOf<'a> {
    wanted: String,
    revision: Option<&'a Revision>,
}

fn wanted<S: ManagedService>(observed: &Observed<S>) -> String {
    srv_config::hash_of(&srv_config::render(&observed.service.config()))
}

fn config_applied(obstacle: Option<&Obstacle>, config: &ConfigOf<'_>, fold: &Fold) -> Verdict {
    if let Some(obstacle) = obstacle
        && config.revision.is_none_or(|written| written.hash != config.wanted)
    {
        return ("False", obstacle.reason(), obstacle.message());
    }
    let revision =
        config.revision.map_or_else(|| "no revision yet".to_owned(), |it| format!("revision {it}"));
    let ratio = format!("{} serving pods run {revision}", fold.ratio());
    if let Some(rejected) = fold.rejected.first() {
        let words = format!("{}: {}: {}", rejected.pod, rejected.field, rejected.reason);
        return ("False", "ConfigRejected", format!("{ratio}; refused by pod {words}"));
    }
    if fold.serving == 0 {
        return ("Unknown", "NoPodServes", "no pod serves that could say so".to_owned());
    }
    if !fold.awaiting_restart.is_empty() {
        let pods = fold.awaiting_restart.join(", ");
        return ("False", "AwaitingRestart", format!("{ratio}; to be replaced: {pods}"));
    }
    if fold.applied < fold.serving {
        return (
            "False",
            "AwaitingPods",
            format!("{ratio}; not heard yet: {}", fold.silent.join(", ")),
        );
    }
    ("True", "Applied", ratio)
}

/// Whether a condition says that something is wrong.
pub(super) fn is_trouble(condition: &Condition) -> bool {
    condition.status == "False" && !HARMLESS.contains(&condition.reason.as_str())
}

/// Whether a condition is only on its way to another.
pub(super) fn is_under_way(condition: &Condition) -> bool {
    condition.type_ != PAUSED && UNDER_WAY.contains(&condition.reason.as_str())
}

/// Whether a condition says nothing on a first visit.
pub(super) fn is_undecided(condition: &Condition) -> bool {
    condition.status == "Unknown" || HARMLESS.contains(&condition.reason.as_str())
}

/// Builds the list from the one before it.
pub(super) struct Conditions<'a> {
    before: &'a [Condition],
    generation: Option<i64>,
    now: Time,
    done: Vec<Condition>,
}

impl<'a> Conditions<'a> {
    /// Conditions about `generation`, after those `before`.
    pub(super) fn new(before: &'a [Condition], generation: Option<i64>, now: Time) -> Self {
        Self { before, generation, now, done: Vec::new() }
    }

    /// Those that follow are about this generation.
    pub(super) fn about(self, generation: Option<i64>) -> Self {
        Self { generation, ..self }
    }

    /// Those of before that are not told anew, as they were.
    pub(super) fn with_the_others(mut self) -> Self {
        for old in self.before {
            if !self.done.iter().any(|told| told.type_ == old.type_) {
                self.done.push(old.clone());
            }
        }
        self
    }

    /// One more.
    pub(super) fn with(
        mut self,
        kind: &str,
        status: &str,
        reason: &str,
        mut message: String,
    ) -> Self {
        let end = message.char_indices().map(|(at, _)| at).find(|at| *at >= MESSAGE_MAX);
        message.truncate(end.unwrap_or(message.len()));
        let old = self.before.iter().find(|old| old.type_ == kind && old.status == status);
        self.done.push(Condition {
            type_: kind.to_owned(),
            status: status.to_owned(),
            reason: reason.to_owned(),
            message,
            observed_generation: self.generation,
            last_transition_time: old
                .map_or_else(|| self.now.clone(), |old| old.last_transition_time.clone()),
        });
        self
    }

    /// The list.
    pub(super) fn done(self) -> Vec<Condition> {
        self.done
    }
}
