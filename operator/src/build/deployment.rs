//! The pods, and how new ones take the place of old ones.

use super::{Blueprint, pod};
use crate::names;
use crds::ManagedService;
use k8s_openapi::{
    api::{
        apps::v1::{Deployment, DeploymentSpec, DeploymentStrategy, RollingUpdateDeployment},
        core::v1::{PodTemplateSpec, ServiceAccount},
    },
    apimachinery::pkg::{
        apis::meta::v1::{LabelSelector, ObjectMeta},
        util::intstr::IntOrString,
    },
};

/// How many old `ReplicaSets` are kept, for `kubectl rollout undo`.
const OLD_REPLICA_SETS: i32 = 3;
/// After how many seconds without progress a rollout is reported as stuck: a migration and an image pull fit in.
const PROGRESS_DEADLINE_SECONDS: i32 = 300;

/// A Deployment that lacks only the identity of its pods, which the API gives to the ServiceAccount when it is written.
#[derive(Clone, Debug)]
pub(crate) struct Draft(Deployment);

impl Draft {
    /// The Deployment of pods that run under `account`. Another account of the same name is a rolling update.
    pub(crate) fn under(self, account: &ServiceAccount) -> Deployment {
        let Self(mut deployment) = self;
        let template = deployment.spec.as_mut().map(|spec| &mut spec.template);
        if let Some(metadata) = template.and_then(|template| template.metadata.as_mut()) {
            let uid = account.metadata.uid.clone().unwrap_or_default();
            let annotations = metadata.annotations.get_or_insert_default();
            annotations.insert(names::ACCOUNT.to_owned(), uid);
        }
        deployment
    }
}

/// The Deployment. A changed pod template is a rolling update that never has fewer pods than asked for; on `SQLite`,
/// where two pods must not share the file, the old pod goes first.
pub(super) fn deployment<S: ManagedService>(of: &Blueprint<'_, S>) -> Draft {
    Draft(Deployment {
        metadata: of.owned(of.name()),
        spec: Some(DeploymentSpec {
            replicas: Some(of.replicas()),
            revision_history_limit: Some(OLD_REPLICA_SETS),
            progress_deadline_seconds: Some(PROGRESS_DEADLINE_SECONDS),
            selector: LabelSelector {
                match_labels: Some(names::selector::<S>(&of.name())),
                ..LabelSelector::default()
            },
            strategy: Some(strategy(of.service.workload().database.sqlite.is_some())),
            template: PodTemplateSpec {
                metadata: Some(ObjectMeta {
                    labels: Some(names::labels::<S>(&of.name())),
                    annotations: Some([(names::RESTART_HASH.to_owned(), restart_hash(of))].into()),
                    ..ObjectMeta::default()
                }),
                spec: Some(pod::pod(of)),
            },
            ..DeploymentSpec::default()
        }),
        ..Deployment::default()
    })
}

fn strategy(one_at_a_time: bool) -> DeploymentStrategy {
    if one_at_a_time {
        return DeploymentStrategy { type_: Some("Recreate".to_owned()), rolling_update: None };
    }
    DeploymentStrategy {
        type_: Some("RollingUpdate".to_owned()),
        rolling_update: Some(RollingUpdateDeployment {
            max_surge: Some(IntOrString::Int(1)),
            max_unavailable: Some(IntOrString::Int(0)),
        }),
    }
}

/// The hash of all that only a new process takes over. Hot fields are not in it, so they never roll a pod.
fn restart_hash<S: ManagedService>(of: &Blueprint<'_, S>) -> String {
    let workload = of.service.workload();
    let parts = (of.restart(), &workload.database, of.service.redis(), &workload.tls);
    srv_config::hash_of(&serde_json::to_string(&parts).expect("a spec is a tree of plain values"))
}
