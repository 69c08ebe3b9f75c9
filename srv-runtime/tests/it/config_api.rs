//! The configuration through a real API server, with the rights that a pod has and no more.

use crate::support::{
    MountedDirectory, SERVICE, TestService, arguments, eventually, get, local, rendered,
};
use k8s_openapi::api::{
    core::v1::{ConfigMap, Namespace},
    rbac::v1::{Role, RoleBinding},
};
use kube::{
    Api, Client, Config,
    api::{Patch, PatchParams, PostParams},
    config::{KubeConfigOptions, Kubeconfig},
};
use serde_json::json;
use srv_config::{
    Acknowledgement, InventoryConfig, LockStrategy, Outcome, Rejection, render, shard_of,
};
use srv_runtime::{ConfigSource, Kubernetes, Process, Serving, Settings};
use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};
use testkit::ControlPlane;
use tokio::sync::{Semaphore, mpsc};
use tonic::service::Routes;

type Inventory = Process<InventoryConfig>;
type Hot = Settings<srv_config::InventoryHot>;

const CONFIG_MAP: &str = "inventory-config";
const POD: &str = "inventory-7c9f8d5b6-x2x4b";

/// A namespace with what the operator makes for a pod, and the administrator's view of it.
struct Shop {
    namespace: String,
    config_maps: Api<ConfigMap>,
    kubernetes: Kubernetes,
}

async fn client(kubeconfig: &Path) -> Client {
    let kubeconfig = Kubeconfig::read_from(kubeconfig).unwrap();
    let config =
        Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
    Client::try_from(config).unwrap()
}

impl Shop {
    async fn open(plane: &ControlPlane, number: i64, text: &str) -> Self {
        static SHOPS: AtomicU32 = AtomicU32::new(0);
        let namespace = format!("shop-{}", SHOPS.fetch_add(1, Ordering::Relaxed));
        let admin = client(plane.kubeconfig()).await;
        let create = PostParams::default();
        let made: Namespace = from(json!({"metadata": {"name": namespace}}));
        Api::all(admin.clone()).create(&create, &made).await.unwrap();
        let config_maps = Api::<ConfigMap>::namespaced(admin.clone(), &namespace);
        for name in ["inventory-config-acks-0", "inventory-config-acks-1"] {
            config_maps.create(&create, &from(json!({"metadata": {"name": name}}))).await.unwrap();
        }
        let data: serde_json::Map<_, _> = rendered(number, text)
            .map(|(key, value)| (key.to_owned(), value.into()))
            .into_iter()
            .collect();
        let map = from(json!({"metadata": {"name": CONFIG_MAP}, "data": data}));
        config_maps.create(&create, &map).await.unwrap();
        let user = allow(&admin, &namespace).await;
        let kubernetes = Kubernetes {
            client: client(&plane.kubeconfig_for(&user)).await,
            namespace: namespace.clone(),
            config_map: CONFIG_MAP.to_owned(),
            pod: POD.to_owned(),
        };
        Self { namespace, config_maps, kubernetes }
    }

    async fn patch(&self, name: &str, data: serde_json::Value) {
        let patch = Patch::Merge(json!({ "data": data }));
        self.config_maps.patch(name, &PatchParams::default(), &patch).await.unwrap();
    }

    async fn publish_text(&self, number: i64, text: &str) {
        let [config, revision, _] = rendered(number, text);
        self.patch(CONFIG_MAP, json!({config.0: config.1, revision.0: revision.1})).await;
    }

    async fn publish(&self, number: i64, config: &InventoryConfig) {
        self.publish_text(number, &render(config)).await;
    }

    async fn entry(&self, shard: u32) -> Option<Acknowledgement> {
        let map = self.config_maps.get(&format!("{CONFIG_MAP}-acks-{shard}")).await.unwrap();
        let value = map.data?.get(POD)?.clone();
        Some(serde_json::from_str(&value).unwrap())
    }

    /// Waits until the pod says what it did with this revision.
    async fn outcome(&self, number: i64) -> Outcome {
        eventually(&format!("revision {number} is acknowledged"), async || {
            let said = self.entry(0).await?;
            (said.revision.number == number).then_some(said.outcome)
        })
        .await
    }

    async fn start(&self, directory: Option<&MountedDirectory>) -> Inventory {
        let source = ConfigSource {
            directory: directory.map(MountedDirectory::path),
            kubernetes: Some(self.kubernetes.clone()),
        };
        Inventory::start_with(arguments(), local(), source).await.unwrap()
    }
}

/// The contract's Role, bound to the pod's ServiceAccount; returns its user name.
async fn allow(admin: &Client, namespace: &str) -> String {
    let acks = [format!("{CONFIG_MAP}-acks-0"), format!("{CONFIG_MAP}-acks-1")];
    let read = ["get", "list", "watch"];
    let role: Role = from(json!({"metadata": {"name": "inventory"}, "rules": [
        {"apiGroups": [""], "resources": ["configmaps"], "resourceNames": [CONFIG_MAP], "verbs": read},
        {"apiGroups": [""], "resources": ["configmaps"], "resourceNames": acks, "verbs": ["patch"]},
    ]}));
    let binding: RoleBinding = from(json!({
        "metadata": {"name": "inventory"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "inventory"},
        "subjects": [{"kind": "ServiceAccount", "name": "inventory", "namespace": namespace}],
    }));
    let create = PostParams::default();
    Api::namespaced(admin.clone(), namespace).create(&create, &role).await.unwrap();
    Api::namespaced(admin.clone(), namespace).create(&create, &binding).await.unwrap();
    format!("system:serviceaccount:{namespace}:inventory")
}

fn from<T: serde::de::DeserializeOwned>(value: serde_json::Value) -> T {
    serde_json::from_value(value).unwrap()
}

fn with(strategy: LockStrategy) -> InventoryConfig {
    let mut config = InventoryConfig::default();
    config.hot.lock_strategy = strategy;
    config
}

async fn listen(process: Inventory) -> (Serving, Hot) {
    let settings = process.settings();
    let service = TestService::new(|_| async { Ok(()) });
    let serving = process.listen(Routes::new(service), &[SERVICE], &[]).await.unwrap();
    (serving, settings)
}

async fn reaches(settings: &Hot, strategy: LockStrategy) {
    eventually(&format!("{strategy:?} is in force"), async || {
        (settings.load().lock_strategy == strategy).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revision_reaches_the_settings_and_is_acknowledged_with_a_pods_rights_alone() {
    let shop =
        Shop::open(ControlPlane::shared(), 1, &render(&with(LockStrategy::Conditional))).await;
    let (serving, settings) = listen(shop.start(None).await).await;
    assert_eq!(shop.outcome(1).await, Outcome::Applied);
    let mut times = Vec::new();
    for (number, strategy) in
        (2..32).zip([LockStrategy::RowLock, LockStrategy::Conditional].into_iter().cycle())
    {
        let began = Instant::now();
        shop.publish(number, &with(strategy)).await;
        assert_eq!(shop.outcome(number).await, Outcome::Applied);
        times.push(began.elapsed());
        assert_eq!(settings.load().lock_strategy, strategy, "acknowledged before it was in force");
    }
    times.sort();
    println!("published -> acknowledgement read: median {:?}, max {:?}", times[15], times[29]);
    assert!(times[15] < Duration::from_secs(1), "the push is not the watch");
    serving.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_revision_keeps_the_last_good_one_and_its_field_is_acknowledged() {
    let shop = Shop::open(ControlPlane::shared(), 1, &render(&with(LockStrategy::RowLock))).await;
    let (serving, settings) = listen(shop.start(None).await).await;
    shop.publish_text(2, "lockStrategy: conditional\nredisLock: {ttlMilliseconds: 1}\n").await;
    let Outcome::Rejected(Rejection { field, reason }) = shop.outcome(2).await else {
        panic!("it was accepted")
    };
    assert_eq!(field, "redisLock.ttlMilliseconds");
    assert!(reason.contains("500"), "{reason}");
    assert_eq!(settings.load().lock_strategy, LockStrategy::RowLock);
    shop.publish(3, &with(LockStrategy::Conditional)).await;
    assert_eq!(shop.outcome(3).await, Outcome::Applied);
    reaches(&settings, LockStrategy::Conditional).await;
    serving.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_restart_field_is_acknowledged_as_awaiting_a_restart_and_the_hot_half_is_in_force()
 {
    let shop = Shop::open(ControlPlane::shared(), 1, &render(&with(LockStrategy::RowLock))).await;
    let (serving, settings) = listen(shop.start(None).await).await;
    let mut config = with(LockStrategy::Conditional);
    config.restart.database_connections = 32;
    shop.publish(2, &config).await;
    assert_eq!(shop.outcome(2).await, Outcome::AwaitsRestart);
    assert_eq!(settings.load().lock_strategy, LockStrategy::Conditional);
    shop.publish(3, &with(LockStrategy::Conditional)).await;
    assert_eq!(shop.outcome(3).await, Outcome::Applied);
    serving.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_service_refuses_is_acknowledged_and_heals_without_a_new_revision() {
    let shop = Shop::open(ControlPlane::shared(), 1, &render(&with(LockStrategy::RowLock))).await;
    let process = shop.start(None).await;
    let repaired = Arc::new(AtomicBool::new(false));
    let is_repaired = Arc::clone(&repaired);
    process.check_changes(move |hot| {
        let refuse =
            hot.lock_strategy == LockStrategy::RedisLock && !is_repaired.load(Ordering::Relaxed);
        let rejection = Rejection {
            field: "lockStrategy".into(),
            reason: "Redis refused the credentials".into(),
        };
        Box::pin(async move { if refuse { Err(rejection) } else { Ok(()) } })
    });
    let (serving, settings) = listen(process).await;
    shop.publish(2, &with(LockStrategy::RedisLock)).await;
    let rejection =
        Rejection { field: "lockStrategy".into(), reason: "Redis refused the credentials".into() };
    assert_eq!(shop.outcome(2).await, Outcome::Rejected(rejection));
    assert_eq!(settings.load().lock_strategy, LockStrategy::RowLock);
    repaired.store(true, Ordering::Relaxed);
    // Readings that bring nothing new, as those of a watch that breaks again and again, do not put it off.
    let stir = async {
        for number in 0.. {
            shop.patch(CONFIG_MAP, json!({"stir": number.to_string()})).await;
            // As often as a watch that is refused is opened again; the next question is seconds away.
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    tokio::select! {
        () = reaches(&settings, LockStrategy::RedisLock) => {}
        () = stir => {}
    }
    eventually("the rejection is taken back", async || {
        (shop.outcome(2).await == Outcome::Applied).then_some(())
    })
    .await;
    serving.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_acknowledged_or_in_force_while_the_service_still_thinks() {
    let shop = Shop::open(ControlPlane::shared(), 1, &render(&with(LockStrategy::RowLock))).await;
    let process = shop.start(None).await;
    let (asked, mut questions) = mpsc::unbounded_channel();
    let answer = Arc::new(Semaphore::new(1));
    let gate = Arc::clone(&answer);
    process.check_changes(move |_| {
        asked.send(()).unwrap();
        let gate = Arc::clone(&gate);
        Box::pin(async move {
            gate.acquire().await.unwrap().forget();
            Ok(())
        })
    });
    let (serving, settings) = listen(process).await;
    assert_eq!(shop.outcome(1).await, Outcome::Applied);
    questions.recv().await.unwrap();
    shop.publish(2, &with(LockStrategy::Conditional)).await;
    questions.recv().await.unwrap();
    let until = Instant::now() + Duration::from_millis(500);
    while Instant::now() < until {
        assert_eq!(shop.entry(0).await.unwrap().revision.number, 1, "acknowledged too early");
        assert_eq!(settings.load().lock_strategy, LockStrategy::RowLock, "in force too early");
    }
    answer.add_permits(1);
    assert_eq!(shop.outcome(2).await, Outcome::Applied);
    assert_eq!(settings.load().lock_strategy, LockStrategy::Conditional);
    serving.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_acknowledgement_is_back_within_thirty_seconds() {
    let shop = Shop::open(ControlPlane::shared(), 1, &render(&with(LockStrategy::RowLock))).await;
    let (serving, _) = listen(shop.start(None).await).await;
    shop.outcome(1).await;
    shop.patch("inventory-config-acks-0", json!({ POD: null })).await;
    let gone = Instant::now();
    while shop.entry(0).await.is_none() {
        assert!(gone.elapsed() < Duration::from_secs(30), "it was not renewed");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    serving.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_acknowledgement_moves_when_the_pods_are_spread_anew() {
    assert_eq!(shard_of(POD, 2), 1, "choose a pod that moves");
    let shop = Shop::open(ControlPlane::shared(), 1, &render(&with(LockStrategy::RowLock))).await;
    let (serving, _) = listen(shop.start(None).await).await;
    shop.outcome(1).await;
    shop.patch(CONFIG_MAP, json!({"acknowledgement-shards": "2"})).await;
    eventually("the pod writes into its new place", async || shop.entry(1).await).await;
    serving.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_sources_the_newer_revision_wins_whichever_it_is() {
    let shop = Shop::open(ControlPlane::shared(), 3, &render(&with(LockStrategy::RowLock))).await;
    let mut directory = MountedDirectory::new(5, &with(LockStrategy::RedisLock));
    let (serving, settings) = listen(shop.start(Some(&directory)).await).await;
    assert_eq!(shop.outcome(5).await, Outcome::Applied);
    shop.publish(4, &with(LockStrategy::RowLock)).await;
    shop.publish(6, &with(LockStrategy::Conditional)).await;
    assert_eq!(shop.outcome(6).await, Outcome::Applied);
    // The kubelet is a minute behind.
    directory.publish(4, &with(LockStrategy::RowLock));
    directory.publish(7, &with(LockStrategy::RedisLock));
    assert_eq!(shop.outcome(7).await, Outcome::Applied);
    reaches(&settings, LockStrategy::RedisLock).await;
    serving.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_rights_the_directory_is_followed_and_a_metric_says_so() {
    let plane = ControlPlane::shared();
    let mut shop = Shop::open(plane, 9, &render(&with(LockStrategy::RowLock))).await;
    shop.kubernetes.client =
        client(&plane.kubeconfig_for(&format!("nobody-of-{}", shop.namespace))).await;
    let mut directory = MountedDirectory::new(1, &with(LockStrategy::Conditional));
    let (serving, settings) = listen(shop.start(Some(&directory)).await).await;
    directory.publish(2, &with(LockStrategy::RedisLock));
    reaches(&settings, LockStrategy::RedisLock).await;
    eventually("the metrics tell of it", async || {
        let (_, metrics) = get(serving.admin, "/metrics").await;
        let failed = metrics.lines().any(|line| {
            line.starts_with("config_source_failures_total{") && line.contains("source=\"api\"")
        });
        let unwatched = metrics
            .lines()
            .any(|line| line.starts_with("config_api_watched{") && line.ends_with(" 0"));
        (failed && unwatched).then_some(())
    })
    .await;
    serving.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_api_is_away_the_directory_is_followed_and_afterwards_the_api_again() {
    let plane = ControlPlane::start();
    let shop = Shop::open(&plane, 1, &render(&with(LockStrategy::Conditional))).await;
    let mut directory = MountedDirectory::new(1, &with(LockStrategy::Conditional));
    let (serving, settings) = listen(shop.start(Some(&directory)).await).await;
    shop.outcome(1).await;
    plane.pause();
    directory.publish(2, &with(LockStrategy::RedisLock));
    reaches(&settings, LockStrategy::RedisLock).await;
    plane.resume();
    plane.restart_api_server();
    shop.publish(3, &with(LockStrategy::RowLock)).await;
    reaches(&settings, LockStrategy::RowLock).await;
    assert_eq!(shop.outcome(3).await, Outcome::Applied);
    serving.stop().await.unwrap();
}
