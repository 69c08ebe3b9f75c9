//! A real Kubernetes without Docker and without an image registry: etcd and kube-apiserver for tests of the operator,
//! and a whole node for claims about pods.
//!
//! Every binary is built once from its published Go module, pinned in `testkit/kubernetes/go.mod`, and kept in the
//! cache folder; [`binaries::ensure`] does that.

pub mod binaries;

mod audit;
mod build;
mod cluster;
mod control_plane;
mod detached;
mod images;
mod leftovers;
mod node;
mod pki;
mod processes;

pub use audit::{Audit, Mark, Write};
pub use cluster::{Cluster, Kind, Node};
pub use control_plane::{ControlPlane, ControlPlaneOptions};
pub use processes::EtcdSync;

/// The Kubernetes that is built and tested against.
pub const VERSION: &str = "v1.36.3";
/// Binaries found elsewhere are used when they are of this minor version.
const MINOR: &str = "v1.36.";
/// The address of the machine on the pods' bridge: pods reach servers here, and node ports listen here.
pub const NODE_ADDRESS: &str = "10.244.0.1";
