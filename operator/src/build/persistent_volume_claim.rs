//! The volume of the embedded database.

use super::Blueprint;
use crate::names;
use crds::ManagedService;
use k8s_openapi::{
    api::core::v1::{PersistentVolumeClaim, PersistentVolumeClaimSpec, VolumeResourceRequirements},
    apimachinery::pkg::api::resource::Quantity,
};

/// The claim for the `SQLite` file, or `None` on a server database. It has no owner: the data outlives the custom
/// resource, and a new resource of the same name finds it again.
pub(super) fn persistent_volume_claim<S: ManagedService>(
    of: &Blueprint<'_, S>,
) -> Option<PersistentVolumeClaim> {
    let sqlite = of.service.workload().database.sqlite.as_ref()?;
    Some(PersistentVolumeClaim {
        metadata: of.labelled(names::claim(&of.name())),
        spec: Some(PersistentVolumeClaimSpec {
            access_modes: Some(vec!["ReadWriteOnce".to_owned()]),
            storage_class_name: sqlite.storage_class_name.clone(),
            resources: Some(VolumeResourceRequirements {
                requests: Some([("storage".to_owned(), Quantity(sqlite.size.clone()))].into()),
                ..VolumeResourceRequirements::default()
            }),
            ..PersistentVolumeClaimSpec::default()
        }),
        ..PersistentVolumeClaim::default()
    })
}
