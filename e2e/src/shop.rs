//! A shop of a test's own on the node: a namespace under restricted Pod Security with an InventoryService on MariaDB
//! and Redis, or whatever the test applies. The operator and the two servers are shared.

use crate::{cluster::Cluster, forward, metrics, waiting};
use anyhow::{Context, Result, bail};
use crds::{InventoryService, ServiceStatus};
use k8s_openapi::api::core::v1::{Namespace, Pod, Secret};
use kube::{
    Api, Client,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
};
use proto::inventory::v1::inventory_service_client::InventoryServiceClient;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    env,
    path::{Path, PathBuf},
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};
use testkit::{Account, MariaDb, Redis};
use tonic::transport::{Channel, Endpoint};

/// Where pods reach servers of this machine.
pub const BRIDGE: &str = "10.244.0.1";
/// The namespace and the release of the operator.
pub const SYSTEM: &str = "shopkeeper-system";
pub const RELEASE: &str = "shopkeeper";
/// The resource of every test's shop, and the port it serves on.
pub const NAME: &str = "inventory";
pub const GRPC_PORT: u16 = 50051;
/// How long pods may take to come, to roll or to go, three of them on two cores.
pub const SOON: Duration = Duration::from_secs(120);

/// The MariaDB of this test run, reachable for pods.
pub fn mariadb() -> &'static MariaDb {
    static SERVER: OnceLock<MariaDb> = OnceLock::new();
    SERVER.get_or_init(|| {
        MariaDb::options().bind(BRIDGE).start().expect("MariaDB starts at the bridge address")
    })
}

/// The Redis of this test run, reachable for pods, with a password.
pub fn redis() -> &'static Redis {
    static SERVER: OnceLock<Redis> = OnceLock::new();
    SERVER.get_or_init(|| {
        Redis::options().bind(BRIDGE).start().expect("Redis starts at the bridge address")
    })
}

/// A variable that `cargo xtask e2e` sets.
pub fn told(name: &str) -> Result<PathBuf> {
    let value = env::var_os(name);
    Ok(value
        .with_context(|| format!("{name} is not set: run these tests by `cargo xtask e2e`"))?
        .into())
}

/// The node, with the tools to talk to it.
pub async fn node() -> Result<Cluster> {
    let kubeconfig = told("SHOPKEEPER_E2E_KUBECONFIG")?;
    Cluster::connect(
        Some(&kubeconfig),
        None,
        &told("SHOPKEEPER_E2E_KUBECTL")?,
        &told("SHOPKEEPER_E2E_HELM")?,
    )
    .await
}

/// The tag under which `cargo xtask e2e` loaded the images.
pub fn images_tag() -> Result<String> {
    Ok(told("SHOPKEEPER_E2E_TAG")?.display().to_string())
}

/// A folder of the repository.
pub fn repository(folder: &str) -> String {
    format!("{}/../{folder}", env!("CARGO_MANIFEST_DIR"))
}

/// Installs the operator for all namespaces with these images and the `more` arguments of helm; one that is there
/// becomes such a one.
pub async fn install_operator(cluster: &Cluster, more: &[&str]) -> Result<()> {
    let namespaces: Api<Namespace> = Api::all(cluster.client.clone());
    if namespaces.get_opt(SYSTEM).await?.is_none() {
        make_namespace(cluster, SYSTEM).await?;
    }
    let (chart, tag) = (repository("helm/shopkeeper"), format!("images.tag={}", images_tag()?));
    let command = ["upgrade", "--install", RELEASE, &chart, "--namespace", SYSTEM, "--set", &tag];
    cluster.helm(&[&command, ["--wait", "--timeout", "120s"].as_slice(), more].concat()).await?;
    Ok(())
}

async fn make_namespace(cluster: &Cluster, name: &str) -> Result<()> {
    let namespace = json!({"metadata": {"name": name, "labels": {
        "pod-security.kubernetes.io/enforce": "restricted"}}});
    let namespaces: Api<Namespace> = Api::all(cluster.client.clone());
    namespaces.create(&PostParams::default(), &serde_json::from_value(namespace)?).await?;
    Ok(())
}

/// A test's own namespace, gone with the test.
pub struct Shop {
    pub cluster: Cluster,
    pub namespace: String,
    /// The account of the test's own database.
    pub account: Account,
}

impl Shop {
    /// A namespace with the Secrets `inventory-database` and `redis`, and the operator there; no resource yet.
    pub async fn empty() -> Result<Self> {
        static SHOPS: AtomicU32 = AtomicU32::new(0);
        let cluster = node().await?;
        install_operator(&cluster, &[]).await?;
        let namespace =
            format!("shop-{}-{}", std::process::id(), SHOPS.fetch_add(1, Ordering::Relaxed));
        make_namespace(&cluster, &namespace).await?;
        let database = namespace.replace('-', "_");
        mariadb().sql(&format!("CREATE DATABASE {database}"));
        let shop = Self { cluster, namespace, account: mariadb().account(&database) };
        shop.put_secret("inventory-database", &shop.account.url(BRIDGE)).await?;
        redis().cli(&[
            "ACL",
            "SETUSER",
            &shop.namespace,
            "on",
            &format!(">{}", shop.account.password),
            "~*",
            "&*",
            "+@all",
        ]);
        shop.put_secret("redis", &shop.redis_url()).await?;
        Ok(shop)
    }

    /// An InventoryService of three pods on MariaDB and Redis, Ready, its configuration applied.
    pub async fn of_three() -> Result<Self> {
        let shop = Self::empty().await?;
        shop.apply(three_pods()).await?;
        shop.until_applied("3/3").await?;
        Ok(shop)
    }

    pub fn client(&self) -> Client {
        self.cluster.client.clone()
    }
    pub fn resources(&self) -> Api<InventoryService> {
        Api::namespaced(self.client(), &self.namespace)
    }
    pub fn pods(&self) -> Api<Pod> {
        Api::namespaced(self.client(), &self.namespace)
    }

    /// Where the pods find Redis, as a user that is the namespace's own.
    pub fn redis_url(&self) -> String {
        let (user, password) = (&self.namespace, &self.account.password);
        format!("redis://{user}:{password}@{BRIDGE}:{}/", redis().port())
    }

    /// Lets the pods' user into Redis, or no longer.
    pub fn let_into_redis(&self, allowed: bool) {
        redis().cli(&["ACL", "SETUSER", &self.namespace, if allowed { "on" } else { "off" }]);
    }

    /// Writes a Secret with this `url`.
    pub async fn put_secret(&self, name: &str, url: &str) -> Result<()> {
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": {"url": url},
        });
        let secrets: Api<Secret> = Api::namespaced(self.client(), &self.namespace);
        secrets.patch(name, &PatchParams::apply("e2e").force(), &Patch::Apply(secret)).await?;
        Ok(())
    }

    /// Makes a volume for the claim of this name, of the kind to which the kubelet applies the pod's group. Its folder
    /// goes with the node.
    pub async fn make_volume(&self, claim: &str) -> Result<()> {
        let folder = told("SHOPKEEPER_E2E_VOLUMES")?.join(&self.namespace).join(claim);
        std::fs::create_dir_all(&folder)?;
        let volume = local_volume(
            &format!("{}-{claim}", self.namespace),
            &folder,
            "node1",
            &self.namespace,
            claim,
        );
        self.cluster.kubectl_with(&["apply", "-f", "-"], &volume.to_string()).await?;
        Ok(())
    }

    /// Applies this resource, as `kubectl apply --server-side` would.
    pub async fn apply(&self, resource: Value) -> Result<InventoryService> {
        Ok(self
            .resources()
            .patch(NAME, &PatchParams::apply("e2e").force(), &Patch::Apply(resource))
            .await?)
    }

    /// Applies a file of `examples/`.
    pub async fn apply_example(&self, example: &str) -> Result<()> {
        let file = format!("{}/{example}", repository("examples"));
        self.cluster.kubectl(&["apply", "--namespace", &self.namespace, "-f", &file]).await?;
        Ok(())
    }

    /// Changes `spec` by this merge patch.
    pub async fn change(&self, spec: Value) -> Result<InventoryService> {
        let patch = Patch::Merge(json!({"spec": spec}));
        Ok(self.resources().patch(NAME, &PatchParams::default(), &patch).await?)
    }

    /// Waits until the status is about the newest spec and `is_so`.
    pub async fn until(
        &self,
        what: &str,
        is_so: impl Fn(&ServiceStatus) -> bool,
    ) -> Result<ServiceStatus> {
        waiting::until(what, SOON, async || {
            let resource = self.resources().get(NAME).await?;
            let status = resource.status.clone().unwrap_or_default();
            let is_new = status.observed_generation == resource.metadata.generation;
            let seen = || serde_json::to_string(&status).unwrap_or_default();
            Ok(if is_new && is_so(&status) { Ok(status) } else { Err(seen()) })
        })
        .await
    }

    /// Waits until the resource is Ready and this many pods run the newest configuration.
    pub async fn until_applied(&self, applied: &str) -> Result<ServiceStatus> {
        self.until(&format!("Ready with applied {applied}"), |status| {
            is_true(status, "Ready")
                && status.config.as_ref().is_some_and(|config| config.applied == applied)
        })
        .await
    }

    /// The ready pods, by name.
    pub async fn ready_pods(&self) -> Result<Vec<Pod>> {
        let labels = format!("app.kubernetes.io/instance={NAME}");
        let mut pods = self.pods().list(&ListParams::default().labels(&labels)).await?.items;
        pods.retain(forward::is_ready);
        pods.sort_by(|left, right| left.metadata.name.cmp(&right.metadata.name));
        Ok(pods)
    }

    /// Name and restarts of every ready pod: equal before and after means that none was replaced or restarted.
    pub async fn identities(&self) -> Result<Vec<(String, i32)>> {
        let restarts = |pod: &Pod| {
            let containers =
                pod.status.as_ref().and_then(|status| status.container_statuses.as_ref());
            containers.map_or(0, |all| all.iter().map(|container| container.restart_count).sum())
        };
        let pods = self.ready_pods().await?;
        Ok(pods
            .iter()
            .map(|pod| (pod.metadata.name.clone().unwrap_or_default(), restarts(pod)))
            .collect())
    }

    /// Waits until three ready pods are there, none of them of `before`, and then until they run the newest
    /// configuration: a status alone may still be the one of the pods before.
    pub async fn until_replaced(&self, before: &[(String, i32)]) -> Result<()> {
        waiting::until("three new pods are ready", SOON, async || {
            let now = self.identities().await?;
            let are_new = now.iter().all(|(pod, _)| before.iter().all(|(old, _)| old != pod));
            Ok(if now.len() == 3 && are_new { Ok(()) } else { Err(format!("{now:?}")) })
        })
        .await?;
        self.until_applied("3/3").await.map(drop)
    }

    /// How many calls of this method each ready pod has answered, by its own metrics.
    pub async fn calls_of_each_pod(&self, method: &str) -> Result<BTreeMap<String, u64>> {
        const COUNTER: &str = "rpc_server_call_duration_seconds_count";
        let mut calls = BTreeMap::new();
        for pod in self.ready_pods().await? {
            let name = pod.metadata.name.clone().unwrap_or_default();
            let forward = forward::Forward::to_pod(self.pods(), &name, 9090).await?;
            let metrics = metrics::read(&forward.address()).await?;
            calls.insert(name, metrics::sum(&metrics, COUNTER, &format!("{method}\"")));
        }
        Ok(calls)
    }

    /// `count` clients, each with a connection of its own, through the Service's cluster address.
    pub async fn clients(&self, count: usize) -> Result<Vec<InventoryServiceClient<Channel>>> {
        let services: Api<k8s_openapi::api::core::v1::Service> =
            Api::namespaced(self.client(), &self.namespace);
        let service = services.get(NAME).await?;
        let Some(address) = service.spec.and_then(|spec| spec.cluster_ip) else {
            bail!("the Service has no address")
        };
        let endpoint = Endpoint::from_shared(format!("http://{address}:{GRPC_PORT}"))?
            .connect_timeout(Duration::from_secs(5))
            .timeout(Duration::from_secs(20));
        // kube-proxy learns of ready pods when we do, and takes a moment to let connections through.
        waiting::until("the Service lets a connection through", SOON, async || {
            Ok(endpoint.connect().await.map_err(|error| format!("{error:?}")))
        })
        .await?;
        let connections = (0..count).map(|_| endpoint.connect());
        let channels =
            futures::future::try_join_all(connections).await.context("a client cannot connect")?;
        Ok(channels.into_iter().map(InventoryServiceClient::new).collect())
    }

    /// One number from a statement on the test's own database, past the service.
    pub fn number(&self, statement: &str) -> Result<i64> {
        let database = self.namespace.replace('-', "_");
        let answer = mariadb().try_sql(&format!("USE {database}; {statement}"))?;
        answer.trim().parse().with_context(|| format!("{statement} answered {answer:?}"))
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        // The namespace goes in its own time; the next test has another. A runtime of its own, because the test's may
        // end.
        let (client, name) = (self.client(), self.namespace.clone());
        let Ok(handle) = tokio::runtime::Handle::try_current() else { return };
        let gone = async move {
            let namespaces: Api<Namespace> = Api::all(client);
            let _ = namespaces.delete(&name, &DeleteParams::default()).await;
        };
        tokio::task::block_in_place(|| handle.block_on(gone));
    }
}

/// A `local` PersistentVolume of 1 GiB in `folder` of `node`, kept for one claim.
pub fn local_volume(name: &str, folder: &Path, node: &str, namespace: &str, claim: &str) -> Value {
    let here = json!({"key": "kubernetes.io/hostname", "operator": "In", "values": [node]});
    json!({
        "apiVersion": "v1", "kind": "PersistentVolume",
        "metadata": {"name": name, "labels": {"shopkeeper.dev/namespace": namespace}},
        "spec": {
            "capacity": {"storage": "1Gi"},
            "accessModes": ["ReadWriteOnce"],
            "persistentVolumeReclaimPolicy": "Retain",
            "local": {"path": folder},
            "claimRef": {"namespace": namespace, "name": claim},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [here]}]}},
        },
    })
}

/// Three pods on MariaDB and Redis.
pub fn three_pods() -> Value {
    json!({
        "apiVersion": "shopkeeper.dev/v1alpha1", "kind": "InventoryService", "metadata": {"name": NAME},
        "spec": {
            "replicas": 3,
            "database": {"mysql": {"urlSecretRef": {"name": "inventory-database", "key": "url"}}},
            "redis": {"urlSecretRef": {"name": "redis", "key": "url"}},
            "tls": {"mode": "disabled"},
        },
    })
}

/// Whether the condition of this type is True.
pub fn is_true(status: &ServiceStatus, condition: &str) -> bool {
    status.conditions.iter().any(|one| one.type_ == condition && one.status == "True")
}
