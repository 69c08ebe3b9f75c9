//! The two custom resources, [`GoodsService`] and [`InventoryService`], and the manifests generated from them.
//!
//! Doc comments of fields are written for the user: they become `kubectl explain`. What a type cannot say stands as a
//! rule with a message in [`rules`]. `cargo run -p crds` writes `crds/*.yaml` and the chart's copy of them.
#![warn(missing_docs)]

mod goods;
mod inventory;
mod managed;
pub mod manifest;
pub mod rules;
mod status;
mod workload;

pub use goods::{GoodsService, GoodsServiceSpec};
pub use inventory::{InventoryService, InventoryServiceSpec};
pub use managed::ManagedService;
pub use status::{ConfigStatus, RejectedConfig, ServiceStatus};
pub use workload::{
    Amount, Database, MySql, Redis, Resources, SecretKey, Sqlite, Tls, TlsMode, Workload,
};

/// The API group of both kinds.
pub const GROUP: &str = "shopkeeper.dev";
/// The one version of both kinds.
pub const VERSION: &str = "v1alpha1";
