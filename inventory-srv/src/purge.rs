//! Purges what is older than the configured retention: the records of orders that no longer change, the answers to
//! request ids, and in each goods' ledger the rows behind them, which one opening row comes to stand for. No stock is
//! touched, and every sum stays what it was.
//!
//! Every replica purges, in small transactions, and they do each other no harm: who finds rows gone, or changed, leaves
//! the rest to the other or to the next time.

use crate::Inventory;
use crate::act::Needs;
use crate::decide::Changes;
use crate::order::{GoodsId, Key, OrderSn};
use crate::record::{Kind, KnownOrder, LedgerRow, Milliseconds};
use crate::store::{DELETED_MAX, OPENED_MAX, Opening, Store, StoreError};
use crate::supervise::supervise;
use srv_runtime::detached;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How long a purger rests: nothing is in a hurry after days.
const REST: Duration = Duration::from_secs(600);

const DAY: Milliseconds = 24 * 60 * 60 * 1_000;

/// How much was purged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Purged {
    /// How many orders.
    pub orders: usize,
    /// How many rows of the ledger an opening row came to stand for.
    pub entries: usize,
    /// How many answers to request ids.
    pub requests: usize,
}

impl Inventory {
    /// Purges for ever; ends when it is dropped.
    pub async fn purge(self) {
        supervise("the purger", || self.clone().keep_purging()).await;
    }

    async fn keep_purging(self) {
        loop {
            // Replicas that started together do not purge together.
            tokio::time::sleep(REST.mul_f64(0.5 + rand::random::<f64>())).await;
            match self.purge_once().await {
                Ok(purged) if purged == Purged::default() => {}
                Ok(Purged { orders, entries, requests }) => {
                    tracing::info!(
                        orders,
                        entries,
                        requests,
                        "purged what is older than the retention"
                    );
                }
                Err(error) => tracing::warn!(%error, "could not purge; trying again later"),
            }
        }
    }

    /// Purges all that is too old by now; answers how much.
    pub async fn purge_once(&self) -> Result<Purged, StoreError> {
        let now = self.store.read().await?.on().clock().await?;
        let bound = bound(now, SystemTime::now(), self.settings.load().retention_days);
        Ok(Purged {
            // Orders first: the ledger keeps the rows of those that are on record.
            orders: self.purge_orders(bound).await?,
            entries: self.purge_ledger(bound).await?,
            requests: self.purge_requests(bound).await?,
        })
    }

    async fn purge_orders(&self, bound: Milliseconds) -> Result<usize, StoreError> {
        let (mut purged, mut after) = (0, None);
        loop {
            let seen = self.store.read().await?.on().old_orders(after.as_ref(), bound).await?;
            let ended = seen.iter().filter(|(_, is_ended)| *is_ended);
            let ended: Vec<OrderSn> = ended.map(|(cursor, _)| cursor.sn.clone()).collect();
            for part in ended.chunks(DELETED_MAX) {
                let (store, part) = (self.store.clone(), part.to_vec());
                let work = detached(async move { delete_orders(&store, &part, bound).await });
                purged += unless_rivals(work.await)?;
            }
            match seen.into_iter().next_back() {
                Some((last, _)) => after = Some(last),
                None => return Ok(purged),
            }
        }
    }

    async fn purge_ledger(&self, bound: Milliseconds) -> Result<usize, StoreError> {
        let (mut purged, mut after) = (0, 0);
        loop {
            let mut seen = self.store.read().await?.on().oldest_entries(after).await?;
            let count = seen.len();
            // By id rows are as old as by time, but for moments.
            let is_young = |row: &LedgerRow| row.time >= bound;
            seen.truncate(seen.iter().position(is_young).unwrap_or(count));
            let is_closed = |row: &&LedgerRow| row.entry.kind == Kind::Opening;
            let open = seen.iter().filter(|row| !is_closed(row)).map(|row| row.entry.goods);
            for goods in open.collect::<BTreeSet<GoodsId>>() {
                match self.purge_ledger_of(goods, bound).await {
                    // What one goods' ledger holds must not keep those of all others.
                    Err(StoreError::Corrupt(error)) => {
                        tracing::warn!(%goods, error, "cannot purge this ledger; going on with the next");
                    }
                    of_goods => purged += of_goods?,
                }
            }
            match seen.last() {
                Some(last) if seen.len() == count => after = last.id,
                _ => return Ok(purged),
            }
        }
    }

    async fn purge_ledger_of(
        &self,
        goods: GoodsId,
        bound: Milliseconds,
    ) -> Result<usize, StoreError> {
        let mut purged = 0;
        loop {
            let store = self.store.clone();
            let work = detached(async move { open_ledger(&store, goods, bound).await });
            let rows = unless_rivals(work.await)?;
            purged += rows;
            if rows < OPENED_MAX {
                return Ok(purged);
            }
        }
    }

    async fn purge_requests(&self, bound: Milliseconds) -> Result<usize, StoreError> {
        let mut purged = 0;
        loop {
            let seen = self.store.read().await?.on().old_requests(bound).await?;
            let (store, count) = (self.store.clone(), seen.len());
            if seen.is_empty() {
                return Ok(purged);
            }
            let work = detached(async move { delete_requests(&store, &seen, bound).await });
            purged += unless_rivals(work.await)?;
            if count < DELETED_MAX {
                return Ok(purged);
            }
        }
    }
}

/// What is older than this is purged. The earlier of two clocks counts: one that jumped ahead must not purge what is
/// young.
fn bound(now: Milliseconds, own: SystemTime, retention_days: i32) -> Milliseconds {
    let own = own.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    now.min(i64::try_from(own).unwrap_or(i64::MAX)) - i64::from(retention_days) * DAY
}

fn unless_rivals(outcome: Result<usize, StoreError>) -> Result<usize, StoreError> {
    match outcome {
        Err(StoreError::Moved | StoreError::Conflict(_)) => Ok(0),
        outcome => outcome,
    }
}

async fn delete_orders(
    store: &Store,
    sns: &[OrderSn],
    bound: Milliseconds,
) -> Result<usize, StoreError> {
    let mut transaction = store.begin().await?;
    transaction.on().delete_orders(sns, bound).await?;
    transaction.commit(&Changes::default()).await?;
    Ok(sns.len())
}

async fn delete_requests(
    store: &Store,
    ids: &[Key],
    bound: Milliseconds,
) -> Result<usize, StoreError> {
    let mut transaction = store.begin().await?;
    let deleted = transaction.on().delete_requests(ids, bound).await?;
    transaction.commit(&Changes::default()).await?;
    Ok(deleted)
}

/// Lets one row stand for the oldest rows of a goods' ledger; answers how many these were, at most [`OPENED_MAX`].
async fn open_ledger(
    store: &Store,
    goods: GoodsId,
    bound: Milliseconds,
) -> Result<usize, StoreError> {
    let mut transaction = store.begin().await?;
    let rows = transaction.on().lock_oldest_entries(goods).await?;
    let old = rows.iter().take_while(|row| row.time < bound);
    let orders = old.filter_map(|row| row.entry.order.clone()).collect();
    let needs = Needs { orders, ..Needs::default() };
    let kept = transaction.on().records(&needs).await?.orders;
    let Some(opening) = opening(&rows, &kept, bound) else {
        transaction.rollback().await;
        return Ok(0);
    };
    transaction.on().open_ledger(goods, opening).await?;
    transaction.commit(&Changes::default()).await?;
    Ok(opening.rows)
}

/// The row that can stand for the oldest of these rows, which are a goods' oldest: it takes the place of the last of
/// them, so that its balance and what follows stay the chain that they are. It stands for no row that is young, nor for
/// one whose order is on record, nor for what follows such a row. None if there is nothing new that it could stand for.
fn opening(
    rows: &[LedgerRow],
    kept: &BTreeMap<OrderSn, KnownOrder>,
    bound: Milliseconds,
) -> Option<Opening> {
    let may_go = |row: &&LedgerRow| {
        let order = row.entry.order.as_ref();
        row.time < bound && !order.is_some_and(|sn| kept.contains_key(sn))
    };
    let gone: Vec<&LedgerRow> = rows.iter().take_while(may_go).collect();
    let last = gone.last()?;
    let is_opened = gone.iter().all(|row| row.entry.kind == Kind::Opening);
    let delta = gone.iter().map(|row| row.entry.delta).sum();
    (!is_opened).then_some(Opening { id: last.id, delta, rows: gone.len() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Entry;

    const BOUND: Milliseconds = 1_000;

    fn sn(text: &str) -> OrderSn {
        Key::from_record(text.to_owned())
    }

    /// Time, order, delta: the ledger of goods whose first row sets 10 pieces.
    fn ledger(rows: &[(Milliseconds, &str, i64)]) -> Vec<LedgerRow> {
        let row = |kind, order, delta, balance| Entry {
            goods: GoodsId::new(1).unwrap(),
            order,
            kind,
            delta,
            balance,
            reason: None,
        };
        let mut ledger = vec![LedgerRow { id: 3, time: 1, entry: row(Kind::Set, None, 10, 10) }];
        for (time, order, delta) in rows {
            let before = ledger.last().unwrap();
            let (id, balance) = (before.id + 4, before.entry.balance + delta);
            let entry = row(Kind::Sell, Some(sn(order)), *delta, balance);
            ledger.push(LedgerRow { id, time: *time, entry });
        }
        ledger
    }

    fn opened(rows: &[LedgerRow], kept: &[&str]) -> Option<(i64, i64, usize)> {
        let kept = kept.iter().map(|name| (sn(name), KnownOrder::tombstone(sn(name), 1))).collect();
        let opening = opening(rows, &kept, BOUND)?;
        let before = &rows[opening.rows - 1];
        assert_eq!((opening.id, opening.delta), (before.id, before.entry.balance));
        Some((opening.id, opening.delta, opening.rows))
    }

    #[test]
    fn a_row_stands_for_all_before_the_first_that_is_young_or_whose_order_is_on_record() {
        let rows =
            ledger(&[(2, "a", -1), (3, "b", -2), (999, "a", 1), (1_000, "c", -3), (4, "d", -1)]);
        assert_eq!(opened(&rows, &[]), Some((15, 8, 4)));
        assert_eq!(opened(&rows, &["b"]), Some((7, 9, 2)));
        assert_eq!(opened(&rows, &["c", "d"]), Some((15, 8, 4)));
        assert_eq!(opened(&rows, &["a"]), Some((3, 10, 1)));
        assert_eq!(opened(&rows[..1], &[]), Some((3, 10, 1)));
        assert_eq!(opened(&[], &[]), None);
    }

    #[test]
    fn a_ledger_that_is_opened_already_is_left_as_it_is() {
        let mut rows = ledger(&[(2, "a", -1), (1_000, "b", -1)]);
        rows[0].entry.kind = Kind::Opening;
        assert_eq!(opened(&rows, &[]), Some((7, 9, 2)));
        assert_eq!(opened(&rows, &["a"]), None);
        rows.remove(1);
        assert_eq!(opened(&rows, &[]), None);
    }

    #[test]
    fn nothing_is_purged_by_a_clock_that_jumped_ahead() {
        let day = Duration::from_secs(24 * 60 * 60);
        let own = UNIX_EPOCH + 100 * day;
        assert_eq!(bound(100 * DAY, own, 90), 10 * DAY);
        assert_eq!(bound(5_000 * DAY, own, 90), 10 * DAY);
        assert_eq!(bound(100 * DAY, own + 5_000 * day, 90), 10 * DAY);
        assert_eq!(bound(99 * DAY, own, 1), 98 * DAY);
    }
}
