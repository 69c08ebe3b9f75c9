//! What the pods may do in the API.

use super::Blueprint;
use crate::names;
use crds::ManagedService;
use k8s_openapi::api::rbac::v1::{PolicyRule, Role};

/// The pods may watch their one configuration and write their acknowledgements; nothing else, and no other object.
pub(super) fn role<S: ManagedService>(of: &Blueprint<'_, S>) -> Role {
    let service = of.name();
    let shards = (0..of.shards()).map(|shard| names::acknowledgements(&service, shard)).collect();
    Role {
        metadata: of.owned(service.clone()),
        rules: Some(vec![
            config_maps(&["get", "list", "watch"], vec![names::config_map(&service)]),
            config_maps(&["patch"], shards),
        ]),
    }
}

fn config_maps(verbs: &[&str], names: Vec<String>) -> PolicyRule {
    PolicyRule {
        api_groups: Some(vec![String::new()]),
        resources: Some(vec!["configmaps".to_owned()]),
        resource_names: Some(names),
        verbs: verbs.iter().map(ToString::to_string).collect(),
        ..PolicyRule::default()
    }
}
