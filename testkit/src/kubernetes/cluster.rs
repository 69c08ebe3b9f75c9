//! The one cluster of this machine: up, down, and what one does with it in between.
//!
//! Its state is a folder of the cache. The cluster either belongs to a process, by the guard [`Node`], or is kept until
//! someone takes it down. A process that is killed leaves its cluster; the next `up` or `down` removes it.

use std::fs::{self, File};
use std::io::Write;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{geteuid, getpid};
use serde_json::{Value, json};

use super::audit::Audit;
use super::control_plane::{await_ready, kubectl};
use super::processes::{ControlPlaneLayout, EtcdSync};
use super::{binaries, detached, images, leftovers, node};
use crate::server::free_port;
use crate::{Progress, cache, cache_folder, go, packages, program};

/// Held while a cluster goes up or down, and by a [`Node`] as long as it lives.
const LOCK: &str = "cluster.lock";
/// Who owns the cluster: `kept`, or the identity of the process that has the [`Node`].
const OWNER: &str = "owner";
const KEPT: &str = "kept";
/// What there is: the kind, the ports, how etcd keeps its data.
const DESCRIPTION: &str = "cluster.json";
const LISTENS_WITHIN: Duration = Duration::from_secs(30);

/// How much of a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// etcd and kube-apiserver: the API without pods. No root; 3 to 5 s.
    ControlPlane,
    /// A node as well, that runs pods. Root; about 13 s.
    Node,
}

/// A cluster that is up. Dropping this leaves it up.
pub struct Cluster {
    kind: Kind,
    layout: ControlPlaneLayout,
    kubeconfig: PathBuf,
}

/// A cluster with a node that goes down when this is dropped.
pub struct Node {
    cluster: Cluster,
    _lock: File,
    kept: bool,
}

/// Where the state of the cluster is while there is one.
fn folder() -> PathBuf {
    cache_folder().join("cluster")
}

impl Cluster {
    /// Brings up a cluster that stays up after this process, first removing what a killed run has left.
    ///
    /// # Errors
    /// When a cluster is up already or another process uses it; when something is missing that cannot be got here, with
    /// the sentence that says what to do. What was started is then removed again.
    pub fn up(kind: Kind, etcd_sync: EtcdSync, progress: Progress<'_>) -> Result<Self> {
        let _lock = lock()?;
        let cluster = bring_up(kind, etcd_sync, progress)?;
        fs::write(cluster.folder().join(OWNER), KEPT)?;
        Ok(cluster)
    }

    /// The cluster that is up on this machine, whoever owns it.
    pub fn running() -> Option<Self> {
        let cluster = Self::open(&folder()).ok()?;
        detached::running(cluster.folder(), "kube-apiserver").is_some().then_some(cluster)
    }

    /// Takes the cluster down and removes all that it made but the built binaries. Nothing happens when there is none.
    ///
    /// # Errors
    /// When another process still uses it, or something does not go away.
    pub fn down(progress: Progress<'_>) -> Result<()> {
        let _lock = lock()?;
        if folder().exists() {
            progress("taking the cluster down ...");
        }
        take_down()
    }

    /// The administrator's kubeconfig; gone with the cluster.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// Whether it runs pods.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// How its etcd keeps data, for a report of measurements.
    pub fn etcd_sync(&self) -> EtcdSync {
        self.layout.etcd_sync
    }

    /// The log of every write, to count them.
    pub fn audit(&self) -> Audit {
        Audit::new(self.layout.audit_log())
    }

    /// Loads an image for pods from an archive, as `buildah push NAME docker-archive:FILE:NAME` writes it. Pods must
    /// have `imagePullPolicy` `IfNotPresent` or `Never`.
    pub fn load(&self, archive: &Path) -> Result<()> {
        ensure!(
            self.kind == Kind::Node,
            "this cluster has no node; `cargo xtask cluster down`, then `cluster up`"
        );
        ensure!(
            archive.is_file(),
            "{} is not a file; an image archive is needed",
            archive.display()
        );
        images::load(archive)
    }

    /// Shell lines for a person who wants to look at the cluster: `KUBECONFIG`, and kubectl and the tools on `PATH`.
    pub fn environment(&self) -> String {
        let (kubeconfig, binaries, tools) =
            (self.kubeconfig.display(), binaries::folder(), go::tools_folder());
        let path = format!("{}:{}", binaries.display(), tools.display());
        format!("export KUBECONFIG='{kubeconfig}'\nexport PATH='{path}':\"$PATH\"\n")
    }

    /// Runs kubectl as the administrator and returns what it printed.
    ///
    /// # Errors
    /// With kubectl's own words when it fails.
    pub fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        program::run(kubectl(&self.kubeconfig)?.args(arguments))
    }

    /// Applies YAML documents.
    pub fn apply(&self, yaml: &str) -> Result<()> {
        let mut child = kubectl(&self.kubeconfig)?
            .args(["apply", "--filename", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        child.stdin.take().context("stdin is piped")?.write_all(yaml.as_bytes())?;
        let output = child.wait_with_output()?;
        ensure!(
            output.status.success(),
            "kubectl apply: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
        Ok(())
    }

    pub(super) fn folder(&self) -> &Path {
        &self.layout.folder
    }

    pub(super) fn layout(&self) -> &ControlPlaneLayout {
        &self.layout
    }

    /// The cluster whose state is in `folder`.
    fn open(folder: &Path) -> Result<Self> {
        let description: Value =
            serde_json::from_str(&fs::read_to_string(folder.join(DESCRIPTION))?)?;
        let port = |name: &str| {
            let port =
                description["ports"][name].as_u64().and_then(|port| u16::try_from(port).ok());
            port.with_context(|| format!("{DESCRIPTION} names no port of {name}"))
        };
        let layout = ControlPlaneLayout {
            folder: folder.to_owned(),
            etcd_folder: folder.join("etcd"),
            etcd_port: port("etcd")?,
            etcd_peer_port: port("etcdPeer")?,
            etcd_sync: if description["etcdSyncs"] == true {
                EtcdSync::EveryWrite
            } else {
                EtcdSync::Never
            },
            api_port: port("api")?,
        };
        let kind = if description["node"] == true { Kind::Node } else { Kind::ControlPlane };
        Ok(Self { kind, layout, kubeconfig: folder.join("pki/admin.kubeconfig") })
    }
}

/// Writes down what [`Cluster::open`] reads, before anything starts.
fn describe(folder: &Path, kind: Kind, etcd_sync: EtcdSync) -> Result<()> {
    let description = json!({
        "node": kind == Kind::Node,
        "etcdSyncs": etcd_sync == EtcdSync::EveryWrite,
        "ports": {"etcd": free_port()?, "etcdPeer": free_port()?, "api": free_port()?},
    });
    Ok(fs::write(folder.join(DESCRIPTION), description.to_string())?)
}

impl Node {
    /// Brings up a cluster with a node for the life of this guard, first removing what a killed run has left.
    ///
    /// # Errors
    /// As [`Cluster::up`].
    pub fn start(etcd_sync: EtcdSync, progress: Progress<'_>) -> Result<Self> {
        let lock = lock()?;
        let cluster = bring_up(Kind::Node, etcd_sync, progress)?;
        Ok(Self { cluster, _lock: lock, kept: false })
    }

    /// Leaves the cluster up; `Cluster::down` takes it down later.
    pub fn keep(mut self) -> Result<()> {
        fs::write(self.cluster.folder().join(OWNER), KEPT)?;
        self.kept = true;
        Ok(())
    }
}

impl Deref for Node {
    type Target = Cluster;

    fn deref(&self) -> &Cluster {
        &self.cluster
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if !self.kept
            && let Err(error) = take_down()
        {
            eprintln!("the cluster is not wholly down: {error:#}; try `cargo xtask cluster down`");
        }
    }
}

fn lock() -> Result<File> {
    cache::try_lock(LOCK)?.with_context(|| {
        let owner = fs::read_to_string(folder().join(OWNER)).unwrap_or_default();
        let process = owner.split(' ').next().filter(|owner| !owner.is_empty()).unwrap_or("?");
        format!(
            "another run uses the cluster of this machine (process {process}); wait for its end"
        )
    })
}

/// Gets what is missing and starts everything; on a failure removes what was started. The caller holds the lock.
fn bring_up(kind: Kind, etcd_sync: EtcdSync, progress: Progress<'_>) -> Result<Cluster> {
    remove_leftover(progress)?;
    if kind == Kind::Node {
        ensure!(
            geteuid().is_root(),
            "a node needs root; a control plane alone (`--control-plane`) does not"
        );
        packages::ensure(packages::NODE, progress)?;
        packages::ensure(packages::IMAGES, progress)?;
    }
    let programs = if kind == Kind::Node { binaries::NODE } else { binaries::CONTROL_PLANE };
    binaries::ensure(programs, progress)?;

    let started = Instant::now();
    progress(&format!("starting Kubernetes {} ({}) ...", super::VERSION, kind.seconds()));
    let cluster = start(kind, etcd_sync).inspect_err(|_| {
        // The first error is the one to tell; what cannot be removed now, the next `up` finds.
        let _ = take_down();
    })?;
    progress(&format!(
        "Kubernetes {} is up, in {:.0?} s",
        super::VERSION,
        started.elapsed().as_secs_f32()
    ));
    Ok(cluster)
}

fn start(kind: Kind, etcd_sync: EtcdSync) -> Result<Cluster> {
    let folder = folder();
    fs::create_dir_all(folder.join("etcd"))?;
    let owner = detached::identity(getpid()).context("this process is in /proc")?;
    fs::write(folder.join(OWNER), owner)?;
    describe(&folder, kind, etcd_sync)?;
    let cluster = Cluster::open(&folder)?;
    let layout = cluster.layout();
    layout.prepare()?;
    layout.pki().kubeconfig("admin", "admin", Some("system:masters"), layout.api_port)?;
    if kind == Kind::Node {
        node::connect(&folder)?;
    }
    detached::start(&folder, "etcd", &layout.etcd()?)?;
    let api_server = match kind {
        Kind::ControlPlane => layout.api_server_alone()?,
        Kind::Node => layout.api_server_of_node()?,
    };
    detached::start(&folder, "kube-apiserver", &api_server)?;
    let listens = || std::net::TcpStream::connect(("127.0.0.1", layout.api_port)).is_ok();
    detached::wait(&folder, "kube-apiserver", LISTENS_WITHIN, listens)?;
    await_ready(cluster.kubeconfig())?;
    if kind == Kind::Node {
        node::start(&cluster)?;
    }
    Ok(cluster)
}

/// Removes the cluster of a process that is gone, or that does not run any more; refuses to touch one that is in use.
fn remove_leftover(progress: Progress<'_>) -> Result<()> {
    if !folder().exists() {
        return Ok(());
    }
    let owner = fs::read_to_string(folder().join(OWNER)).unwrap_or_default();
    if owner == KEPT
        && let Some(cluster) = Cluster::running()
    {
        bail!(
            "a cluster is up already (KUBECONFIG={}); `cargo xtask cluster down` takes it down",
            cluster.kubeconfig().display()
        );
    }
    if let Some(process) = detached::parse_running(&owner).filter(|process| *process != getpid()) {
        bail!("process {} uses the cluster of this machine", process.as_raw_nonzero());
    }
    progress("removing a cluster that an ended run has left ...");
    take_down()
}

/// Ends the processes and removes the state. The caller holds the lock.
fn take_down() -> Result<()> {
    let folder = folder();
    if !folder.exists() {
        return Ok(());
    }
    if Cluster::open(&folder).is_ok_and(|cluster| cluster.kind == Kind::Node) {
        ensure!(geteuid().is_root(), "this cluster has a node; only root can take it down");
        node::stop(&folder)?;
    }
    detached::kill(&folder, &["kube-apiserver", "etcd"])?;
    let mounts = leftovers::mounts_below(&[&folder])?;
    ensure!(mounts.is_empty(), "still mounted: {}", mounts[0].display());
    fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))
}

impl Kind {
    fn seconds(self) -> &'static str {
        match self {
            Self::ControlPlane => "about 5 s",
            Self::Node => "about 15 s",
        }
    }
}
