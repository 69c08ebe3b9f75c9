//! What the operator says about a service.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the operator last saw of a service.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ServiceStatus {
    /// The `metadata.generation` that everything below is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `Ready` sums up; `Available`, `Progressing`, `ConfigApplied` and `Paused` say why.
    pub conditions: Vec<Condition>,
    /// Where callers in the cluster reach the service, such as `inventory.shop.svc:50051`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// How many pods there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replicas: Option<i32>,
    /// How many pods take calls.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ready_replicas: Option<i32>,
    /// The label selector of the pods, for autoscalers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub selector: Option<String>,
    /// How far the configuration has come.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config: Option<ConfigStatus>,
}

/// How far the configuration has come.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ConfigStatus {
    /// The revision that the pods are to run: a number that only grows, and the hash of the text.
    pub revision: String,
    /// How many of the serving pods run this revision, such as `3/3`.
    pub applied: String,
    /// The pods that refused it and stay with the last good one; at most 16 are listed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rejected: Vec<RejectedConfig>,
}

/// One pod that refused a configuration.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct RejectedConfig {
    /// The pod's name.
    pub pod: String,
    /// The field at fault below `spec.config`.
    pub field: String,
    /// What is wrong with it, in the pod's own words.
    pub reason: String,
}
