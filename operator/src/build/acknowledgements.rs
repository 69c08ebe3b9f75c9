//! Where the pods write what they did with the configuration.

use super::Blueprint;
use crate::names;
use crds::ManagedService;
use k8s_openapi::api::core::v1::ConfigMap;

/// One ConfigMap for every few pods, so that their patches do not queue up on one object. The operator owns the
/// objects, the pods own the data.
pub(super) fn acknowledgements<S: ManagedService>(of: &Blueprint<'_, S>) -> Vec<ConfigMap> {
    (0..of.shards())
        .map(|shard| ConfigMap {
            metadata: of.owned(names::acknowledgements(&of.name(), shard)),
            ..ConfigMap::default()
        })
        .collect()
}
