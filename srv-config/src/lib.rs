//! What the operator writes and a service reads, and nothing else: the configuration of both services, the revision
//! that names one rendering of it, and the acknowledgement a pod writes back.
//!
//! A custom resource's `spec.config` *is* [`InventoryConfig`] or [`GoodsConfig`], so one type gives the schema,
//! `kubectl explain`, the file in the ConfigMap and the reader. Doc comments of fields are written for the user.
#![warn(missing_docs)]

mod acknowledgement;
mod goods;
mod inventory;
mod parse;
mod process;
mod revision;

pub use acknowledgement::{Acknowledgement, Outcome, Rejection, SHARDS_MAX, shard_of, shards_for};
pub use goods::{GoodsConfig, GoodsHot};
pub use inventory::{InventoryConfig, InventoryHot, LaneSettings, LockStrategy, RedisLockSettings};
pub use parse::{InvalidConfig, parse, render};
pub use process::{CallLimits, HotConfig, LogFormat, LogLevel, Restart, ServiceConfig};
pub use revision::{Revision, hash_of};

/// File name of the rendered configuration: the key in the ConfigMap and the name in the mounted directory.
pub const CONFIG_FILE: &str = "config.yaml";
/// Key and file name of the [`Revision`] that `config.yaml` is.
pub const REVISION_FILE: &str = "revision";
/// Key and file name of the number of ConfigMaps over which pods spread their acknowledgements.
pub const SHARDS_FILE: &str = "acknowledgement-shards";
