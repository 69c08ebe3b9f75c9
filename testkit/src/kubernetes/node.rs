//! The parts of a node on this machine: the pods' bridge, containerd, kubelet, kube-proxy and DNS.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use super::cluster::Cluster;
use super::processes::{self, POD_ADDRESSES};
use super::{NODE_ADDRESS, detached, images, leftovers};
use crate::program;
use crate::server::free_port;

/// The bridge that joins the pods with each other and with the machine.
const BRIDGE: &str = "shopkeeper0";
/// The name of the pods' network.
const NETWORK: &str = "shopkeeper";
/// containerd's sockets and mounts; short, because the path of a socket has 107 characters at most.
const RUNTIME: &str = "/run/shopkeeper";
/// Settings of the kernel that a node needs (the kubelet sets all but the first) and that get their values back.
const KERNEL_SETTINGS: [&str; 5] = [
    "net/ipv4/ip_forward",
    "kernel/panic",
    "kernel/panic_on_oops",
    "vm/overcommit_memory",
    "vm/panic_on_oom",
];

const CONTAINERD_WITHIN: Duration = Duration::from_secs(30);
const NODE_WITHIN: Duration = Duration::from_secs(90);

/// In the order in which they are ended: first those that would start others again.
const PROCESSES: [&str; 6] =
    ["kubelet", "kube-controller-manager", "kube-scheduler", "kube-proxy", "coredns", "containerd"];

/// Makes the bridge, before the API server starts: it announces the bridge's address.
pub(super) fn connect(folder: &Path) -> Result<()> {
    leftovers::remember(folder, &KERNEL_SETTINGS)?;
    fs::write("/proc/sys/net/ipv4/ip_forward", "1")
        .context("this machine does not let pods' packets be routed")?;
    if !Path::new("/sys/class/net").join(BRIDGE).exists() {
        ip(&["link", "add", BRIDGE, "type", "bridge"])?;
        ip(&["addr", "add", &format!("{NODE_ADDRESS}/24"), "dev", BRIDGE])?;
        ip(&["link", "set", BRIDGE, "up"])?;
    }
    Ok(())
}

/// Starts everything but etcd and the API server, and waits until the node is ready for pods.
pub(super) fn start(cluster: &Cluster) -> Result<()> {
    let folder = cluster.folder();
    write_files(folder)?;
    detached::start(
        folder,
        "containerd",
        Command::new("containerd").arg("--config").arg(folder.join("containerd.toml")),
    )?;
    detached::wait(folder, "containerd", CONTAINERD_WITHIN, || {
        program::run(ctr().arg("version")).is_ok()
    })?;
    images::load_pause()?;

    let pki = cluster.layout().pki();
    pki.certify(
        "kubelet",
        "system:node:node1",
        Some("system:nodes"),
        &["node1", NODE_ADDRESS, "127.0.0.1"],
    )?;
    let kubelet = pki.kubeconfig_of("kubelet", cluster.layout().api_port)?;
    let admin = cluster.kubeconfig();
    let controllers = cluster.layout().controller_manager(admin, free_port()?)?;
    detached::start(folder, "kube-controller-manager", &controllers)?;
    detached::start(folder, "kube-scheduler", &processes::scheduler(admin, free_port()?)?)?;
    detached::start(folder, "kubelet", &processes::kubelet(folder, &kubelet)?)?;
    detached::start(folder, "kube-proxy", &processes::proxy(admin)?)?;
    detached::start(folder, "coredns", &processes::dns(folder)?)?;

    cluster.apply(DNS_SERVICE)?;
    let ready = ["wait", "--for=condition=Ready", "node/node1", "--timeout=1s"];
    detached::wait(folder, "kubelet", NODE_WITHIN, || cluster.kubectl(&ready).is_ok())?;
    cluster.kubectl(&["wait", "--for=create", "serviceaccount/default", "--timeout=60s"])?;
    Ok(())
}

/// Ends every process and container and takes the network apart. Works also on what a killed run has left.
pub(super) fn stop(folder: &Path) -> Result<()> {
    detached::kill(folder, &PROCESSES)?;
    detached::kill_all(&leftovers::containers(&socket()))?;
    leftovers::unmount_below(&[folder, Path::new(RUNTIME)])?;
    if Path::new("/sys/class/net").join(BRIDGE).exists() {
        ip(&["link", "delete", BRIDGE])?;
    }
    for family in ["ip", "ip6"] {
        let _absent_is_fine =
            program::run(Command::new("nft").args(["delete", "table", family, "kube-proxy"]));
    }
    leftovers::restore(folder)?;
    leftovers::remove_empty_control_groups();
    leftovers::remove_files("/var/lib/cni/results", |file| {
        fs::read_to_string(file).is_ok_and(|result| result.contains(RUNTIME))
    });
    leftovers::remove_files("/var/log/containers", |file| {
        fs::read_link(file).is_ok_and(|target| target.starts_with(folder))
    });
    leftovers::remove_shim_sockets(&Path::new(RUNTIME).join("state"));
    if Path::new(RUNTIME).exists() {
        fs::remove_dir_all(RUNTIME)?;
    }
    Ok(())
}

/// containerd's own client, for the images and containers of pods.
pub(super) fn ctr() -> Command {
    let mut command = Command::new("ctr");
    command.args(["--address", &socket(), "--namespace", "k8s.io"]);
    command
}

fn socket() -> String {
    format!("{RUNTIME}/containerd.sock")
}

fn ip(arguments: &[&str]) -> Result<String> {
    program::run(Command::new("ip").args(arguments))
}

fn write_files(folder: &Path) -> Result<()> {
    let run = folder.display();
    fs::create_dir_all(folder.join("cni"))?;
    fs::write(folder.join("cni/10-shopkeeper.conflist"), cni(&folder.join("ipam")))?;
    fs::write(folder.join("containerd.toml"), containerd(folder))?;
    fs::write(folder.join("kubelet.yaml"), kubelet(folder))?;
    // Names outside the cluster are not resolved: pods of a test have nothing to look for there.
    let corefile = format!(
        ".:53 {{\n  errors\n  bind {NODE_ADDRESS}\n  ready 127.0.0.1:8181\n  \
         kubernetes cluster.local in-addr.arpa {{\n    kubeconfig {run}/pki/admin.kubeconfig shopkeeper\n    \
         pods insecure\n  }}\n  cache 5\n}}\n"
    );
    fs::write(folder.join("Corefile"), corefile)?;
    Ok(())
}

fn cni(addresses: &Path) -> String {
    format!(
        r#"{{"cniVersion": "1.0.0", "name": "{NETWORK}", "plugins": [
  {{"type": "bridge", "bridge": "{BRIDGE}", "isGateway": true, "hairpinMode": true,
    "ipam": {{"type": "host-local", "dataDir": {addresses:?},
      "ranges": [[{{"subnet": "{POD_ADDRESSES}", "rangeStart": "10.244.0.10"}}]],
      "routes": [{{"dst": "0.0.0.0/0"}}]}}}},
  {{"type": "portmap", "capabilities": {{"portMappings": true}}}}]}}
"#
    )
}

/// `restrict_oom_score_adj`: in a container (CI, a sandbox) nobody may lower that number, not even root.
/// `netns_mounts_under_state_dir`: the pods' networks then lie below our folder and go away with it.
fn containerd(folder: &Path) -> String {
    let run = folder.display();
    format!(
        r#"version = 2
root = "{run}/containerd"
state = "{RUNTIME}/state"
[grpc]
  address = "{}"
[plugins."io.containerd.internal.v1.opt"]
  path = "{run}/containerd-opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{}"
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      Root = "{RUNTIME}/runc"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{run}/cni"
"#,
        socket(),
        images::PAUSE
    )
}

/// `failCgroupV1: false`: older kernels and most sandboxes still have version 1.
/// `makeIPTablesUtilChains: false`: kube-proxy works with nftables, and the machine's own rules stay as they are.
/// `imageGCHighThresholdPercent: 100`: on a disk that is nearly full the kubelet would remove images that no pod uses
/// just then, and ours can be had from nowhere.
fn kubelet(folder: &Path) -> String {
    let run = folder.display();
    format!(
        r#"apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
failCgroupV1: false
failSwapOn: false
cgroupDriver: cgroupfs
containerRuntimeEndpoint: "unix://{}"
authentication:
  anonymous: {{enabled: false}}
  webhook: {{enabled: true}}
  x509: {{clientCAFile: "{run}/pki/ca.crt"}}
authorization: {{mode: Webhook}}
clusterDomain: cluster.local
clusterDNS: [10.96.0.10]
resolvConf: ""
podLogsDir: "{run}/pod-logs"
volumePluginDir: "{run}/volume-plugins"
makeIPTablesUtilChains: false
tlsCertFile: "{run}/pki/kubelet.crt"
tlsPrivateKeyFile: "{run}/pki/kubelet.key"
imageGCHighThresholdPercent: 100
evictionHard: {{memory.available: 100Mi, nodefs.available: "1%", imagefs.available: "1%", nodefs.inodesFree: "1%"}}
"#,
        socket()
    )
}

/// DNS runs on the machine, not in a pod, so its Service has endpoints written by hand.
const DNS_SERVICE: &str = r#"
apiVersion: v1
kind: Service
metadata: {name: kube-dns, namespace: kube-system}
spec:
  clusterIP: 10.96.0.10
  ports: [{name: dns, port: 53, protocol: UDP}, {name: dns-tcp, port: 53, protocol: TCP}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: kube-dns-node, namespace: kube-system, labels: {kubernetes.io/service-name: kube-dns}}
addressType: IPv4
endpoints: [{addresses: ["10.244.0.1"], conditions: {ready: true}}]
ports: [{name: dns, port: 53, protocol: UDP}, {name: dns-tcp, port: 53, protocol: TCP}]
"#;
