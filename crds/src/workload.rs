//! What both kinds have in their spec.

use k8s_openapi::{
    api::core::v1::{LocalObjectReference, ResourceRequirements},
    apimachinery::pkg::api::resource::Quantity,
};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use std::{borrow::Cow, collections::BTreeMap};

/// What both kinds have in their spec: the pods and what they talk to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Workload {
    /// The image of the service, with a tag or a digest. Default: the one that belongs to the operator's own version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    pub image: Option<String>,
    /// How many pods serve. Must be 0 to 256, and 0 or 1 with `database.sqlite`. Default: 1.
    #[serde(default = "one")]
    #[schemars(range(min = 0, max = 256))]
    pub replicas: i32,
    /// Secrets of this namespace with which the images are pulled.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub image_pull_secrets: Vec<LocalObjectReference>,
    /// What one pod asks for and what it may use at most. Default: requests of 50m CPU and 64Mi memory, a limit of
    /// 256Mi memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
    /// Where the data lies: exactly one of `sqlite` and `mysql`. Which one cannot be changed later.
    pub database: Database,
    /// How callers are served. TLS is not there yet, so write `tls: {mode: disabled}`.
    pub tls: Tls,
    /// While true, the operator changes nothing but the status. Default: false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub paused: bool,
}

fn one() -> i32 {
    1
}

/// Where the data lies: exactly one of `sqlite` and `mysql`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Database {
    /// The embedded database: one file in a volume of its own, one pod. The volume outlives this resource.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sqlite: Option<Sqlite>,
    /// A MySQL 8 or MariaDB 10.6 server (or newer). The pods bring its schema up to date before they serve.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mysql: Option<MySql>,
}

/// The volume of the embedded database, `PersistentVolumeClaim <name>-data`. It is made once; grow it by editing the
/// claim. One that is deleted is made again, empty, as soon as no pod uses it any more.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Sqlite {
    /// How large the volume is when it is made, such as `1Gi`. Default: 1Gi.
    #[serde(default = "one_gibibyte")]
    #[schemars(length(min = 1, max = 32))]
    pub size: String,
    /// The StorageClass of the volume. Default: the cluster's default class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub storage_class_name: Option<String>,
}

impl Default for Sqlite {
    fn default() -> Self {
        Self { size: one_gibibyte(), storage_class_name: None }
    }
}

fn one_gibibyte() -> String {
    "1Gi".to_owned()
}

/// A MySQL or MariaDB server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MySql {
    /// The Secret that holds the URL, `mysql://user:password@host:3306/database`. A changed password reaches the pods
    /// without a restart, within two minutes, in which the old one must still be good.
    pub url_secret_ref: SecretKey,
}

/// A Redis server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Redis {
    /// The Secret that holds the URL, `redis://:password@host:6379`. A changed password reaches the pods without a
    /// restart, within two minutes, in which the old one must still be good.
    pub url_secret_ref: SecretKey,
}

/// One key of a Secret in the same namespace. The operator never reads it; the kubelet mounts it into the pods.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretKey {
    /// The Secret's name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// The key in the Secret whose value is meant. Default: url.
    #[serde(default = "url")]
    #[schemars(length(min = 1, max = 253))]
    pub key: String,
}

fn url() -> String {
    "url".to_owned()
}

/// How callers are served.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Tls {
    /// `disabled`: callers are neither encrypted nor authenticated. The only mode there is yet.
    pub mode: TlsMode,
}

/// Whether calls are encrypted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum TlsMode {
    /// Plain HTTP/2: callers are neither encrypted nor authenticated.
    #[default]
    Disabled,
}

/// Requests and limits of a container, as in any Pod.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Resources {
    /// What one pod asks for, such as `{cpu: 50m, memory: 64Mi}`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub requests: BTreeMap<String, Amount>,
    /// What one pod may use at most, such as `{memory: 256Mi}`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub limits: BTreeMap<String, Amount>,
}

/// An amount of a resource as Kubernetes writes it: `2`, `50m`, `64Mi`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Amount {
    /// A whole number, as in `cpu: 2`.
    Whole(i64),
    /// A number with a suffix, as in `memory: 64Mi`.
    Text(String),
}

/// What Kubernetes accepts as a quantity; its own CRDs carry the same pattern.
const QUANTITY: &str = concat!(
    r"^(\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))",
    r"(([KMGTPE]i)|[numkMGTPE]|([eE](\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))))?$"
);

impl JsonSchema for Amount {
    fn schema_name() -> Cow<'static, str> {
        "Amount".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "x-kubernetes-int-or-string": true,
            "pattern": QUANTITY,
        })
    }
}

impl From<&Amount> for Quantity {
    fn from(amount: &Amount) -> Self {
        match amount {
            Amount::Whole(number) => Self(number.to_string()),
            Amount::Text(text) => Self(text.clone()),
        }
    }
}

impl From<&Resources> for ResourceRequirements {
    fn from(resources: &Resources) -> Self {
        let quantities = |amounts: &BTreeMap<String, Amount>| {
            (!amounts.is_empty()).then(|| {
                amounts.iter().map(|(name, amount)| (name.clone(), amount.into())).collect()
            })
        };
        Self {
            requests: quantities(&resources.requests),
            limits: quantities(&resources.limits),
            ..Self::default()
        }
    }
}
