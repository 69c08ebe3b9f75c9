//! The custom resource of the catalog service.

use crate::{ManagedService, Redis, ServiceStatus, Workload};
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use srv_config::GoodsConfig;

/// What the catalog service of a shop is to be.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "shopkeeper.dev",
    version = "v1alpha1",
    kind = "GoodsService",
    namespaced,
    shortname = "gs",
    category = "shop",
    status = "ServiceStatus",
    derive = "PartialEq",
    doc = "The catalog service of a shop: its pods, its database, its configuration.",
    scale(
        spec_replicas_path = ".spec.replicas",
        status_replicas_path = ".status.replicas",
        label_selector_path = ".status.selector"
    )
)]
#[serde(rename_all = "camelCase")]
pub struct GoodsServiceSpec {
    /// What both kinds have.
    #[serde(flatten)]
    pub workload: Workload,
    /// The configuration of the catalog service. Every field has a default, so it may be left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<GoodsConfig>,
}

impl ManagedService for GoodsService {
    type Config = GoodsConfig;

    const COMPONENT: &'static str = "goods";
    const BINARY: &'static str = "goods-srv";

    fn workload(&self) -> &Workload {
        &self.spec.workload
    }
    fn config(&self) -> GoodsConfig {
        self.spec.config.clone().unwrap_or_default()
    }
    fn redis(&self) -> Option<&Redis> {
        None
    }
    fn status(&self) -> Option<&ServiceStatus> {
        self.status.as_ref()
    }
}
