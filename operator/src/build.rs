//! What the children of a custom resource are to be. Pure: no client, no clock, no chance, no environment; the same
//! custom resource and the same observation always give the same children. One child, one file.

mod acknowledgements;
mod config_map;
mod deployment;
mod persistent_volume_claim;
mod pod;
mod pod_disruption_budget;
mod role;
mod role_binding;
mod service;
mod service_account;

use crate::{dereference::Observed, names, obstacle::Obstacle};
use crds::ManagedService;
use deployment::Draft;
use garde::Validate as _;
use k8s_openapi::{
    api::{
        core::v1::{ConfigMap, PersistentVolumeClaim, Service, ServiceAccount},
        policy::v1::PodDisruptionBudget,
        rbac::v1::{Role, RoleBinding},
    },
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference},
};
use kube::ResourceExt;
use srv_config::{Revision, ServiceConfig as _};

/// What the operator's own settings add to a custom resource.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// The image of a service whose custom resource names none.
    pub default_image: String,
}

/// What is to be done.
#[derive(Debug)]
pub(crate) enum Desired {
    /// The children are to be like this.
    Children(Box<Children>),
    /// Nothing may be changed, for this reason.
    Unchanged(Obstacle),
}

/// Every child of one custom resource. `apply.rs` takes this apart field by field, so none is forgotten there.
#[derive(Debug)]
pub(crate) struct Children {
    pub service_account: ServiceAccount,
    pub role: Role,
    pub role_binding: RoleBinding,
    pub acknowledgements: Vec<ConfigMap>,
    pub claim: Option<PersistentVolumeClaim>,
    pub config_map: ConfigMap,
    pub services: [Service; 2],
    pub budget: Option<PodDisruptionBudget>,
    pub deployment: Draft,
}

/// Decides what is to be done about a custom resource, given all that was seen of it.
pub(crate) fn children<S: ManagedService>(observed: &Observed<S>, settings: &Settings) -> Desired {
    match blueprint(observed, settings) {
        Ok(blueprint) => Desired::Children(Box::new(blueprint.children())),
        Err(obstacle) => Desired::Unchanged(obstacle),
    }
}

fn blueprint<'a, S: ManagedService>(
    observed: &'a Observed<S>,
    settings: &'a Settings,
) -> Result<Blueprint<'a, S>, Obstacle> {
    let service = &*observed.service;
    if service.workload().paused {
        return Err(Obstacle::Paused);
    }
    if let Some((kind, name)) = observed.foreign_child() {
        return Err(Obstacle::NameConflict { kind, name });
    }
    let config = service.config();
    config.validate().map_err(|report| Obstacle::InvalidConfig(report.to_string()))?;
    let text = srv_config::render(&config);
    let revision = next_revision(&text, observed.newest_revision());
    let image = service.workload().image.as_deref().unwrap_or(&settings.default_image);
    Ok(Blueprint { service, config, text, revision, image })
}

/// The name of this rendering: the newest one known if its text is the same, otherwise the next number. Numbers never
/// restart, so a later revision is never mistaken for an earlier one, even when the text returns to what it was.
fn next_revision(text: &str, newest: Option<Revision>) -> Revision {
    let hash = srv_config::hash_of(text);
    match newest {
        Some(newest) if newest.hash == hash => newest,
        Some(newest) => Revision { number: newest.number + 1, hash },
        None => Revision { number: 1, hash },
    }
}

/// What every child is built from.
struct Blueprint<'a, S: ManagedService> {
    service: &'a S,
    config: S::Config,
    /// The configuration as the pods read it.
    text: String,
    revision: Revision,
    image: &'a str,
}

impl<S: ManagedService> Blueprint<'_, S> {
    fn children(&self) -> Children {
        Children {
            service_account: service_account::service_account(self),
            role: role::role(self),
            role_binding: role_binding::role_binding(self),
            acknowledgements: acknowledgements::acknowledgements(self),
            claim: persistent_volume_claim::persistent_volume_claim(self),
            config_map: config_map::config_map(self),
            services: [service::service(self), service::headless(self)],
            budget: pod_disruption_budget::pod_disruption_budget(self),
            deployment: deployment::deployment(self),
        }
    }

    fn name(&self) -> String {
        self.service.name_any()
    }

    fn restart(&self) -> &srv_config::Restart {
        self.config.restart()
    }

    fn replicas(&self) -> i32 {
        self.service.workload().replicas
    }

    /// Over how many `ConfigMaps` the pods spread their acknowledgements.
    fn shards(&self) -> u32 {
        shards(self.service)
    }

    /// Metadata of a child that goes away with the custom resource.
    fn owned(&self, name: String) -> ObjectMeta {
        ObjectMeta {
            owner_references: Some(vec![owner_reference(self.service)]),
            ..self.labelled(name)
        }
    }

    /// Metadata of a child that outlives the custom resource.
    fn labelled(&self, name: String) -> ObjectMeta {
        ObjectMeta {
            name: Some(name),
            namespace: self.service.namespace(),
            labels: Some(names::labels::<S>(&self.name())),
            ..ObjectMeta::default()
        }
    }
}

/// Over how many `ConfigMaps` the pods of `service` spread their acknowledgements.
pub(crate) fn shards<S: ManagedService>(service: &S) -> u32 {
    srv_config::shards_for(service.workload().replicas.try_into().unwrap_or(0))
}

fn owner_reference<S: ManagedService>(service: &S) -> OwnerReference {
    OwnerReference {
        api_version: S::api_version(&()).into_owned(),
        kind: S::kind(&()).into_owned(),
        name: service.name_any(),
        uid: service.uid().unwrap_or_default(),
        controller: Some(true),
        // A foreground deletion of the custom resource then waits for its children.
        block_owner_deletion: Some(true),
    }
}

#[cfg(test)]
mod tests;
