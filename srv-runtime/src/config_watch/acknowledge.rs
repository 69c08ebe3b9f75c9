//! Writes what this pod did with the newest revision, where the operator folds it into the custom resource's status.

use super::Kubernetes;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use serde_json::json;
use srv_config::{Acknowledgement, shard_of};
use std::time::Duration;
use tokio::{sync::watch, time::timeout};

/// How often an acknowledgement is written again, so that a lost one is back within 30 s. A write that changes nothing
/// costs the API server no revision, and keeps the connection warm for the next real one.
const RENEWAL: Duration = Duration::from_secs(25);

/// The pause after the first failed write; it doubles up to [`PAUSE_MAX`].
const PAUSE_MIN: Duration = Duration::from_millis(100);

/// The longest pause between two tries; the 30 s of a missing acknowledgement hold with it, too.
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// A write that takes longer counts as failed: its connection may be dead.
const WRITE_TIMEOUT: Duration = Duration::from_secs(5);

/// What to write, and over how many ConfigMaps pods are spread.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Statement {
    pub(super) acknowledgement: Acknowledgement,
    pub(super) shards: u32,
}

/// Writes each new statement at once and the last one again and again, until the sender is gone.
pub(super) async fn keep(
    kubernetes: Kubernetes,
    mut statements: watch::Receiver<Option<Statement>>,
) {
    let mut pause = PAUSE_MIN;
    loop {
        let statement = statements.borrow_and_update().clone();
        let next = match &statement {
            None => RENEWAL,
            Some(statement) => match write(&kubernetes, statement).await {
                Ok(()) => {
                    pause = PAUSE_MIN;
                    RENEWAL
                }
                Err(reason) => {
                    if pause == PAUSE_MIN {
                        tracing::warn!(reason, "an acknowledgement could not be written; retrying");
                    }
                    let next = pause;
                    pause = (pause * 2).min(PAUSE_MAX);
                    next
                }
            },
        };
        // Elapsed: time to write it again.
        if let Ok(Err(_sender_gone)) = timeout(next, statements.changed()).await {
            return;
        }
    }
}

async fn write(kubernetes: &Kubernetes, statement: &Statement) -> Result<(), String> {
    let shard = shard_of(&kubernetes.pod, statement.shards);
    let name = format!("{}-acks-{shard}", kubernetes.config_map);
    let value = serde_json::to_string(&statement.acknowledgement)
        .expect("an acknowledgement is a tree of plain values");
    let patch = Patch::Merge(json!({ "data": { &kubernetes.pod: value } }));
    let config_maps: Api<ConfigMap> =
        Api::namespaced(kubernetes.client.clone(), &kubernetes.namespace);
    match timeout(WRITE_TIMEOUT, config_maps.patch(&name, &PatchParams::default(), &patch)).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(format!("{name}: {error}")),
        Err(_) => Err(format!("{name}: no answer within {WRITE_TIMEOUT:?}")),
    }
}
