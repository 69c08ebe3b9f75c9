//! The cluster that outlives its command, in a cache folder of its own so that it meets no other cluster of this
//! machine. What needs root, the node, is tested by `cargo xtask e2e`, which runs on it.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use testkit::Cluster;
use testkit::kubernetes::{EtcdSync, Kind, binaries};

/// Says to a test that it runs in the process whose cache folder is temporary.
const INSIDE: &str = "TESTKIT_TEMPORARY_CACHE";

/// Runs the test `name` again in a process with an empty cache folder, and calls `body` there.
///
/// A test must not change the environment of its own process: other tests run beside it.
fn with_an_empty_cache(name: &str, body: fn(&Path)) {
    if let Some(cache) = std::env::var_os(INSIDE) {
        return body(Path::new(&cache));
    }
    let cache = tempfile::tempdir().unwrap();
    let assets = binaries_of_this_machine();
    let ended = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(INSIDE, cache.path())
        .env("SHOPKEEPER_CACHE", cache.path())
        .env("KUBEBUILDER_ASSETS", assets.path())
        .status()
        .unwrap();
    assert!(ended.success(), "see above");
}

/// A folder with the programs of a control plane, wherever on this machine each of them was found.
fn binaries_of_this_machine() -> tempfile::TempDir {
    let assets = tempfile::tempdir().unwrap();
    for name in binaries::CONTROL_PLANE {
        symlink(binaries::find(name).unwrap(), assets.path().join(name)).unwrap();
    }
    assets
}

fn up() -> anyhow::Result<Cluster> {
    Cluster::up(Kind::ControlPlane, EtcdSync::Never, &|step| println!("{step}"))
}

fn down() {
    Cluster::down(&|step| println!("{step}")).unwrap();
}

/// The process that the cluster's file names, as the kernel's folder of it.
fn process(cache: &Path, name: &str) -> PathBuf {
    let file = fs::read_to_string(cache.join("cluster").join(format!("{name}.process"))).unwrap();
    Path::new("/proc").join(file.split(' ').next().unwrap())
}

/// True also when only its parent has not yet looked at how it ended.
fn has_ended(process: &Path) -> bool {
    fs::read_to_string(process.join("stat")).map_or(true, |stat| stat.contains(") Z "))
}

#[test]
fn a_cluster_stays_until_it_is_taken_down_and_then_nothing_is_left() {
    with_an_empty_cache(
        "a_cluster_stays_until_it_is_taken_down_and_then_nothing_is_left",
        |cache| {
            assert!(Cluster::running().is_none());
            drop(up().unwrap());
            let cluster = Cluster::running().unwrap();
            assert_eq!(cluster.kind(), Kind::ControlPlane);
            cluster.apply("{apiVersion: v1, kind: Namespace, metadata: {name: shop}}").unwrap();
            assert_eq!(
                cluster.kubectl(&["get", "namespace", "shop", "-o", "name"]).unwrap().trim(),
                "namespace/shop"
            );
            assert!(cluster.environment().contains("export KUBECONFIG="));
            assert!(
                cluster.load(Path::new("image.tar")).unwrap_err().to_string().contains("no node")
            );

            let again = up().err().unwrap().to_string();
            assert!(again.contains("up already") && again.contains("cluster down"), "{again}");

            let processes = ["etcd", "kube-apiserver"].map(|name| process(cache, name));
            assert!(!processes.iter().any(|process| has_ended(process)));
            down();
            assert!(processes.iter().all(|process| has_ended(process)));
            assert!(Cluster::running().is_none());
            assert!(!cache.join("cluster").exists());
            down();
        },
    );
}

#[test]
fn a_cluster_that_a_killed_run_has_left_is_replaced() {
    with_an_empty_cache("a_cluster_that_a_killed_run_has_left_is_replaced", |cache| {
        let left = up().unwrap();
        left.kubectl(&["create", "namespace", "left"]).unwrap();
        let etcd = process(cache, "etcd");
        // What a guard writes that is then killed: a process that is gone, here one of another boot.
        fs::write(cache.join("cluster/owner"), "1 1 0000").unwrap();

        let fresh = up().unwrap();
        assert!(has_ended(&etcd));
        fresh.kubectl(&["get", "namespace", "left"]).unwrap_err();
        down();
    });
}

#[test]
fn a_process_that_only_has_the_number_of_ours_is_left_alone() {
    with_an_empty_cache("a_process_that_only_has_the_number_of_ours_is_left_alone", |cache| {
        up().unwrap();
        let file = cache.join("cluster/etcd.process");
        let etcd = fs::read_to_string(&file).unwrap();
        let mut innocent = Command::new("sleep").arg("600").spawn().unwrap();
        let (_, start_and_boot) = etcd.split_once(' ').unwrap();
        fs::write(&file, format!("{} {start_and_boot}", innocent.id())).unwrap();
        down();
        assert!(innocent.try_wait().unwrap().is_none(), "it was killed");
        innocent.kill().unwrap();
        Command::new("kill").args(["-9", etcd.split(' ').next().unwrap()]).status().unwrap();
    });
}
