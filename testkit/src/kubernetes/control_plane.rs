//! etcd and kube-apiserver as a guard: the real API for tests of the operator, in seconds and without root.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::audit::Audit;
use super::binaries;
use super::processes::{ControlPlaneLayout, EtcdSync};
use crate::program;
use crate::server::{Recipe, Server, free_port, on_a_free_port};

/// How long the API server may take from listening to `/readyz`; it installs its roles and CRD controllers meanwhile.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// A look costs one run of kubectl, about 50 ms of processor time.
const POLL_EVERY: Duration = Duration::from_millis(100);
const ETCD: Recipe = Recipe { name: "etcd", ready_words: "ready to serve client requests" };
const API_SERVER: Recipe = Recipe { name: "kube-apiserver", ready_words: "Serving securely on" };
const CONTROLLER_MANAGER: Recipe =
    Recipe { name: "kube-controller-manager", ready_words: "Serving securely on" };

/// A running etcd and kube-apiserver. They end when the guard is dropped, or when the process ends in any way.
///
/// No controllers run unless asked for, so nothing is garbage-collected, no Deployment makes pods and a deleted
/// namespace stays `Terminating`; a test plays those parts by writing status and pods itself.
pub struct ControlPlane {
    layout: ControlPlaneLayout,
    kubeconfig: PathBuf,
    // In the order in which they end: each after those that talk to it.
    _controller_manager: Option<Server>,
    api_server: Mutex<Server>,
    _etcd: Server,
}

/// How a [`ControlPlane`] is started.
#[derive(Clone, Debug, Default)]
pub struct ControlPlaneOptions {
    controllers: bool,
    etcd_sync: EtcdSync,
}

impl ControlPlane {
    /// Starts a control plane for the test that calls.
    ///
    /// # Panics
    /// When the binaries are not there or do not start; the message says what to do.
    pub fn start() -> Self {
        Self::options().start().unwrap_or_else(|error| panic!("{error:#}"))
    }

    /// The one control plane of this test process, started at the first call. Tests keep apart by namespaces of their
    /// own.
    ///
    /// # Panics
    /// As [`Self::start`].
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<ControlPlane> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    /// Options for a control plane that needs more than the defaults.
    pub fn options() -> ControlPlaneOptions {
        ControlPlaneOptions::default()
    }

    /// The administrator's kubeconfig. It names files of the guard's folder and is gone with it.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// Makes a kubeconfig for another user, e.g. `system:serviceaccount:shop:operator`, to whom RBAC applies.
    ///
    /// # Panics
    /// When the file cannot be written.
    pub fn kubeconfig_for(&self, user: &str) -> PathBuf {
        let name = user.replace([':', '/'], "-");
        let made = self.layout.pki().kubeconfig(&name, user, None, self.layout.api_port);
        made.unwrap_or_else(|error| panic!("{error:#}"))
    }

    /// The log of every write, to count them.
    pub fn audit(&self) -> Audit {
        Audit::new(self.layout.audit_log())
    }

    /// Runs kubectl as the administrator and returns what it printed.
    ///
    /// # Errors
    /// With kubectl's own words when it fails.
    pub fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        program::run(kubectl(&self.kubeconfig)?.args(arguments))
    }

    /// Makes the API server hang: connections stay open and nothing answers, until [`Self::resume`].
    pub fn pause(&self) {
        self.api_server.lock().unwrap_or_else(PoisonError::into_inner).pause();
    }

    /// Ends a [`Self::pause`].
    pub fn resume(&self) {
        self.api_server.lock().unwrap_or_else(PoisonError::into_inner).resume();
    }

    /// Kills the API server and starts it again on the same port with the same data.
    ///
    /// # Panics
    /// When it does not start.
    pub fn restart_api_server(&self) {
        let mut server = self.api_server.lock().unwrap_or_else(PoisonError::into_inner);
        server.kill();
        let started = self.layout.api_server_alone().and_then(|command| server.start(&command));
        started
            .and_then(|()| await_ready(&self.kubeconfig))
            .unwrap_or_else(|error| panic!("{error:#}"));
    }
}

impl ControlPlaneOptions {
    /// Also runs kube-controller-manager: garbage collection, namespaces, service accounts, Deployments that make pods
    /// (which no node runs).
    pub fn controllers(mut self) -> Self {
        self.controllers = true;
        self
    }

    /// How etcd keeps its data; without this call, in memory only.
    pub fn etcd_sync(mut self, sync: EtcdSync) -> Self {
        self.etcd_sync = sync;
        self
    }

    /// Starts etcd and the API server and waits until `/readyz` is ok: 3 to 5 seconds. An error says what is missing
    /// and how to get it, or shows the end of the failing server's log.
    pub fn start(self) -> Result<ControlPlane> {
        for name in binaries::CONTROL_PLANE {
            binaries::find(name)?;
        }
        let (_, (etcd, mut layout)) = on_a_free_port(|etcd_port| {
            let mut etcd = Server::new(ETCD)?;
            let layout = ControlPlaneLayout {
                folder: PathBuf::new(),
                etcd_folder: etcd.folder().to_owned(),
                etcd_port,
                etcd_peer_port: free_port()?,
                etcd_sync: self.etcd_sync,
                api_port: 0,
            };
            etcd.start(&layout.etcd()?)?;
            Ok((etcd, layout))
        })?;
        let (_, (api_server, kubeconfig)) = on_a_free_port(|api_port| {
            let mut api_server = Server::new(API_SERVER)?;
            layout.folder = api_server.folder().to_owned();
            layout.api_port = api_port;
            layout.prepare()?;
            let kubeconfig =
                layout.pki().kubeconfig("admin", "admin", Some("system:masters"), api_port)?;
            api_server.start(&layout.api_server_alone()?)?;
            Ok((api_server, kubeconfig))
        })?;
        await_ready(&kubeconfig)?;
        let _controller_manager = match self.controllers {
            true => Some(start_controllers(&layout, &kubeconfig)?),
            false => None,
        };
        let api_server = Mutex::new(api_server);
        Ok(ControlPlane { layout, kubeconfig, _controller_manager, api_server, _etcd: etcd })
    }
}

fn start_controllers(layout: &ControlPlaneLayout, kubeconfig: &Path) -> Result<Server> {
    let (_, server) = on_a_free_port(|port| {
        let mut server = Server::new(CONTROLLER_MANAGER)?;
        server.start(&layout.controller_manager(kubeconfig, port)?)?;
        Ok(server)
    })?;
    Ok(server)
}

/// kubectl with a kubeconfig, and nothing of the user's own settings.
pub(crate) fn kubectl(kubeconfig: &Path) -> Result<Command> {
    let mut command = Command::new(binaries::find("kubectl")?);
    command.arg("--kubeconfig").arg(kubeconfig);
    Ok(command)
}

/// Waits until the API server says that it is ready.
pub(crate) fn await_ready(kubeconfig: &Path) -> Result<()> {
    let deadline = Instant::now() + READY_WITHIN;
    loop {
        match program::run(kubectl(kubeconfig)?.args([
            "get",
            "--raw",
            "/readyz",
            "--request-timeout",
            "5s",
        ])) {
            Ok(_) => return Ok(()),
            Err(error) if Instant::now() > deadline => {
                bail!("kube-apiserver is not ready in time: {error:#}")
            }
            Err(_) => std::thread::sleep(POLL_EVERY),
        }
    }
}
