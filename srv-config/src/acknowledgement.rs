//! What a pod writes back about the configuration it has read.

use crate::Revision;
use serde::{Deserialize, Serialize};

/// The most ConfigMaps over which the pods of one resource spread their acknowledgements: with more, folding them costs
/// the operator more than contention between pods costs the API server.
pub const SHARDS_MAX: u32 = 16;

/// How many pods share one acknowledgement ConfigMap. Merge patches of more pods than this queue up on one object.
const PODS_PER_SHARD: u32 = 4;

/// How many acknowledgement ConfigMaps serve `replicas` pods: one for every four, at least one, at most [`SHARDS_MAX`].
pub fn shards_for(replicas: u32) -> u32 {
    replicas.div_ceil(PODS_PER_SHARD).clamp(1, SHARDS_MAX)
}

/// The shard, from 0 to `shards - 1`, into which the pod of this name writes (FNV-1a, so that every version agrees).
pub fn shard_of(pod: &str, shards: u32) -> u32 {
    let hash = pod
        .bytes()
        .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    hash % shards.max(1)
}

/// One pod's entry in an acknowledgement ConfigMap: the pod's name is the key, this as JSON is the value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Acknowledgement {
    /// The newest revision that the pod has read.
    pub revision: Revision,
    /// What the pod did with it.
    pub outcome: Outcome,
}

/// What a pod did with a revision it has read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    /// The process runs with every field of it.
    Applied,
    /// The hot fields are in force, but fields under `restart` differ from those that this process started with.
    AwaitsRestart,
    /// The pod stays with the last good revision.
    Rejected(Rejection),
}

/// Why a pod did not take a revision over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rejection {
    /// The field at fault as the custom resource spells it below `spec.config`, such as `redisLock.ttlMilliseconds`.
    pub field: String,
    /// What is wrong with it, and what to write instead.
    pub reason: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_grow_with_replicas_and_stay_bounded() {
        assert_eq!([0, 1, 4, 5, 60, 64, 1000].map(shards_for), [1, 1, 1, 2, 15, 16, 16]);
    }

    #[test]
    fn a_pod_always_writes_into_an_existing_shard() {
        for shards in 1..=SHARDS_MAX {
            assert!(shard_of("inventory-7c9f8d5b6-x2x4q", shards) < shards);
        }
    }

    #[test]
    fn an_acknowledgement_reads_back_as_it_was_written() {
        let rejection = Rejection {
            field: "lockStrategy".into(),
            reason: "Redis refused the credentials".into(),
        };
        let written = Acknowledgement {
            revision: "7-1a2b3c4d5e6f".parse().unwrap(),
            outcome: Outcome::Rejected(rejection),
        };
        let json = serde_json::to_string(&written).unwrap();
        assert_eq!(serde_json::from_str::<Acknowledgement>(&json).unwrap(), written);
    }
}
