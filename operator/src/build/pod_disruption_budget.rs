//! How many pods a node that is being emptied may take away at a time.

use super::Blueprint;
use crate::names;
use crds::ManagedService;
use k8s_openapi::{
    api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec},
    apimachinery::pkg::{apis::meta::v1::LabelSelector, util::intstr::IntOrString},
};

/// With two pods or more, one at a time. With one there is none: it would only keep the node from being emptied.
pub(super) fn pod_disruption_budget<S: ManagedService>(
    of: &Blueprint<'_, S>,
) -> Option<PodDisruptionBudget> {
    (of.replicas() >= 2).then(|| PodDisruptionBudget {
        metadata: of.owned(of.name()),
        spec: Some(PodDisruptionBudgetSpec {
            max_unavailable: Some(IntOrString::Int(1)),
            // A pod that does not serve anyway must not keep its node.
            unhealthy_pod_eviction_policy: Some("AlwaysAllow".to_owned()),
            selector: Some(LabelSelector {
                match_labels: Some(names::selector::<S>(&of.name())),
                ..LabelSelector::default()
            }),
            ..PodDisruptionBudgetSpec::default()
        }),
        ..PodDisruptionBudget::default()
    })
}
