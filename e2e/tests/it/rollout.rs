//! Rolling updates: one pod at a time, and no failed call.

use anyhow::{Context, Result, ensure};
use e2e::shop::{NAME, SOON, Shop};
use e2e::{forward::is_ready, load::Load, waiting};
use k8s_openapi::api::apps::v1::Deployment;
use kube::{Api, ResourceExt, api::ListParams};
use proto::inventory::v1::SetStockRequest;
use serde_json::json;
use std::collections::BTreeSet;

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_field_rolls_the_pods_one_at_a_time_and_no_call_with_one_retry_fails()
-> Result<()> {
    let shop = Shop::of_three().await?;
    let before = shop.identities().await?;
    let clients = shop.clients(8).await?;
    clients[0]
        .clone()
        .set_stock(SetStockRequest { goods_id: 1, on_hand: 1_000_000, ..Default::default() })
        .await?;
    let load = Load::begin(clients, 1)?;

    let deployments: Api<Deployment> = Api::namespaced(shop.client(), &shop.namespace);
    let generation = deployments.get(NAME).await?.metadata.generation;
    shop.change(json!({"config": {"restart": {"databaseConnections": 8}}})).await?;
    let mut were_ready = BTreeSet::new();
    let (mut fewest, mut most_pods) = (3, 0);
    waiting::until("the rollout ends", SOON, async || {
        fewest = fewest.min(kept(&shop, &mut were_ready).await?);
        let deployment = deployments.get(NAME).await?;
        let status = deployment.status.unwrap_or_default();
        most_pods = most_pods.max(status.replicas.unwrap_or(0));
        let rolled = deployment.metadata.generation > generation
            && status.observed_generation == deployment.metadata.generation
            && status.updated_replicas == Some(3)
            && status.replicas == Some(3)
            && status.available_replicas == Some(3);
        Ok(if rolled { Ok(()) } else { Err(format!("{status:?}")) })
    })
    .await?;
    ensure!(fewest == 3, "a pod was taken away before its successor was ready: {fewest} were left");
    ensure!(most_pods <= 4, "{most_pods} pods were there at one moment: more than one at a time");
    shop.until_applied("3/3").await?;
    let result = load.end().await?;
    ensure!(
        result.failures.is_empty(),
        "{} of {} calls failed: {}",
        result.failures.len(),
        result.calls,
        result.failures[0]
    );
    ensure!(result.calls > 100, "the load made only {} calls", result.calls);
    let taken =
        shop.number("SELECT -SUM(delta) FROM ledger WHERE goods_id = 1 AND order_sn IS NOT NULL")?;
    ensure!(
        taken == result.calls as i64,
        "{} orders were acknowledged and the ledger has {taken}",
        result.calls
    );
    let after = shop.identities().await?;
    ensure!(
        before.iter().all(|old| !after.contains(old)),
        "a pod was not replaced: {before:?} {after:?}"
    );
    Ok(())
}

/// How many pods are ready, or were and have not been told to end. A pod that a busy machine answers for too late is
/// not one that was taken away.
async fn kept(shop: &Shop, were_ready: &mut BTreeSet<String>) -> Result<usize> {
    let labels = format!("app.kubernetes.io/instance={NAME}");
    let mut pods = shop.pods().list(&ListParams::default().labels(&labels)).await?.items;
    pods.retain(|pod| pod.metadata.deletion_timestamp.is_none());
    were_ready.extend(pods.iter().filter(|pod| is_ready(pod)).map(|pod| pod.name_any()));
    Ok(pods.iter().filter(|pod| were_ready.contains(&pod.name_any())).count())
}

#[tokio::test(flavor = "multi_thread")]
async fn scaling_down_and_up_under_load_fails_no_call_with_one_retry() -> Result<()> {
    let shop = Shop::of_three().await?;
    let clients = shop.clients(8).await?;
    clients[0]
        .clone()
        .set_stock(SetStockRequest { goods_id: 1, on_hand: 1_000_000, ..Default::default() })
        .await?;
    let load = Load::begin(clients, 1)?;
    shop.change(json!({"replicas": 1})).await?;
    shop.until_applied("1/1").await.context("after scaling down")?;
    shop.change(json!({"replicas": 3})).await?;
    shop.until_applied("3/3").await.context("after scaling up")?;
    let result = load.end().await?;
    ensure!(
        result.failures.is_empty(),
        "{} of {} calls failed: {}",
        result.failures.len(),
        result.calls,
        result.failures[0]
    );
    Ok(())
}
