//! Building the Kubernetes binaries from their published Go modules, once per version and machine.

use std::fs;

use anyhow::{Context, Result, ensure};

use super::{VERSION, binaries};
use crate::{Progress, cache, go};

/// The pins.
const MODULE: [(&str, &str); 5] = [
    ("go.mod", include_str!("../../kubernetes/go.mod")),
    ("go.sum", include_str!("../../kubernetes/go.sum")),
    ("tools.go", include_str!("../../kubernetes/tools.go")),
    ("etcd/main.go", include_str!("../../kubernetes/etcd/main.go")),
    ("coredns/main.go", include_str!("../../kubernetes/coredns/main.go")),
];

/// Builds those of `names` that are found nowhere, saying which it builds and how long that takes.
pub(super) fn ensure(names: &[&str], progress: Progress<'_>) -> Result<()> {
    if names.iter().all(|name| binaries::lookup(name).is_some()) {
        return Ok(());
    }
    let _only_one_builds = cache::lock("build.lock", progress)?;
    let missing: Vec<_> = names.iter().filter(|name| binaries::lookup(name).is_none()).collect();
    fs::create_dir_all(binaries::folder())?;
    for (index, name) in missing.iter().enumerate() {
        let (seconds, total) = (seconds(name), missing.len());
        progress(&format!(
            "building {name} {VERSION} ({} of {total}, about {seconds} s) ...",
            index + 1
        ));
        build(name, progress).with_context(|| format!("cannot build {name}"))?;
    }
    Ok(())
}

/// Roughly, on two processors with an empty Go cache and all of [`binaries::NODE`] built in order: each profits from
/// what those before it have compiled.
fn seconds(name: &str) -> u32 {
    match name {
        "kube-apiserver" => 170,
        "etcd" | "kube-controller-manager" => 50,
        _ => 20,
    }
}

fn build(name: &str, progress: Progress<'_>) -> Result<()> {
    let package = match name {
        "etcd" | "coredns" => format!("./{name}"),
        _ => format!("k8s.io/kubernetes/cmd/{name}"),
    };
    let linker_flags = linker_flags()?;
    let module = go::Pinned { files: &MODULE, linker_flags: &linker_flags, inlined: go::LIBRARY };
    module.build(&package, &binaries::folder().join(name), progress)
}

/// The version is not in the sources: a build that does not say it calls itself v0.0.0, and kubectl and kubelet then
/// refuse each other.
fn linker_flags() -> Result<String> {
    let mut parts = VERSION.trim_start_matches('v').split('.');
    let (major, minor) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    ensure!(!minor.is_empty(), "{VERSION} is not a version");
    let settings = [("gitVersion", VERSION), ("gitMajor", major), ("gitMinor", minor)];
    let settings =
        settings.map(|(name, value)| format!("-X k8s.io/component-base/version.{name}={value}"));
    Ok(format!("-s -w {}", settings.join(" ")))
}
