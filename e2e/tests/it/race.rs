//! 256 clients, a connection each, through the Service, for 100 pieces.

use anyhow::{Context, Result, ensure};
use e2e::shop::{NAME, SOON, Shop, is_true};
use e2e::{load, service_config::Calling, waiting};
use futures::future::join_all;
use proto::inventory::v1::{
    BatchGetStockRequest, GetStockRequest, Line, SellRequest, SetStockRequest,
    inventory_service_client::InventoryServiceClient,
};
use serde_json::json;
use srv_config::{LockStrategy, Revision};
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::sync::Barrier;
use tonic::{Code, Status, transport::Channel};
use tonic_types::StatusExt;

const CLIENTS: usize = 256;
const PIECES: i64 = 100;
/// How many races are run while the strategy changes.
const RACES: i64 = 5;

#[tokio::test(flavor = "multi_thread")]
async fn under_every_strategy_256_clients_get_exactly_the_100_pieces_there_are() -> Result<()> {
    let shop = Shop::of_three().await?;
    let clients = clients_of_every_pod(&shop).await?;
    for (round, strategy) in LockStrategy::ALL.into_iter().enumerate() {
        shop.change(json!({"config": {"lockStrategy": strategy}})).await?;
        shop.until_applied("3/3").await?;
        let before = shop.calls_of_each_pod("Sell").await?;
        race(&shop, &clients, 100 + round as i64, strategy.as_str()).await?;
        let after = shop.calls_of_each_pod("Sell").await?;
        every_pod_answered(&before, &after).context(strategy.as_str())?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_strategy_changes_256_clients_get_exactly_the_100_pieces_there_are() -> Result<()>
{
    let shop = Arc::new(Shop::of_three().await?);
    let clients = clients_of_every_pod(&shop).await?;
    let ended = Arc::new(AtomicBool::new(false));
    let changing = tokio::spawn({
        let (shop, ended) = (shop.clone(), ended.clone());
        async move {
            let strategies = LockStrategy::ALL.into_iter().cycle();
            for strategy in strategies.take_while(|_| !ended.load(Ordering::Relaxed)) {
                shop.change(json!({"config": {"lockStrategy": strategy}})).await?;
                tokio::time::sleep(Duration::from_millis(30)).await; // the pace of the changes, not an order of events
            }
            anyhow::Ok(())
        }
    });
    let revision = number_of_revision(&shop).await?;
    let before = shop.calls_of_each_pod("Sell").await?;
    for round in 0..RACES {
        race(&shop, &clients, 200 + round, "changing strategies").await?;
    }
    let changed = number_of_revision(&shop).await?;
    let after = shop.calls_of_each_pod("Sell").await?;
    ended.store(true, Ordering::Relaxed);
    changing.await?.context("the strategy could not be changed")?;
    ensure!(changed >= revision + RACES, "revision {revision} became {changed} in {RACES} races");
    every_pod_answered(&before, &after)?;

    shop.change(json!({"config": {"lockStrategy": "conditional"}})).await?;
    let status = shop.until_applied("3/3").await?;
    ensure!(is_true(&status, "ConfigApplied"), "the configuration came to rest unapplied");
    Ok(())
}

/// The number of the newest revision that the status speaks of.
async fn number_of_revision(shop: &Shop) -> Result<i64> {
    let status = shop.resources().get(NAME).await?.status.unwrap_or_default();
    let revision = status.config.context("the status names no revision")?.revision;
    Ok(revision.parse::<Revision>()?.number)
}

fn every_pod_answered(before: &BTreeMap<String, u64>, after: &BTreeMap<String, u64>) -> Result<()> {
    ensure!(after.len() == 3, "{} pods serve, not 3", after.len());
    for (pod, calls) in after {
        ensure!(calls > before.get(pod).unwrap_or(&0), "pod {pod} answered nothing");
    }
    Ok(())
}

/// The clients, connected when the Service leads to all three pods: kube-proxy learns of the last one a moment after
/// us.
async fn clients_of_every_pod(shop: &Shop) -> Result<Vec<InventoryServiceClient<Channel>>> {
    waiting::until("the Service leads to every pod", SOON, async || {
        let clients = shop.clients(CLIENTS).await?;
        let before = shop.calls_of_each_pod("BatchGetStock").await?;
        let calls = clients.iter().cloned().map(|mut client| async move {
            client.batch_get_stock(BatchGetStockRequest::default()).await
        });
        join_all(calls).await;
        let after = shop.calls_of_each_pod("BatchGetStock").await?;
        let reached = after.iter().filter(|(pod, calls)| **calls > *before.get(*pod).unwrap_or(&0));
        Ok(if reached.count() == 3 { Ok(clients) } else { Err(format!("{after:?}")) })
    })
    .await
}

/// Every client sends one order for one piece of `goods_id` at the same moment.
async fn race(
    shop: &Shop,
    clients: &[InventoryServiceClient<Channel>],
    goods_id: i64,
    name: &str,
) -> Result<()> {
    let stock = SetStockRequest { goods_id, on_hand: PIECES, ..Default::default() };
    clients[0].clone().set_stock(stock).await?;
    let start = Arc::new(Barrier::new(clients.len()));
    let calling = Calling::published(load::SERVICE)?;
    let orders = clients.iter().cloned().enumerate().map(|(number, client)| {
        let (start, calling) = (start.clone(), calling.clone());
        async move {
            let lines = vec![Line { goods_id, quantity: 1 }];
            let request =
                SellRequest { order_sn: format!("{goods_id}-{number}"), lines, ttl: None };
            start.wait().await;
            load::sell(&client, request, &calling).await
        }
    });
    let answers = join_all(orders.map(tokio::spawn)).await;
    let (mut sold, mut short, mut sent_again) = (0, 0, 0);
    for answer in answers {
        match answer? {
            Ok(retries) => {
                sold += 1;
                sent_again += retries;
            }
            Err(status) if is_short(&status) => short += 1,
            Err(status) => {
                anyhow::bail!("{name}: a client got neither OK nor INSUFFICIENT_STOCK: {status:?}")
            }
        }
    }
    println!("{name}: {sold} sold, {short} told so, after {sent_again} repeats");
    ensure!(
        (sold, short) == (PIECES, CLIENTS as i64 - PIECES),
        "{name}: {sold} OK and {short} INSUFFICIENT_STOCK"
    );
    let stock =
        clients[0].clone().get_stock(GetStockRequest { goods_id }).await?.into_inner().stock;
    ensure!(
        stock.is_some_and(|stock| stock.on_hand == 0),
        "{name}: the stock is not 0 after the race"
    );
    let taken = shop.number(&format!(
        "SELECT -SUM(delta) FROM ledger WHERE goods_id = {goods_id} AND order_sn IS NOT NULL"
    ))?;
    ensure!(taken == PIECES, "{name}: the ledger says that orders took {taken} pieces");
    Ok(())
}

fn is_short(status: &Status) -> bool {
    let reason = status.get_details_error_info().map(|info| info.reason);
    status.code() == Code::FailedPrecondition && reason.as_deref() == Some("INSUFFICIENT_STOCK")
}
