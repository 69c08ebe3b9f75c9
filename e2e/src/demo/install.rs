//! From an empty cluster to a shop that serves, and back.

use crate::{
    arguments::Arguments,
    removal::{DEFINITIONS, Mark},
    stage::Stage,
};
use anyhow::{Context, Result, bail};
use e2e::{
    cluster::Cluster,
    forward::{Forward, is_ready},
    shop::local_volume,
};
use k8s_openapi::{
    api::core::v1::Pod,
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api,
    api::{DeleteParams, ListParams},
};
use proto::{
    goods::v1::{
        brand_service_client::BrandServiceClient, category_service_client::CategoryServiceClient,
        goods_service_client::GoodsServiceClient,
    },
    inventory::v1::inventory_service_client::InventoryServiceClient,
};
use serde_json::json;
use std::{
    path::Path,
    time::{Duration, Instant},
};
use tonic::transport::{Channel, Endpoint};

/// The two resources' files and names in `examples/`.
const RESOURCES: [(&str, &str, &str); 2] = [
    ("goods-sqlite.yaml", "goodsservice", "goods"),
    ("inventory-sqlite.yaml", "inventoryservice", "inventory"),
];
/// The release's name: what `helm list` shows.
pub(crate) const RELEASE: &str = "shopkeeper-demo";
/// How long each part may take to become ready: a pull of an image of 20 MB, and a start.
const READY: Duration = Duration::from_secs(180);
/// The port on which both services serve in a pod unless `restart.grpcPort` says otherwise.
pub(crate) const GRPC_PORT: u16 = 50051;

/// A shop that serves.
pub(crate) struct Shop {
    pub(crate) cluster: Cluster,
    pub(crate) namespace: String,
    goods: Channel,
    inventory: Channel,
    _forwards: [Forward; 2],
}

impl Shop {
    pub(crate) fn goods(&self) -> GoodsServiceClient<Channel> {
        GoodsServiceClient::new(self.goods.clone())
    }
    pub(crate) fn categories(&self) -> CategoryServiceClient<Channel> {
        CategoryServiceClient::new(self.goods.clone())
    }
    pub(crate) fn brands(&self) -> BrandServiceClient<Channel> {
        BrandServiceClient::new(self.goods.clone())
    }
    pub(crate) fn inventory(&self) -> InventoryServiceClient<Channel> {
        InventoryServiceClient::new(self.inventory.clone())
    }
    pub(crate) fn inventory_name(&self) -> &'static str {
        RESOURCES[1].2
    }

    /// The stock service's pods that are not on their way out.
    pub(crate) async fn inventory_pods(&self) -> Result<Vec<RunningPod>> {
        let list =
            self.pods().list(&ListParams::default().labels(&labels(self.inventory_name()))).await?;
        let staying =
            list.items.into_iter().filter(|pod| pod.metadata.deletion_timestamp.is_none());
        Ok(staying.map(RunningPod::from).collect())
    }

    /// Ends the stock service's pod without its grace period, which leaves it two seconds, and names it.
    pub(crate) async fn kill_inventory_pod(&self) -> Result<String> {
        let pod = self
            .inventory_pods()
            .await?
            .into_iter()
            .next()
            .context("no pod of the stock service is there")?;
        self.pods().delete(&pod.name, &DeleteParams::default().grace_period(0)).await?;
        Ok(pod.name)
    }

    /// Whether a pod of the stock service other than `gone` is ready.
    pub(crate) async fn serves_without(&self, gone: &str) -> Result<bool> {
        let pods =
            self.pods().list(&ListParams::default().labels(&labels(self.inventory_name()))).await?;
        let others = pods.items.iter().filter(|pod| pod.metadata.name.as_deref() != Some(gone));
        Ok(others.into_iter().any(is_ready))
    }

    fn pods(&self) -> Api<Pod> {
        Api::namespaced(self.cluster.client.clone(), &self.namespace)
    }
}

/// One pod, and how often it was restarted.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct RunningPod {
    pub(crate) name: String,
    pub(crate) restarts: i32,
}

impl From<Pod> for RunningPod {
    fn from(pod: Pod) -> Self {
        let containers =
            pod.status.and_then(|status| status.container_statuses).unwrap_or_default();
        let restarts = containers.iter().map(|container| container.restart_count).sum();
        Self { name: pod.metadata.name.unwrap_or_default(), restarts }
    }
}

/// Installs the chart, applies both resources and connects to them.
pub(crate) async fn open_shop(
    arguments: &Arguments,
    mark: &Mark,
    stage: &mut Stage,
) -> Result<Shop> {
    let cluster = connect(arguments).await?;
    let namespace = arguments.namespace.as_str();
    stage.act("The shop opens");
    make_namespace(&cluster, namespace, mark).await?;
    if let Some(folder) = &arguments.local_volumes {
        make_volumes(&cluster, namespace, folder, mark).await?;
    }
    install_the_chart(arguments, &cluster, stage).await?;
    apply_the_resources(arguments, &cluster, stage).await?;

    let pods: Api<Pod> = Api::namespaced(cluster.client.clone(), namespace);
    let goods = Forward::to(pods.clone(), &labels("goods"), GRPC_PORT).await?;
    let inventory = Forward::to(pods, &labels("inventory"), GRPC_PORT).await?;
    Ok(Shop {
        cluster,
        namespace: namespace.to_owned(),
        goods: channel(&goods)?,
        inventory: channel(&inventory)?,
        _forwards: [goods, inventory],
    })
}

pub(crate) async fn connect(arguments: &Arguments) -> Result<Cluster> {
    let context = arguments.context.as_deref();
    let kubeconfig = arguments.kubeconfig.as_deref();
    Cluster::connect(kubeconfig, context, &arguments.kubectl, &arguments.helm).await
}

fn channel(forward: &Forward) -> Result<Channel> {
    let endpoint = Endpoint::from_shared(format!("http://{}", forward.address()))?;
    Ok(endpoint.timeout(Duration::from_secs(10)).connect_lazy())
}

fn labels(instance: &str) -> String {
    format!("app.kubernetes.io/instance={instance},app.kubernetes.io/managed-by=shopkeeper")
}

/// The demo removes what it made. Where something of ours is there already it could not tell the two apart.
pub(crate) async fn refuse_a_cluster_in_use(arguments: &Arguments) -> Result<()> {
    let cluster = connect(arguments).await?;
    let namespace = arguments.namespace.as_str();
    let definitions: Api<CustomResourceDefinition> = Api::all(cluster.client.clone());
    for name in DEFINITIONS {
        if definitions.get_opt(name).await?.is_some() {
            bail!(
                "this cluster has the CustomResourceDefinition {name} already, and the demo would remove it at its \
                 end: take another cluster, or remove it first if nobody needs it (kubectl delete crd {name})"
            );
        }
    }
    let namespaces: Api<k8s_openapi::api::core::v1::Namespace> = Api::all(cluster.client.clone());
    if namespaces.get_opt(namespace).await?.is_some() {
        bail!("this cluster has a namespace {namespace} already: name another with --namespace");
    }
    Ok(())
}

/// Marked in the request that makes it: a namespace without our mark was there before.
async fn make_namespace(cluster: &Cluster, namespace: &str, mark: &Mark) -> Result<()> {
    let mut object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {
        "name": namespace, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}}});
    mark.put_on(&mut object);
    cluster.kubectl_with(&["create", "-f", "-"], &object.to_string()).await?;
    Ok(())
}

/// A volume per resource, of the kind to which the kubelet applies the pod's group (`hostPath` ignores it).
async fn make_volumes(
    cluster: &Cluster,
    namespace: &str,
    folder: &Path,
    mark: &Mark,
) -> Result<()> {
    let nodes: Api<k8s_openapi::api::core::v1::Node> = Api::all(cluster.client.clone());
    let node = nodes
        .list(&ListParams::default())
        .await?
        .items
        .into_iter()
        .next()
        .context("the cluster has no node")?;
    let node = node.metadata.name.unwrap_or_default();
    for (_, _, name) in RESOURCES {
        let path = folder.join(name);
        std::fs::create_dir_all(&path)
            .with_context(|| format!("{} cannot be made", path.display()))?;
        let mut volume = local_volume(
            &format!("{namespace}-{name}"),
            &path,
            &node,
            namespace,
            &format!("{name}-data"),
        );
        mark.put_on(&mut volume);
        cluster.kubectl_with(&["create", "-f", "-"], &volume.to_string()).await?;
    }
    Ok(())
}

async fn install_the_chart(
    arguments: &Arguments,
    cluster: &Cluster,
    stage: &mut Stage,
) -> Result<()> {
    let start = Instant::now();
    let chart = arguments.chart.display().to_string();
    let namespace = arguments.namespace.as_str();
    let mut settings = vec![
        format!("images.tag={}", arguments.images_tag),
        format!("watchNamespaces={{{namespace}}}"),
    ];
    for (image, binary) in
        [("operator", "operator"), ("goods", "goods-srv"), ("inventory", "inventory-srv")]
    {
        settings.push(format!("images.{image}.repository={}/{binary}", arguments.registry));
    }
    let mut command =
        vec!["install", RELEASE, &chart, "--namespace", namespace, "--wait", "--timeout", "180s"];
    settings.iter().for_each(|setting| command.extend(["--set", setting]));
    cluster.helm(&command).await?;
    stage.claim(
        start.elapsed(),
        "helm installed the chart: custom resources, RBAC, the operator, ready",
    );
    Ok(())
}

async fn apply_the_resources(
    arguments: &Arguments,
    cluster: &Cluster,
    stage: &mut Stage,
) -> Result<()> {
    let start = Instant::now();
    let namespace = arguments.namespace.as_str();
    for (file, _, _) in RESOURCES {
        let file = arguments.examples.join(file).display().to_string();
        cluster.kubectl(&["apply", "--namespace", namespace, "-f", &file]).await?;
    }
    for (_, kind, name) in RESOURCES {
        let resource = format!("{kind}/{name}");
        cluster.until_ready(namespace, &resource, "1/1", READY).await?;
    }
    stage.claim(
        start.elapsed(),
        "one GoodsService and one InventoryService applied, both Ready, on embedded SQLite",
    );
    Ok(())
}
