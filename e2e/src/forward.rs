//! A local port whose connections end in a ready pod, on any cluster that lets its user port-forward.

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, api::ListParams};
use std::{net::SocketAddr, time::Duration};
use tokio::net::{TcpListener, TcpStream};

/// How often a connection looks for a ready pod, and how long it leaves between: together 30 s, a pod's restart.
const LOOKS_FOR_A_POD: u32 = 150;
const BETWEEN_LOOKS: Duration = Duration::from_millis(200);

/// A port of the loopback that leads into the cluster for as long as this value lives.
pub struct Forward {
    address: SocketAddr,
    accepting: tokio::task::JoinHandle<()>,
}

/// Which pod a connection ends in.
#[derive(Clone)]
enum Target {
    Named(String),
    Labelled(String),
}

impl Forward {
    /// Forwards a free port of the loopback to `port` of whichever pod with these `labels` is ready when a connection
    /// comes in, so that a new connection finds the successor of a pod that died.
    pub async fn to(pods: Api<Pod>, labels: &str, port: u16) -> Result<Self> {
        Self::begin(pods, Target::Labelled(labels.to_owned()), port).await
    }

    /// Forwards to this one pod, whether it is ready or not.
    pub async fn to_pod(pods: Api<Pod>, name: &str, port: u16) -> Result<Self> {
        Self::begin(pods, Target::Named(name.to_owned()), port).await
    }

    async fn begin(pods: Api<Pod>, target: Target, port: u16) -> Result<Self> {
        let listener =
            TcpListener::bind("127.0.0.1:0").await.context("no free port on the loopback")?;
        let address = listener.local_addr()?;
        let accepting = tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                tokio::spawn(carry(pods.clone(), target.clone(), port, connection));
            }
        });
        Ok(Self { address, accepting })
    }

    /// Where the port is, as `127.0.0.1:PORT`.
    pub fn address(&self) -> String {
        self.address.to_string()
    }
}

impl Drop for Forward {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn carry(pods: Api<Pod>, target: Target, port: u16, mut connection: TcpStream) {
    for _ in 0..LOOKS_FOR_A_POD {
        if let Some(pod) = find(&pods, &target).await
            && let Ok(mut forwarder) = pods.portforward(&pod, &[port]).await
            && let Some(mut stream) = forwarder.take_stream(port)
        {
            // An error here is the end of the connection, which its client sees.
            let _ = tokio::io::copy_bidirectional(&mut connection, &mut stream).await;
            return;
        }
        tokio::time::sleep(BETWEEN_LOOKS).await;
    }
}

async fn find(pods: &Api<Pod>, target: &Target) -> Option<String> {
    let labels = match target {
        Target::Named(name) => return Some(name.clone()),
        Target::Labelled(labels) => labels,
    };
    let list = pods.list(&ListParams::default().labels(labels)).await.ok()?;
    list.items.iter().find(|pod| is_ready(pod)).and_then(|pod| pod.metadata.name.clone())
}

/// Whether a pod serves: ready, and not on its way out.
pub fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
    let ready =
        conditions.is_some_and(|all| all.iter().any(|c| c.type_ == "Ready" && c.status == "True"));
    ready && pod.metadata.deletion_timestamp.is_none()
}
