//! What commands need of the machine, got where it can be: Debian packages as root on Debian, Go programs and
//! Kubernetes from their pinned modules into the cache folder. testkit knows how; this shows that it happens.

use crate::progress::need;
use anyhow::{Result, ensure};
use std::path::PathBuf;
use testkit::{
    go::{self, Tool},
    kubernetes::binaries,
    packages::{self, Package},
};

/// The servers of tests and benchmarks: MariaDB, Redis, etcd and kube-apiserver.
pub fn servers() -> Result<()> {
    databases()?;
    control_plane()
}

/// MariaDB, Redis and a C compiler: what the benchmark of the stock service runs.
pub fn databases() -> Result<()> {
    packages("MariaDB and Redis", packages::SERVERS)?;
    packages("gcc", packages::COMPILER)
}

/// What else the fault suite breaks and copies databases with.
pub fn faults() -> Result<()> {
    packages("what breaks and copies databases", packages::FAULTS)
}

/// TiDB, which only tests need.
pub fn tidb() -> Result<()> {
    tool(go::TIDB).map(drop)
}

/// etcd and kube-apiserver.
pub fn control_plane() -> Result<()> {
    kubernetes("etcd and kube-apiserver", binaries::CONTROL_PLANE)
}

/// What a whole node runs. It needs root, and says so before anything long begins.
pub fn node() -> Result<()> {
    node_packages()?;
    kubernetes("Kubernetes", binaries::NODE)
}

/// The right to run a node.
pub fn root() -> Result<()> {
    ensure!(
        rustix::process::geteuid().is_root(),
        "a node needs root: sudo -E cargo xtask ..., or `demo --context NAME` on a cluster that exists"
    );
    Ok(())
}

/// Of [`node`], what Debian has; root is asked for here.
pub fn node_packages() -> Result<()> {
    root()?;
    packages("what a node runs", packages::NODE)?;
    image_builder()
}

/// All that Debian has of what any command needs.
pub fn debian_packages() -> Result<()> {
    node_packages()?;
    databases()?;
    faults()
}

/// What is built from Go modules for tests, and then for a node.
pub fn go_programs() -> Result<()> {
    control_plane()?;
    tool(go::TIDB)?;
    kubernetes("Kubernetes", binaries::NODE)?;
    [go::HELM, go::GRPCURL].into_iter().try_for_each(|each| tool(each).map(drop))
}

/// buildah, and what else an image is made of.
pub fn image_builder() -> Result<()> {
    packages("buildah, gcc and the CA certificates", packages::IMAGES)
}

/// The chart's installer.
pub fn helm() -> Result<PathBuf> {
    tool(go::HELM)
}

/// The gRPC caller.
pub fn grpcurl() -> Result<PathBuf> {
    tool(go::GRPCURL)
}

/// kubectl.
pub fn kubectl() -> Result<PathBuf> {
    kubernetes("kubectl", &["kubectl"])?;
    binaries::find("kubectl")
}

/// The linter of the wire contract.
pub fn buf() -> Result<PathBuf> {
    tool(go::BUF)
}

fn tool(tool: Tool) -> Result<PathBuf> {
    need(&format!("get {}", tool.name), |step| go::tool(tool, &|said| step.say(said)))
}

fn kubernetes(what: &str, names: &[&str]) -> Result<()> {
    need(&format!("get {what}"), |step| binaries::ensure(names, &|said| step.say(said)))
}

fn packages(what: &str, packages: &[Package]) -> Result<()> {
    need(&format!("get {what}"), |step| packages::ensure(packages, &|said| step.say(said)))
}
