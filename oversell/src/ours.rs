//! Our method: the service's own code under one of its strategies, in this process, so that nothing but the method
//! stands between the clients and the database.

use crate::shop::{Answer, GOODS, pool};
use anyhow::{Context, Result, anyhow};
use inventory_srv::{
    Inventory,
    act::{Expected, OrderAct, StockAct, StockChange},
    decide::Refusal,
    error::Error,
    order::{GoodsId, Order},
    sell::redis_lock::{Locks, RedisUrl},
    store::{self, Store},
};
use sqlx::MySqlPool;
use srv_config::{CallLimits, InventoryHot, LockStrategy, Restart};
use srv_runtime::{Database, Deadline, Settings};
use std::time::Duration;
use tokio::time::Instant;

/// The service on a fresh schema.
pub(crate) struct Ours {
    inventory: Inventory,
    database: Database,
    pool: MySqlPool,
}

impl Ours {
    /// With as many connections as a pod has by default.
    pub(crate) async fn open(
        strategy: LockStrategy,
        url: &str,
        redis: &str,
        stock: u32,
    ) -> Result<Self> {
        let connections = u32::try_from(Restart::default().database_connections)?;
        let (database, pool) = pool(url, connections).await?;
        store::migrate(&database).await?;
        let hot = InventoryHot { lock_strategy: strategy, ..InventoryHot::default() };
        let (store, locks) =
            (Store::new(database.clone()), Locks::new(RedisUrl::Given(redis.to_owned())));
        let inventory = Inventory::new(store, locks, Settings::new(hot));
        let goods = GoodsId::new(GOODS).context("a goods id is above zero")?;
        let full = StockAct {
            goods,
            change: StockChange::SetOnHand(i64::from(stock)),
            expected: Expected::default(),
            request: None,
        };
        inventory.stock(full, deadline()?).await?;
        Ok(Self { inventory, database, pool })
    }

    pub(crate) async fn sell(&self, order: &str) -> Result<Answer> {
        let order = Order::parse(order.to_owned(), &[(GOODS, 1)], None)
            .map_err(|violations| anyhow!("no order: {violations:?}"))?;
        match self.inventory.order(OrderAct::Sell(order), deadline()?).await {
            Ok(_) => Ok(Answer::Sold),
            Err(Error::OrderRefused(_, Refusal::Unobtainable(_))) => Ok(Answer::SoldOut),
            Err(error) => Err(error.into()),
        }
    }

    /// Past the service's code: it is what is on trial.
    pub(crate) async fn stock(&self) -> Result<i64> {
        let on_hand = sqlx::query_scalar("SELECT on_hand FROM stock WHERE goods_id = ?");
        Ok(on_hand.bind(GOODS).fetch_one(&self.pool).await?)
    }

    pub(crate) async fn close(self) {
        self.database.close().await;
    }
}

/// As long as a call may take by default.
fn deadline() -> Result<Deadline> {
    let milliseconds = u64::try_from(CallLimits::default().deadline_milliseconds)?;
    Ok(Deadline(Instant::now() + Duration::from_millis(milliseconds)))
}
