//! Configuration changes on their way into running pods.

use anyhow::{Context, Result, ensure};
use e2e::shop::{Shop, is_true};
use proto::inventory::v1::{Line, SellRequest, SetStockRequest};
use serde_json::json;
use std::time::{Duration, Instant};

/// Far more than a change takes, and far less than the kubelet needs to bring it into a mounted ConfigMap, by which it
/// would come as well: a minute. How long it takes is what `cargo xtask bench config` measures.
const APPLIED_MAX: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_strategy_and_log_level_are_applied_3_of_3_without_a_restart() -> Result<()> {
    let shop = Shop::of_three().await?;
    let before = shop.identities().await?;
    shop.change(json!({"config": {"lockStrategy": "rowLock", "logLevel": "debug"}})).await?;
    let changed = Instant::now();
    let status = shop.until_applied("3/3").await?;
    let took = changed.elapsed();
    ensure!(took <= APPLIED_MAX, "it took {took:?}: the pods do not watch");
    ensure!(is_true(&status, "ConfigApplied"), "ConfigApplied is not True: {status:?}");
    ensure!(shop.identities().await? == before, "a pod was replaced or restarted");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_that_a_pod_rejects_leaves_the_last_good_one_and_the_status_names_pod_field_and_reason()
-> Result<()> {
    let shop = Shop::of_three().await?;
    let before = shop.identities().await?;
    let good = shop.until_applied("3/3").await?.config.context("no config in the status")?.revision;

    // The pods' next connection to Redis is refused.
    shop.let_into_redis(false);
    shop.change(json!({"config": {"lockStrategy": "redisLock"}})).await?;
    let status = shop
        .until("three rejections", |status| {
            status.config.as_ref().is_some_and(|config| config.rejected.len() == 3)
        })
        .await?;
    let config = status.config.clone().context("no config in the status")?;
    ensure!(config.revision != good && config.applied == "0/3", "the status says {config:?}");
    ensure!(!is_true(&status, "ConfigApplied"), "ConfigApplied is True though every pod refused");
    let pods: Vec<String> = before.iter().map(|(name, _)| name.clone()).collect();
    for rejection in &config.rejected {
        ensure!(pods.contains(&rejection.pod), "{rejection:?} names a pod that is not there");
        ensure!(rejection.field == "lockStrategy", "{rejection:?} names another field");
        ensure!(rejection.reason.contains("Redis"), "{rejection:?} does not say that it is Redis");
    }
    // The last good configuration still sells.
    let mut client = shop.clients(1).await?.remove(0);
    client.set_stock(SetStockRequest { goods_id: 1, on_hand: 5, ..Default::default() }).await?;
    let lines = vec![Line { goods_id: 1, quantity: 1 }];
    client.sell(SellRequest { order_sn: "still".into(), lines, ttl: None }).await?;

    shop.let_into_redis(true);
    shop.until_applied("3/3").await.context("after Redis lets the pods in again")?;
    ensure!(shop.identities().await? == before, "a pod was replaced or restarted");
    Ok(())
}
