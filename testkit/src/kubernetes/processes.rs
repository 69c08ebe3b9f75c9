//! The command line of every process of a cluster, and the reason of each option that is not obvious.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use super::NODE_ADDRESS;
use super::binaries::find;
use super::pki::{NODE, Pki};

/// The addresses of Services. `kubernetes` is the first of them, the DNS service the tenth.
const SERVICE_ADDRESSES: &str = "10.96.0.0/16";
/// The addresses of pods; [`NODE_ADDRESS`] is the first of them.
pub(crate) const POD_ADDRESSES: &str = "10.244.0.0/24";

/// What gets into the audit log: every write, once, when it has been answered.
const AUDIT_POLICY: &str = "\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: Metadata
  verbs: [create, update, patch, delete, deletecollection]
- level: None
";

/// How etcd keeps its data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EtcdSync {
    /// Writes are acknowledged from memory. For tests: the data lives no longer than the cluster.
    #[default]
    Never,
    /// Writes are acknowledged after fsync, as in production. For measurements.
    EveryWrite,
}

/// What the processes of one control plane share.
pub(crate) struct ControlPlaneLayout {
    /// The API server's folder; it has the [`Pki`] in `pki` and the audit log.
    pub folder: PathBuf,
    pub etcd_folder: PathBuf,
    pub etcd_port: u16,
    pub etcd_peer_port: u16,
    pub etcd_sync: EtcdSync,
    pub api_port: u16,
}

impl ControlPlaneLayout {
    pub(crate) fn pki(&self) -> Pki {
        Pki::open(&self.folder.join("pki"))
    }

    pub(crate) fn audit_log(&self) -> PathBuf {
        self.folder.join("audit.log")
    }

    /// Writes the certificates and files that the processes read.
    pub(crate) fn prepare(&self) -> Result<()> {
        Pki::create(&self.folder.join("pki"))?;
        std::fs::write(self.folder.join("audit-policy.yaml"), AUDIT_POLICY)?;
        Ok(())
    }

    pub(crate) fn etcd(&self) -> Result<Command> {
        let client = format!("http://127.0.0.1:{}", self.etcd_port);
        let peer = format!("http://127.0.0.1:{}", self.etcd_peer_port);
        let mut command = Command::new(find("etcd")?);
        command
            .arg("--data-dir")
            .arg(self.etcd_folder.join("data"))
            .args(["--listen-client-urls", &client, "--advertise-client-urls", &client])
            .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer])
            .args(["--initial-cluster", &format!("default={peer}")]);
        if self.etcd_sync == EtcdSync::Never {
            command.arg("--unsafe-no-fsync");
        }
        Ok(command)
    }

    fn api_server(&self) -> Result<Command> {
        let pki = self.pki();
        let file = |name| pki.file(name).display().to_string();
        let mut command = Command::new(find("kube-apiserver")?);
        command
            .args(["--etcd-servers", &format!("http://127.0.0.1:{}", self.etcd_port)])
            .args(["--secure-port", &self.api_port.to_string()])
            .args(["--service-cluster-ip-range", SERVICE_ADDRESSES])
            .args(["--service-account-issuer", "https://kubernetes.default.svc.cluster.local"])
            .args(["--service-account-key-file", &file("sa.pub")])
            .args(["--service-account-signing-key-file", &file("sa.key")])
            .args([
                "--tls-cert-file",
                &file("apiserver.crt"),
                "--tls-private-key-file",
                &file("apiserver.key"),
            ])
            .args([
                "--client-ca-file",
                &file("ca.crt"),
                "--authorization-mode",
                "Node,RBAC",
                "--allow-privileged",
            ])
            .arg("--audit-policy-file")
            .arg(self.folder.join("audit-policy.yaml"))
            .arg("--audit-log-path")
            .arg(self.audit_log());
        Ok(command)
    }

    /// An API server that no pod will ask: on the loopback, and pods can be created without the controller that makes
    /// their service accounts.
    pub(crate) fn api_server_alone(&self) -> Result<Command> {
        let mut command = self.api_server()?;
        command.args(["--bind-address", "127.0.0.1", "--advertise-address", "127.0.0.1"]).args([
            "--endpoint-reconciler-type",
            "none",
            "--disable-admission-plugins",
            "ServiceAccount",
        ]);
        Ok(command)
    }

    /// An API server for the pods of a node.
    pub(crate) fn api_server_of_node(&self) -> Result<Command> {
        let pki = self.pki();
        let mut command = self.api_server()?;
        command
            .args(["--bind-address", "0.0.0.0", "--advertise-address", NODE_ADDRESS])
            // The node's name resolves nowhere; logs, exec and port-forward reach the kubelet by its address.
            .args([
                "--kubelet-preferred-address-types",
                "InternalIP",
                "--enable-admission-plugins",
                "NodeRestriction",
            ])
            .arg("--kubelet-client-certificate")
            .arg(pki.file("admin.crt"))
            .arg("--kubelet-client-key")
            .arg(pki.file("admin.key"));
        Ok(command)
    }

    pub(crate) fn controller_manager(&self, kubeconfig: &Path, port: u16) -> Result<Command> {
        let pki = self.pki();
        let mut command = Command::new(find("kube-controller-manager")?);
        command
            .arg("--kubeconfig")
            .arg(kubeconfig)
            .arg("--service-account-private-key-file")
            .arg(pki.file("sa.key"))
            .arg("--root-ca-file")
            .arg(pki.file("ca.crt"))
            .arg("--cluster-signing-cert-file")
            .arg(pki.file("ca.crt"))
            .arg("--cluster-signing-key-file")
            .arg(pki.file("ca.key"))
            .args([
                "--use-service-account-credentials",
                "--leader-elect=false",
                "--bind-address",
                "127.0.0.1",
            ])
            .args(["--secure-port", &port.to_string()]);
        Ok(command)
    }
}

pub(crate) fn scheduler(kubeconfig: &Path, port: u16) -> Result<Command> {
    let mut command = Command::new(find("kube-scheduler")?);
    command
        .arg("--kubeconfig")
        .arg(kubeconfig)
        .args(["--leader-elect=false", "--bind-address", "127.0.0.1"])
        .args(["--secure-port", &port.to_string()]);
    Ok(command)
}

/// `folder` has `kubelet.yaml`; the kubelet keeps its pods' volumes in `kubelet`.
pub(crate) fn kubelet(folder: &Path, kubeconfig: &Path) -> Result<Command> {
    let mut command = Command::new(find("kubelet")?);
    command
        .arg("--config")
        .arg(folder.join("kubelet.yaml"))
        .arg("--kubeconfig")
        .arg(kubeconfig)
        .args(["--hostname-override", NODE, "--node-ip", NODE_ADDRESS])
        .arg("--root-dir")
        .arg(folder.join("kubelet"))
        .arg("--cert-dir")
        .arg(folder.join("pki"));
    Ok(command)
}

pub(crate) fn proxy(kubeconfig: &Path) -> Result<Command> {
    let mut command = Command::new(find("kube-proxy")?);
    command
        .arg("--kubeconfig")
        .arg(kubeconfig)
        .args([
            "--hostname-override",
            NODE,
            "--proxy-mode",
            "nftables",
            "--cluster-cidr",
            POD_ADDRESSES,
        ])
        .args(["--bind-address", "127.0.0.1", "--healthz-bind-address", "127.0.0.1:10256"])
        .args(["--metrics-bind-address", "127.0.0.1:10249"])
        // Zero leaves the machine's own settings as they are.
        .args(["--conntrack-max-per-core", "0", "--conntrack-min", "0"])
        .args([
            "--conntrack-tcp-timeout-established",
            "0",
            "--conntrack-tcp-timeout-close-wait",
            "0",
        ]);
    Ok(command)
}

pub(crate) fn dns(folder: &Path) -> Result<Command> {
    let mut command = Command::new(find("coredns")?);
    command.arg("-conf").arg(folder.join("Corefile"));
    Ok(command)
}
