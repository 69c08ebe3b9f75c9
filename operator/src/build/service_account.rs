//! The identity of the pods.

use super::Blueprint;
use crds::ManagedService;
use k8s_openapi::api::core::v1::ServiceAccount;

/// An identity of the service's own, so that its Role holds for its pods alone. Its token is projected into the pods
/// one by one, never mounted by itself.
pub(super) fn service_account<S: ManagedService>(of: &Blueprint<'_, S>) -> ServiceAccount {
    ServiceAccount {
        metadata: of.owned(of.name()),
        automount_service_account_token: Some(false),
        ..ServiceAccount::default()
    }
}
