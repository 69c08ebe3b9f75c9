//! Process plumbing: what every process of ours does before and after its own work. Nothing here knows a shop.
//!
//! A service's `main` reads: [`Process::start`] (telemetry, configuration, admin port), [`Process::database`], its own
//! gRPC routes, [`Process::serve`] (until SIGTERM, drained). The operator takes only [`telemetry`], [`Metrics`],
//! [`Admin`], [`shutdown`] and [`termination`] (no feature `service`).
#![warn(missing_docs)]

mod admin;
mod metrics;
pub mod shutdown;
pub mod telemetry;
pub mod termination;

pub use admin::{Admin, AdminError, Readiness};
pub use metrics::Metrics;

#[cfg(feature = "service")]
mod arguments;
#[cfg(feature = "service")]
mod config_watch;
#[cfg(feature = "service")]
mod database;
#[cfg(feature = "service")]
mod detached;
#[cfg(feature = "service")]
mod folder;
#[cfg(feature = "service")]
mod process;
#[cfg(feature = "service")]
mod serve;
#[cfg(feature = "service")]
mod settings;

#[cfg(feature = "service")]
pub use self::{
    arguments::{Local, ServeArguments},
    config_watch::{ConfigError, ConfigSource, Kubernetes},
    database::{
        Database, DatabaseArguments, DatabaseError, DatabaseKind, Schema, SchemaError, Situation,
        SqlitePools, Weakness, WriteTransaction, answered,
    },
    detached::detached,
    process::{Process, StartError},
    serve::{Deadline, ServeError, Serving, Stopping},
    settings::Settings,
};
