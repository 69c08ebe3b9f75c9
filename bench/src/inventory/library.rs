//! The service's library in this process.

use super::arm;
use anyhow::{Context, Result};
use inventory_srv::{
    Inventory,
    sell::redis_lock::{Locks, RedisUrl},
    store::Store,
};
use srv_config::InventoryHot;
use srv_runtime::{Database, Settings};

/// The stock at this URL under this strategy, with so many connections; and its database, to be closed at the end.
pub(crate) async fn open(url: &str, strategy: &str, pool: u32) -> Result<(Inventory, Database)> {
    let lock_strategy =
        arm::strategy(strategy).with_context(|| format!("the service has no {strategy}"))?;
    let database = Database::connect(url, pool).await?;
    let settings = Settings::new(InventoryHot { lock_strategy, ..Default::default() });
    let locks = Locks::new(RedisUrl::None);
    Ok((Inventory::new(Store::new(database.clone()), locks, settings), database))
}
