//! What keeps a pod from running, in its own words. The operator may not read the kubelet's Events; everything here
//! stands in the pods' status.

use crate::names;
use k8s_openapi::api::core::v1::{ContainerState, ContainerStatus, Pod};
use kube::ResourceExt;
use std::sync::Arc;

/// Waiting reasons of a pod that is simply starting.
const STARTING: [&str; 2] = ["ContainerCreating", "PodInitializing"];

/// Why a pod does not run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Trouble {
    /// The condition's reason.
    pub reason: &'static str,
    /// Pod, container and the words.
    pub message: String,
}

/// The trouble of the newest pod that has any; older ones are on their way out.
pub(super) fn trouble(pods: &[Arc<Pod>]) -> Option<Trouble> {
    let mut staying: Vec<&Pod> = pods
        .iter()
        .map(|pod| &**pod)
        .filter(|pod| pod.metadata.deletion_timestamp.is_none())
        .collect();
    staying.sort_by_key(|pod| {
        std::cmp::Reverse((pod.metadata.creation_timestamp.clone(), pod.name_any()))
    });
    // One that has ended is told of while it is the newest: another one has taken its place otherwise.
    let newest = staying.first().copied();
    let told =
        |pod: &&Pod| !has_ended(pod) || newest.is_some_and(|newest| std::ptr::eq(newest, *pod));
    staying.iter().copied().filter(told).find_map(of_pod)
}

/// Whether a pod has ended as a whole, as one that was evicted: it stays as an object and never runs again.
pub(super) fn has_ended(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    matches!(phase, Some("Failed" | "Succeeded"))
}

fn of_pod(pod: &Pod) -> Option<Trouble> {
    let status = pod.status.as_ref()?;
    let name = pod.name_any();
    let unschedulable = status.conditions.iter().flatten().find(|condition| {
        condition.type_ == "PodScheduled"
            && condition.status == "False"
            && condition.reason.as_deref() == Some("Unschedulable")
    });
    if let Some(condition) = unschedulable {
        let words = condition.message.as_deref().unwrap_or("no node fits");
        return Some(Trouble {
            reason: "PodUnschedulable",
            message: format!("pod {name} finds no node: {words}"),
        });
    }
    let containers = status
        .init_container_statuses
        .iter()
        .flatten()
        .chain(status.container_statuses.iter().flatten());
    for container in containers {
        if let Some(words) = of_container(container) {
            return Some(Trouble {
                reason: if container.name == names::MIGRATE {
                    "MigrationFailed"
                } else {
                    "PodFailing"
                },
                message: format!("pod {name}, container {}: {words}", container.name),
            });
        }
    }
    // Evicted and the like: the pod has ended as a whole.
    (status.phase.as_deref() == Some("Failed")).then(|| Trouble {
        reason: "PodFailing",
        message: format!(
            "pod {name} failed: {} {}",
            status.reason.as_deref().unwrap_or("no reason given"),
            status.message.as_deref().unwrap_or_default()
        ),
    })
}

/// What a container that does not run says. One that was restarted and runs again says nothing.
fn of_container(container: &ContainerStatus) -> Option<String> {
    let state = container.state.as_ref()?;
    if let Some(ended) = &state.terminated {
        return (ended.exit_code != 0).then(|| last_words(state).unwrap_or_default());
    }
    let waiting = state.waiting.as_ref()?;
    let reason = waiting.reason.as_deref().unwrap_or_default();
    let before = container.last_state.as_ref().and_then(last_words);
    if reason.is_empty() || STARTING.contains(&reason) {
        return None;
    }
    // What the process said before it ended tells more than that it is not started again yet.
    Some(match before {
        Some(words) => format!("{reason}: {words}"),
        None => format!("{reason}: {}", waiting.message.as_deref().unwrap_or("no message given")),
    })
}

/// The termination message, or the exit code where there is none.
fn last_words(state: &ContainerState) -> Option<String> {
    let ended = state.terminated.as_ref()?;
    let words = ended.message.as_deref().map(str::trim).filter(|words| !words.is_empty());
    Some(match words {
        Some(words) => words.to_owned(),
        None => format!(
            "ended with exit code {} ({})",
            ended.exit_code,
            ended.reason.as_deref().unwrap_or("no reason given")
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod(name: &str, created: &str, phase: &str) -> Arc<Pod> {
        let pod = json!({
            "metadata": {"name": name, "creationTimestamp": created},
            "status": {"phase": phase, "reason": "Evicted"},
        });
        Arc::new(serde_json::from_value(pod).unwrap())
    }

    #[test]
    fn a_pod_that_was_evicted_is_told_of_until_another_has_taken_its_place() {
        let evicted = pod("a", "2026-01-01T00:00:00Z", "Failed");
        let told = trouble(std::slice::from_ref(&evicted)).unwrap();
        assert_eq!((told.reason, told.message.contains("Evicted")), ("PodFailing", true));
        let next = pod("b", "2026-01-01T00:01:00Z", "Running");
        assert_eq!(trouble(&[evicted, next]), None);
    }
}
