//! Steady orders from clients that call as the published service config tells them to, but send again only once.

use crate::{service_config::Calling, unprocessed::until_processed};
use anyhow::Result;
use proto::inventory::v1::{Line, SellRequest, inventory_service_client::InventoryServiceClient};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tonic::{Code, Status, transport::Channel};

/// What the orders are sent to.
pub const SERVICE: &str = "inventory.v1.InventoryService";
/// What a client waits between two orders: a steady trickle, not a benchmark.
const PACE: Duration = Duration::from_millis(5);

/// Clients that send one order after the other until told to end.
pub struct Load {
    ended: Arc<AtomicBool>,
    clients: Vec<tokio::task::JoinHandle<Result<u64, String>>>,
}

/// What the clients saw.
#[derive(Debug, Default)]
pub struct LoadResult {
    /// How many orders were acknowledged.
    pub calls: u64,
    /// Orders that failed after their one retry, or at once with something else than UNAVAILABLE.
    pub failures: Vec<String>,
}

impl Load {
    /// Every client sends orders for one piece of `goods_id`.
    pub fn begin(clients: Vec<InventoryServiceClient<Channel>>, goods_id: i64) -> Result<Self> {
        static LOADS: AtomicU64 = AtomicU64::new(0);
        let load = LOADS.fetch_add(1, Ordering::Relaxed);
        let calling = Calling::published(SERVICE)?.with_one_retry();
        let ended = Arc::new(AtomicBool::new(false));
        let clients = clients.into_iter().enumerate().map(|(number, client)| {
            let name = format!("load-{load}-{number}");
            tokio::spawn(send(client, goods_id, name, calling.clone(), ended.clone()))
        });
        Ok(Self { clients: clients.collect(), ended })
    }

    /// Lets every client finish the order it is at, and gives what they saw.
    pub async fn end(self) -> Result<LoadResult> {
        self.ended.store(true, Ordering::Relaxed);
        let mut result = LoadResult::default();
        for client in self.clients {
            match client.await? {
                Ok(calls) => result.calls += calls,
                Err(failure) => result.failures.push(failure),
            }
        }
        Ok(result)
    }
}

async fn send(
    client: InventoryServiceClient<Channel>,
    goods_id: i64,
    name: String,
    calling: Calling,
    ended: Arc<AtomicBool>,
) -> Result<u64, String> {
    let mut sent = 0;
    while !ended.load(Ordering::Relaxed) {
        let lines = vec![Line { goods_id, quantity: 1 }];
        let order = SellRequest { order_sn: format!("{name}-{sent}"), lines, ttl: None };
        let start = Instant::now();
        sell(&client, order, &calling).await.map_err(|status| {
            format!("{name}-{sent} after {} ms: {status:?}", start.elapsed().as_millis())
        })?;
        sent += 1;
        tokio::time::sleep(PACE).await;
    }
    Ok(sent)
}

/// Sends one order, again on UNAVAILABLE as `calling` says. Gives how often it had to.
pub async fn sell(
    client: &InventoryServiceClient<Channel>,
    order: SellRequest,
    calling: &Calling,
) -> Result<u32, Status> {
    let mut sent_again = 0;
    loop {
        let call = || {
            let (mut client, order) = (client.clone(), order.clone());
            async move { client.sell(order).await }
        };
        match until_processed(call).await {
            Err(status)
                if status.code() == Code::Unavailable && sent_again + 1 < calling.attempts =>
            {
                tokio::time::sleep(calling.backoff(sent_again)).await;
                sent_again += 1;
            }
            answer => return answer.map(|_| sent_again),
        }
    }
}
