//! `redisLock`: a lease in Redis on all goods of the order, around the look and the transaction. Rivals of every
//! replica wait in Redis instead of in the database.
//!
//! A lease is advisory: it can lapse while its holder is paused. So the guards stay in SQL: the rows must be as they
//! were read, enough must be available, and no younger lease (a higher fence) may have written them.

mod locks;

pub use locks::{LockError, Locks, RedisUrl};

use super::steps::{begin, decide_unheld};
use super::{Verdict, row_lock};
use crate::act::OrderAct;
use crate::decide::Receipt;
use crate::order::GoodsId;
use crate::patience::Setback;
use crate::store::{Store, StoreError};
use lease_lock::Lease;
use srv_config::RedisLockSettings;
use srv_runtime::Deadline;

pub(super) async fn order(
    store: &Store,
    locks: &Locks,
    settings: &RedisLockSettings,
    act: &OrderAct,
    until: Deadline,
) -> Result<Verdict<Receipt>, Setback> {
    let OrderAct::Sell(order) = act else {
        // The rows' own locks do for what is rare; and it goes on when Redis is away.
        return row_lock::order(store, act, until).await;
    };
    let goods: Vec<GoodsId> = order.goods().collect();
    let lease = locks.acquire(&goods, settings, until).await?;
    let attempt = under(&lease, store, act, until).await;
    // Not before COMMIT has answered: the next holder must see what this one wrote.
    if let Err(error) = lease.release().await {
        tracing::debug!(%error, "a lease ended by itself");
    }
    attempt
}

async fn under(
    lease: &Lease,
    store: &Store,
    act: &OrderAct,
    until: Deadline,
) -> Result<Verdict<Receipt>, Setback> {
    let fence = i64::try_from(lease.fence()).map_err(|_| LockError::Lost)?;
    let mut transaction = begin(store, until).await?;
    let (round, asked) = decide_unheld(&mut transaction.on(), act).await?;
    let changes = round.changes();
    if changes.is_empty() {
        transaction.rollback().await;
    } else {
        transaction.on().write(&changes, fence).await?;
        lease.check_before_commit().map_err(|_| LockError::Lost)?;
        transaction.commit(&changes).await?;
    }
    asked.decided().ok_or_else(|| StoreError::Moved.into())
}
