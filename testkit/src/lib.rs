//! Real servers for tests, each a guard that dies with its test, even when the test is killed.
//!
//! [`MariaDb`], [`TiDb`], [`Redis`] (with [`RedisSentinel`]) and [`ControlPlane`] (etcd and kube-apiserver) run in a
//! temporary folder on free ports of the loopback, as any user. [`kubernetes::Cluster`] is a whole node; it needs root
//! and outlives the process on request.
//!
//! [`Process`] is a program of ours, run in the same way. [`Disk`] is a disk that fills up and loses its power, as
//! root, and [`Clock`] a wall clock that jumps.
//!
//! [`Network`] stands between a server and its clients and does to both what a test wants.
//!
//! Nothing here needs an asynchronous caller: a start blocks for a second or so, and `cargo xtask` uses the same code
//! without a runtime. `start()` and `shared()` are for tests and panic with the sentence that says what to do;
//! `options().start()` returns it as an error.
#![warn(missing_docs)]

pub mod go;
pub mod kubernetes;
#[cfg(feature = "network")]
pub mod network;
pub mod packages;

mod cache;
mod clock;
mod disk;
mod mariadb;
mod mysql_client;
mod preload;
mod process;
mod program;
mod redis;
mod secret;
mod sentinel;
mod server;
mod tidb;

pub use cache::cache_folder;
pub use clock::Clock;
pub use disk::Disk;
pub use kubernetes::{Cluster, ControlPlane, ControlPlaneOptions, Node};
pub use mariadb::{Account, MariaDb, MariaDbOptions};
#[cfg(feature = "network")]
pub use network::Network;
pub use process::{Process, ProcessOptions};
pub use redis::{Redis, RedisOptions};
pub use sentinel::RedisSentinel;
pub use tidb::TiDb;

/// Told about each step that may take longer than a second, in words for a person.
pub type Progress<'a> = &'a dyn Fn(&str);
