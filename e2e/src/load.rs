//! Steady orders from clients that call as the published service config tells them to, but send again only once.

use crate::service_config::Calling;
use anyhow::Result;
use proto::inventory::v1::{Line, SellRequest, inventory_service_client::InventoryServiceClient};
use std::{
    error::Error,
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
    mut client: InventoryServiceClient<Channel>,
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
        sell(&mut client, order, &calling).await.map_err(|status| {
            format!("{name}-{sent} after {} ms: {status:?}", start.elapsed().as_millis())
        })?;
        sent += 1;
        tokio::time::sleep(PACE).await;
    }
    Ok(sent)
}

/// How often one call may find that its connection ends before it was sent: each time it gets another, so twice in a
/// row is rare already.
const NEVER_SENT_MAX: u32 = 3;

/// Sends one order, again on UNAVAILABLE as `calling` says. Gives how often it had to.
pub async fn sell(
    client: &mut InventoryServiceClient<Channel>,
    order: SellRequest,
    calling: &Calling,
) -> Result<u32, Status> {
    let (mut sent_again, mut never_sent) = (0, 0);
    loop {
        match client.sell(order.clone()).await {
            Err(status) if was_never_sent(&status) && never_sent < NEVER_SENT_MAX => {
                never_sent += 1;
            }
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

/// Whether the connection ended, as a server may ask at any time, while the call still waited to be sent on it. A gRPC
/// library sends such a call again by itself, whatever its retry policy
/// (<https://github.com/grpc/proposal/blob/master/A6-client-retries.md#transparent-retries>); tonic leaves it to its
/// caller and calls it CANCELLED, as it calls a call that ran out of time or that the server broke off: hyper knows
/// which it was.
fn was_never_sent(status: &Status) -> bool {
    let mut reason = status.source();
    while let Some(error) = reason {
        if let Some(error) = error.downcast_ref::<hyper::Error>() {
            return status.code() == Code::Cancelled && error.is_canceled();
        }
        reason = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;
    use tonic::transport::Endpoint;

    #[tokio::test]
    async fn a_call_that_ran_out_of_time_may_have_been_sent() {
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", silent.local_addr().unwrap());
        let endpoint = Endpoint::from_shared(address).unwrap().timeout(Duration::from_millis(50));
        let mut client = InventoryServiceClient::new(endpoint.connect_lazy());
        let status = client.sell(SellRequest::default()).await.unwrap_err();
        assert_eq!(status.code(), Code::Cancelled, "{status:?}");
        assert!(!was_never_sent(&status), "{status:?}");
    }

    #[tokio::test]
    async fn a_call_whose_connection_ended_before_it_was_sent_was_not() {
        let ending = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", ending.local_addr().unwrap());
        let mut client =
            InventoryServiceClient::new(Endpoint::from_shared(address).unwrap().connect_lazy());
        let ends = async {
            let (connection, _) = ending.accept().await.unwrap();
            drop(connection);
        };
        let (answer, ()) = tokio::join!(client.sell(SellRequest::default()), ends);
        let status = answer.unwrap_err();
        assert!(was_never_sent(&status), "{status:?}");
    }
}
