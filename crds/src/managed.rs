//! In what the two kinds differ, and nothing else.

use crate::{Redis, ServiceStatus, Workload};
use kube::{Resource, core::NamespaceResourceScope};
use serde::{Serialize, de::DeserializeOwned};
use srv_config::ServiceConfig;
use std::fmt::Debug;

/// A custom resource that stands for one service and its pods. A third kind is one more `impl` of this.
pub trait ManagedService:
    Resource<Scope = NamespaceResourceScope, DynamicType = ()>
    + Clone
    + Debug
    + Serialize
    + DeserializeOwned
    + Send
    + Sync
    + 'static
{
    /// The configuration that `spec.config` is.
    type Config: ServiceConfig;

    /// The service's word, such as `inventory`: the label `app.kubernetes.io/component`, the SQLite file's name.
    const COMPONENT: &'static str;
    /// The binary, the image's name, the container's name and the label `app.kubernetes.io/name`.
    const BINARY: &'static str;

    /// What both kinds have in their spec.
    fn workload(&self) -> &Workload;
    /// `spec.config` with every default filled in.
    fn config(&self) -> Self::Config;
    /// The Redis that the service may use, if its kind knows one and it is given.
    fn redis(&self) -> Option<&Redis>;
    /// What the operator said last.
    fn status(&self) -> Option<&ServiceStatus>;
}
