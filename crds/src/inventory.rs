//! The custom resource of the stock service.

use crate::{ManagedService, Redis, ServiceStatus, Workload};
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use srv_config::InventoryConfig;

/// What the stock service of a shop is to be.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "shopkeeper.dev",
    version = "v1alpha1",
    kind = "InventoryService",
    namespaced,
    shortname = "inv",
    category = "shop",
    status = "ServiceStatus",
    derive = "PartialEq",
    doc = "The stock service of a shop: its pods, its database, its configuration.",
    scale(
        spec_replicas_path = ".spec.replicas",
        status_replicas_path = ".status.replicas",
        label_selector_path = ".status.selector"
    )
)]
#[serde(rename_all = "camelCase")]
pub struct InventoryServiceSpec {
    /// What both kinds have.
    #[serde(flatten)]
    pub workload: Workload,
    /// The Redis server that `config.lockStrategy: redisLock` takes its leases from. Not needed otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redis: Option<Redis>,
    /// The configuration of the stock service. Every field has a default, so it may be left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<InventoryConfig>,
}

impl ManagedService for InventoryService {
    type Config = InventoryConfig;

    const COMPONENT: &'static str = "inventory";
    const BINARY: &'static str = "inventory-srv";

    fn workload(&self) -> &Workload {
        &self.spec.workload
    }
    fn config(&self) -> InventoryConfig {
        self.spec.config.clone().unwrap_or_default()
    }
    fn redis(&self) -> Option<&Redis> {
        self.spec.redis.as_ref()
    }
    fn status(&self) -> Option<&ServiceStatus> {
        self.status.as_ref()
    }
}
