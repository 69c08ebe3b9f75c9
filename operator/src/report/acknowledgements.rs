//! What the pods say they did with the configuration, folded over the pods that serve.

use super::pods::has_ended;
use crate::{
    dereference::{Observed, shards_of},
    names,
};
use crds::{ManagedService, RejectedConfig};
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointSlice};
use kube::ResourceExt;
use srv_config::{Acknowledgement, Outcome, Revision, shard_of};
use std::collections::{BTreeMap, BTreeSet};

/// How many rejections a status lists; all pods read the same text, so more would say the same.
const REJECTED_MAX: usize = 16;

/// Where every serving pod stands.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Fold {
    /// Pods that take calls.
    pub serving: usize,
    /// Those of them that run the current revision whole.
    pub applied: usize,
    /// Those that refused it, and pods that refused it and therefore do not serve.
    pub rejected: Vec<RejectedConfig>,
    /// Those that run its hot half and wait to be replaced for the rest.
    pub awaiting_restart: Vec<String>,
    /// Those that have not spoken of it yet.
    pub silent: Vec<String>,
}

impl Fold {
    /// As the status shows it: `3/3`.
    pub(super) fn ratio(&self) -> String {
        format!("{}/{}", self.applied, self.serving)
    }
}

/// Folds the acknowledgements of `current` over the pods that serve. A pod counts as applied only when it says so of
/// this very revision; what it said of an earlier one counts for nothing. A pod that does not serve counts for nothing
/// either, unless it refuses the revision: that may be why it does not serve.
pub(super) fn fold<S: ManagedService>(observed: &Observed<S>, current: Option<&Revision>) -> Fold {
    let (staying, said) = (staying(observed), said(observed));
    let serving: BTreeSet<String> =
        serving(observed).into_iter().filter(|pod| staying.contains(pod)).collect();
    let mut fold = Fold { serving: serving.len(), ..Fold::default() };
    for pod in staying {
        let serves = serving.contains(&pod);
        let word = said.get(&pod).filter(|said| Some(&said.revision) == current);
        match word.map(|said| &said.outcome) {
            Some(Outcome::Rejected(rejection)) => {
                if fold.rejected.len() < REJECTED_MAX {
                    fold.rejected.push(RejectedConfig {
                        pod,
                        field: rejection.field.clone(),
                        reason: rejection.reason.clone(),
                    });
                }
            }
            _ if !serves => {}
            Some(Outcome::Applied) => fold.applied += 1,
            Some(Outcome::AwaitsRestart) => fold.awaiting_restart.push(pod),
            None => fold.silent.push(pod),
        }
    }
    fold
}

/// The pods that exist and are not on their way out. One that was evicted stays as an object and runs no more.
fn staying<S: ManagedService>(observed: &Observed<S>) -> BTreeSet<String> {
    let pods = observed.pods.iter().filter(|pod| pod.metadata.deletion_timestamp.is_none());
    pods.filter(|pod| !has_ended(pod)).map(|pod| pod.name_any()).collect()
}

/// The pods behind the ready endpoints of the Service.
fn serving<S: ManagedService>(observed: &Observed<S>) -> BTreeSet<String> {
    let name = observed.service.name_any();
    let of_the_service =
        |slice: &&EndpointSlice| slice.labels().get(names::SERVICE_NAME_LABEL) == Some(&name);
    let slices = observed.slices.iter().map(|slice| &**slice).filter(of_the_service);
    let endpoints = slices.flat_map(|slice| slice.endpoints.iter().flatten());
    let ready = endpoints.filter(|endpoint| is_ready(endpoint));
    ready.filter_map(|endpoint| endpoint.target_ref.as_ref()?.name.clone()).collect()
}

fn is_ready(endpoint: &Endpoint) -> bool {
    let conditions = endpoint.conditions.clone().unwrap_or_default();
    // The API says that an unknown readiness is to be taken for ready.
    conditions.ready.unwrap_or(true) && !conditions.terminating.unwrap_or(false)
}

/// The last word of each pod. After the number of shards changed a pod may stand in two: the newer revision is the
/// last, and of the same one what stands where the pod writes now.
fn said<S: ManagedService>(observed: &Observed<S>) -> BTreeMap<String, Acknowledgement> {
    let service = observed.service.name_any();
    let shards = observed.config_map().and_then(|config_map| shards_of(config_map)).unwrap_or(1);
    let mut said: BTreeMap<String, (bool, Acknowledgement)> = BTreeMap::new();
    for shard in observed.shards() {
        for (pod, text) in shard.data.iter().flatten() {
            // Another text than an acknowledgement says nothing; the pod's next word takes its place.
            let Ok(word) = serde_json::from_str::<Acknowledgement>(text) else { continue };
            let place = names::acknowledgements(&service, shard_of(pod, shards));
            let rank = (word.revision.number, shard.name_any() == place);
            if said.get(pod).is_none_or(|(own, known)| (known.revision.number, *own) < rank) {
                said.insert(pod.clone(), (rank.1, word));
            }
        }
    }
    said.into_iter().map(|(pod, (_, word))| (pod, word)).collect()
}
