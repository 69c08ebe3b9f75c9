//! Clients race for the stock of one shop.

use crate::{
    Rules, Servers,
    method::Method,
    shop::{Answer, Shop},
    tally::{Standing, Tally},
};
use anyhow::Result;
use std::sync::Arc;
use tokio::{sync::Barrier, task::JoinSet, time::Instant};

/// What became of a stock.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    /// What the clients were told.
    pub(crate) told: Standing,
    /// What the database says is left.
    pub(crate) left: i64,
}

/// Opens a shop for `method` and lets all clients at it at once. Returns when each was told that the goods is sold out
/// or no more orders may be sent; until then `tally` tells how it stands.
pub(crate) async fn run(
    method: Method,
    rules: Rules,
    servers: &Servers,
    tally: Arc<Tally>,
) -> Result<Outcome> {
    let shop = Arc::new(Shop::open(method, rules, servers).await?);
    let start = Arc::new(Barrier::new(rules.clients as usize));
    let mut clients = JoinSet::new();
    for _ in 0..rules.clients {
        let (shop, start, tally) = (Arc::clone(&shop), Arc::clone(&start), Arc::clone(&tally));
        clients.spawn(async move {
            start.wait().await;
            buy_until_sold_out(&shop, &tally).await;
        });
    }
    clients.join_all().await;
    let left = shop.stock().await?;
    if let Some(shop) = Arc::into_inner(shop) {
        shop.close().await;
    }
    Ok(Outcome { told: tally.standing(), left })
}

async fn buy_until_sold_out(shop: &Shop, tally: &Tally) {
    loop {
        let began = Instant::now();
        let Some(number) = tally.next(began) else { return };
        match shop.sell(&format!("order-{number}")).await {
            Ok(Answer::Sold) => tally.sold(began, Instant::now()),
            Ok(Answer::SoldOut) => return,
            Err(error) => tally.failed(format!("{error:#}")),
        }
    }
}
