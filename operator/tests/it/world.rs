//! A namespace of a test's own, with an operator that looks after it.

use crds::{GoodsService, InventoryService, ManagedService};
use k8s_openapi::api::{
    core::v1::{Namespace, ServiceAccount},
    rbac::v1::{ClusterRole, ClusterRoleBinding, RoleRef, Subject},
};
use kube::{
    Api, Client, Config, Resource, ResourceExt,
    api::{ListParams, Patch, PatchParams, PostParams},
    config::{KubeConfigOptions, Kubeconfig},
    core::NamespaceResourceScope,
};
use operator::Options;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use srv_runtime::{Metrics, Readiness};
use std::{
    fmt::Debug,
    path::{Path, PathBuf},
    sync::OnceLock,
    time::{Duration, Instant},
};
use testkit::{
    ControlPlane,
    kubernetes::{Mark, Write},
};
use tokio::sync::{OnceCell, oneshot};

/// The account of every operator in these tests.
pub(crate) const OPERATOR: &str = "system:serviceaccount:shop-system:operator";
pub(crate) const GOODS_IMAGE: &str = "shopkeeper.local/goods-srv:test";
pub(crate) const INVENTORY_IMAGE: &str = "shopkeeper.local/inventory-srv:test";

/// How long anything may take to come true.
const PATIENCE: Duration = Duration::from_secs(60);
const POLL_EVERY: Duration = Duration::from_millis(10);
/// How long an operator that has told all statuses must have written nothing to count as done: what may still follow is
/// an Event, or the answer to a watch that lags on a busy machine.
const QUIET: Duration = Duration::from_millis(1500);

pub(crate) struct World {
    pub(crate) client: Client,
    pub(crate) namespace: String,
    pub(crate) readiness: Readiness,
    operator: Option<(oneshot::Sender<()>, tokio::task::JoinHandle<()>)>,
}

impl World {
    /// A namespace with an operator.
    pub(crate) async fn new(namespace: &str) -> Self {
        let mut world = Self::without_operator(namespace).await;
        world.start_operator().await;
        world
    }

    pub(crate) async fn without_operator(namespace: &str) -> Self {
        install().await;
        let client = client(ControlPlane::shared().kubeconfig()).await;
        let name = Namespace { metadata: named(namespace), ..Namespace::default() };
        Api::all(client.clone()).create(&PostParams::default(), &name).await.unwrap();
        Self {
            client,
            namespace: namespace.to_owned(),
            readiness: operator::readiness(),
            operator: None,
        }
    }

    pub(crate) async fn start_operator(&mut self) {
        self.start_operator_with(self.operators_client().await).await;
    }

    pub(crate) async fn operators_client(&self) -> Client {
        client(operators_kubeconfig()).await
    }

    /// An operator that reaches the API server through this client.
    pub(crate) async fn start_operator_with(&mut self, client: Client) {
        let namespaces = vec![self.namespace.clone()];
        self.start_operator_for(client, namespaces).await;
    }

    /// An operator that looks after these namespaces.
    pub(crate) async fn start_operator_for(&mut self, client: Client, namespaces: Vec<String>) {
        assert!(self.operator.is_none(), "an operator runs already");
        let (stop, stopped) = oneshot::channel::<()>();
        let options = Options {
            goods_image: GOODS_IMAGE.to_owned(),
            inventory_image: INVENTORY_IMAGE.to_owned(),
            namespaces,
        };
        self.readiness = operator::readiness();
        let readiness = self.readiness.clone();
        let run = operator::run(client, options, readiness, Metrics::new("operator"), async {
            let _ = stopped.await;
        });
        self.operator = Some((stop, tokio::spawn(run)));
    }

    /// Stops the operator and waits until it has ended.
    pub(crate) async fn stop_operator(&mut self) {
        let (stop, run) = self.operator.take().expect("an operator runs");
        drop(stop);
        run.await.unwrap();
    }

    /// Ends the operator where it stands, as a kill would.
    pub(crate) async fn kill_operator(&mut self) {
        let (_stop, run) = self.operator.take().expect("an operator runs");
        run.abort();
        assert!(run.await.unwrap_err().is_cancelled());
    }

    pub(crate) fn api<K>(&self) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Applies a custom resource (or anything else) as a user would.
    pub(crate) async fn apply<K>(&self, name: &str, object: Value) -> Result<K, String>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
            + Clone
            + Debug
            + DeserializeOwned,
    {
        let mut object = object;
        object["apiVersion"] = json!(K::api_version(&()));
        object["kind"] = json!(K::kind(&()));
        object["metadata"]["name"] = json!(name);
        let applied = self
            .api::<K>()
            .patch(name, &PatchParams::apply("user").force(), &Patch::Apply(object))
            .await;
        applied.map_err(|error| match error {
            kube::Error::Api(status) => status.message.clone(),
            error => panic!("{error}"),
        })
    }

    pub(crate) async fn inventory(&self, name: &str, spec: Value) -> InventoryService {
        self.apply(name, json!({"spec": spec})).await.unwrap()
    }

    pub(crate) async fn goods(&self, name: &str, spec: Value) -> GoodsService {
        self.apply(name, json!({"spec": spec})).await.unwrap()
    }

    /// Waits until `look` finds something, and gives it back.
    pub(crate) async fn until<T, F: Future<Output = Option<T>>>(
        &self,
        what: &str,
        look: impl Fn() -> F,
    ) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(found) = look().await {
                return found;
            }
            assert!(Instant::now() < deadline, "not in time: {what}");
            tokio::time::sleep(POLL_EVERY).await;
        }
    }

    /// Waits until the object exists and `holds`, and gives it back.
    pub(crate) async fn until_is<K>(&self, name: &str, holds: impl Fn(&K) -> bool) -> K
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
            + Clone
            + Debug
            + DeserializeOwned
            + Serialize,
    {
        let what = format!("{} {name}", K::kind(&()));
        let api = self.api::<K>();
        let deadline = Instant::now() + PATIENCE;
        loop {
            let found = api.get_opt(name).await.unwrap();
            match found {
                Some(found) if holds(&found) => return found,
                found if Instant::now() > deadline => {
                    panic!("not in time: {what}; it is {}", serde_yaml::to_string(&found).unwrap())
                }
                _ => tokio::time::sleep(POLL_EVERY).await,
            }
        }
    }

    pub(crate) async fn until_there<K>(&self, name: &str) -> K
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
            + Clone
            + Debug
            + DeserializeOwned
            + Serialize,
    {
        self.until_is(name, |_| true).await
    }

    /// Waits until the operator has told how every custom resource stands, and has then written nothing for a while.
    pub(crate) async fn until_quiet(&self) {
        self.until("every status is about the newest spec", || async {
            (self.told::<GoodsService>().await && self.told::<InventoryService>().await)
                .then_some(())
        })
        .await;
        let mark = self.mark();
        let (mut written, mut since) = (0, Instant::now());
        let deadline = Instant::now() + PATIENCE;
        while since.elapsed() < QUIET {
            tokio::time::sleep(POLL_EVERY).await;
            let now = self.writes_since(mark).len();
            if now != written {
                (written, since) = (now, Instant::now());
            }
            assert!(Instant::now() < deadline, "the operator does not come to rest");
        }
    }

    pub(crate) fn mark(&self) -> Mark {
        ControlPlane::shared().audit().mark()
    }

    /// Whether the status of each custom resource of this kind is about its newest spec.
    async fn told<S: ManagedService>(&self) -> bool {
        let all = self.api::<S>().list(&ListParams::default()).await.unwrap();
        all.iter().all(|service| {
            let told = service.status().and_then(|status| status.observed_generation);
            told == service.meta().generation
        })
    }

    /// What the operator wrote into this namespace since `mark`.
    pub(crate) fn writes_since(&self, mark: Mark) -> Vec<Write> {
        let writes = ControlPlane::shared().audit().writes_since(mark).unwrap();
        writes
            .into_iter()
            .filter(|write| write.user == OPERATOR && write.namespace == self.namespace)
            .collect()
    }
}

pub(crate) fn named(name: &str) -> kube::api::ObjectMeta {
    kube::api::ObjectMeta { name: Some(name.to_owned()), ..Default::default() }
}

pub(crate) async fn client(kubeconfig: &Path) -> Client {
    Client::try_from(config(kubeconfig).await).unwrap()
}

async fn config(kubeconfig: &Path) -> Config {
    let kubeconfig = Kubeconfig::read_from(kubeconfig).unwrap();
    Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap()
}

/// How the operator's account reaches the API server.
pub(crate) async fn operators_config() -> Config {
    config(operators_kubeconfig()).await
}

/// One file for all: it is written anew by each call that makes it.
pub(crate) fn operators_kubeconfig() -> &'static Path {
    static MADE: OnceLock<PathBuf> = OnceLock::new();
    MADE.get_or_init(|| ControlPlane::shared().kubeconfig_for(OPERATOR))
}

/// The CRDs as they are committed, and the operator's account with its rules, once per test process.
async fn install() {
    static INSTALLED: OnceCell<()> = OnceCell::const_new();
    INSTALLED
        .get_or_init(|| async {
            let control_plane = tokio::task::spawn_blocking(ControlPlane::shared).await.unwrap();
            let crds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crds");
            control_plane.kubectl(&["apply", "-f", crds.to_str().unwrap()]).unwrap();
            control_plane
                .kubectl(&["wait", "--for=condition=Established", "crd", "--all", "--timeout=30s"])
                .unwrap();
            let client = client(control_plane.kubeconfig()).await;
            let role = ClusterRole {
                metadata: named("operator"),
                rules: Some(operator::rbac::rules()),
                ..ClusterRole::default()
            };
            let binding = ClusterRoleBinding {
                metadata: named("operator"),
                role_ref: RoleRef {
                    api_group: Some("rbac.authorization.k8s.io".into()),
                    kind: "ClusterRole".into(),
                    name: "operator".into(),
                },
                subjects: Some(vec![Subject {
                    kind: "ServiceAccount".into(),
                    name: "operator".into(),
                    namespace: Some("shop-system".into()),
                    ..Subject::default()
                }]),
            };
            let create = PostParams::default();
            Api::all(client.clone()).create(&create, &role).await.unwrap();
            Api::all(client).create(&create, &binding).await.unwrap();
        })
        .await;
}

/// What is in every spec that is not about something else.
pub(crate) fn sqlite() -> Value {
    json!({"database": {"sqlite": {}}, "tls": {"mode": "disabled"}})
}

pub(crate) fn mysql(replicas: i32) -> Value {
    json!({
        "replicas": replicas,
        "database": {"mysql": {"urlSecretRef": {"name": "inventory-database"}}},
        "tls": {"mode": "disabled"},
    })
}

/// `base` with `more` on top.
pub(crate) fn with(mut base: Value, more: Value) -> Value {
    for (key, value) in more.as_object().unwrap() {
        base[key] = value.clone();
    }
    base
}

/// An account of somebody else's.
pub(crate) fn service_account(name: &str) -> ServiceAccount {
    ServiceAccount { metadata: named(name), ..ServiceAccount::default() }
}

pub(crate) fn is_owned_by<K: ResourceExt, S: Resource<DynamicType = ()>>(
    child: &K,
    owner: &S,
) -> bool {
    child.owner_references().iter().any(|reference| {
        reference.controller == Some(true)
            && Some(&reference.uid) == owner.meta().uid.as_ref()
            && reference.kind == S::kind(&())
            && reference.block_owner_deletion == Some(true)
    })
}
