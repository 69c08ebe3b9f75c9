//! What is killed or deleted comes back.

use anyhow::{Context, Result, ensure};
use e2e::shop::{NAME, RELEASE, SOON, SYSTEM, Shop};
use e2e::{forward, waiting};
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api,
    api::{DeleteParams, ListParams},
};
use proto::inventory::v1::{GetStockRequest, Line, SellRequest, SetStockRequest};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use std::fs;

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_pod_is_replaced_and_what_was_sold_stays_sold() -> Result<()> {
    let shop = Shop::of_three().await?;
    let mut client = shop.clients(1).await?.remove(0);
    client.set_stock(SetStockRequest { goods_id: 1, on_hand: 5, ..Default::default() }).await?;
    let lines = vec![Line { goods_id: 1, quantity: 2 }];
    client.sell(SellRequest { order_sn: "before".into(), lines: lines.clone(), ttl: None }).await?;
    let before = shop.identities().await?;
    kill(&shop.pods(), &shop.ready_pods().await?).await?;
    shop.until_replaced(&before).await?;
    let mut client = shop.clients(1).await?.remove(0);
    let stock = client
        .get_stock(GetStockRequest { goods_id: 1 })
        .await?
        .into_inner()
        .stock
        .unwrap_or_default();
    ensure!(stock.on_hand == 3, "{} pieces are there after the pods' death, not 3", stock.on_hand);
    let again = client
        .sell(SellRequest { order_sn: "before".into(), lines, ttl: None })
        .await?
        .into_inner();
    ensure!(again.replayed, "an order from before the pods' death is not known");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_deleted_child_comes_back() -> Result<()> {
    let shop = Shop::of_three().await?;
    let pods = shop.identities().await?;
    let headless = format!("service/{NAME}-headless");
    let (config, acks) =
        (format!("configmap/{NAME}-config"), format!("configmap/{NAME}-config-acks-0"));
    let service = format!("service/{NAME}");
    // The Deployment last: a pod's token is good for the ServiceAccount that it was issued for, so the pods of one that
    // was deleted can no longer acknowledge and must be replaced.
    let accesses = ["serviceaccount", "role", "rolebinding", "poddisruptionbudget"]
        .map(|kind| format!("{kind}/{NAME}"));
    let deployment = format!("deployment/{NAME}");
    for child in accesses.iter().chain([&service, &headless, &config, &acks, &deployment]) {
        let uid = [
            "get",
            child,
            "--namespace",
            &shop.namespace,
            "--ignore-not-found",
            "-o",
            "jsonpath={.metadata.uid}",
        ];
        let before = shop.cluster.kubectl(&uid).await?;
        ensure!(!before.is_empty(), "{child} is not there");
        shop.cluster
            .kubectl(&["delete", child, "--namespace", &shop.namespace, "--wait=false"])
            .await?;
        waiting::until(&format!("{child} comes back"), SOON, async || {
            let now = shop.cluster.kubectl(&uid).await?;
            Ok(if !now.is_empty() && now != before { Ok(()) } else { Err(format!("uid {now:?}")) })
        })
        .await?;
    }
    shop.until_replaced(&pods).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_operator_comes_back_restarts_no_pod_and_goes_on() -> Result<()> {
    let shop = Shop::of_three().await?;
    let before = shop.identities().await?;
    kill_the_operator(&shop).await?;
    shop.change(json!({"config": {"logLevel": "debug"}})).await?;
    shop.until_applied("3/3").await?;
    ensure!(shop.identities().await? == before, "the operator's death replaced or restarted a pod");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_upgraded_with_the_same_service_images_restarts_no_pod() -> Result<()> {
    let shop = Shop::of_three().await?;
    let before = shop.identities().await?;
    let generation = [
        "get",
        "deployment",
        NAME,
        "--namespace",
        &shop.namespace,
        "-o",
        "jsonpath={.metadata.generation}",
    ];
    let deployment = shop.cluster.kubectl(&generation).await?;
    e2e::shop::install_operator(&shop.cluster, &["--set", "podAnnotations.upgraded=yes"]).await?;
    shop.change(json!({"config": {"logLevel": "debug"}})).await?;
    shop.until_applied("3/3").await?;
    ensure!(shop.identities().await? == before, "the upgrade replaced or restarted a pod");
    ensure!(
        shop.cluster.kubectl(&generation).await? == deployment,
        "the upgrade changed the Deployment"
    );
    Ok(())
}

/// Kills the operator and waits for its successor, so that what comes next is the successor's work.
async fn kill_the_operator(shop: &Shop) -> Result<()> {
    let pods: Api<Pod> = Api::namespaced(shop.client(), SYSTEM);
    let labels = ListParams::default().labels(&format!("app.kubernetes.io/instance={RELEASE}"));
    let killed = pods.list(&labels).await?.items;
    ensure!(!killed.is_empty(), "no pod of the operator is there");
    kill(&pods, &killed).await?;
    let was_killed = |pod: &Pod| killed.iter().any(|one| one.metadata.uid == pod.metadata.uid);
    waiting::until("another operator is ready", SOON, async || {
        let now = pods.list(&labels).await?.items;
        let successor = now.iter().any(|pod| forward::is_ready(pod) && !was_killed(pod));
        Ok(if successor { Ok(()) } else { Err(format!("{} pods", now.len())) })
    })
    .await
}

/// Ends all processes of these pods at once, as the death of their machine does, and the pods. The kubelet by itself
/// lets even a pod without a grace period end in good order, for two seconds.
async fn kill(pods: &Api<Pod>, killed: &[Pod]) -> Result<()> {
    for pod in killed {
        let uid = pod.metadata.uid.as_deref().context("a pod has a UID")?;
        let processes = processes_of(uid)?;
        ensure!(!processes.is_empty(), "no process of the pod {uid} is on this machine");
        for process in processes {
            // One that is gone already died with another.
            let _ = kill_process(process, Signal::KILL);
        }
    }
    for pod in killed {
        let name = pod.metadata.name.as_deref().context("a pod has a name")?;
        pods.delete(name, &DeleteParams::default().grace_period(0)).await?;
    }
    Ok(())
}

/// The pods of the node are processes of this machine, in control groups that are named after them.
fn processes_of(pod_uid: &str) -> Result<Vec<Pid>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")?.flatten() {
        let groups = fs::read_to_string(entry.path().join("cgroup")).unwrap_or_default();
        let process = entry.file_name().to_str().and_then(|name| name.parse().ok());
        if groups.contains(pod_uid) {
            found.extend(process.and_then(Pid::from_raw));
        }
    }
    Ok(found)
}
