//! Gives the pods' identity its Role.

use super::Blueprint;
use crds::ManagedService;
use k8s_openapi::api::rbac::v1::{RoleBinding, RoleRef, Subject};

/// Binds the service's Role to the service's `ServiceAccount`, and to nobody else.
pub(super) fn role_binding<S: ManagedService>(of: &Blueprint<'_, S>) -> RoleBinding {
    RoleBinding {
        metadata: of.owned(of.name()),
        role_ref: RoleRef {
            api_group: Some("rbac.authorization.k8s.io".to_owned()),
            kind: "Role".to_owned(),
            name: of.name(),
        },
        subjects: Some(vec![Subject {
            kind: "ServiceAccount".to_owned(),
            name: of.name(),
            namespace: of.labelled(String::new()).namespace,
            ..Subject::default()
        }]),
    }
}
