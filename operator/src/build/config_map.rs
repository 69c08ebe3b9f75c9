//! The configuration as the pods read it.

use super::Blueprint;
use crate::names;
use crds::ManagedService;
use k8s_openapi::api::core::v1::ConfigMap;

/// The one object that every pod watches and mounts: the rendered configuration, its revision, and where to
/// acknowledge.
pub(super) fn config_map<S: ManagedService>(of: &Blueprint<'_, S>) -> ConfigMap {
    let data = [
        (srv_config::CONFIG_FILE, of.text.clone()),
        (srv_config::REVISION_FILE, of.revision.to_string()),
        (srv_config::SHARDS_FILE, of.shards().to_string()),
    ];
    ConfigMap {
        metadata: of.owned(names::config_map(&of.name())),
        data: Some(data.map(|(key, value)| (key.to_owned(), value)).into()),
        ..ConfigMap::default()
    }
}
