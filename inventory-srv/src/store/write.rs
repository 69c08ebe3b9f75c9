//! Writes what was decided. Every row that is changed must be as it was read: how many rows each statement finds is
//! counted, and one too few means that somebody else was there.

use super::StoreError;
use super::moves::{Moves, Step};
use super::session::{Session, Value, Which, padded};
use super::statements::{LIST_MAX, PAIRS_MAX, STOCKS_MAX};
use crate::decide::Changes;
use crate::order::{GoodsId, Key, Line, OrderSn, PayloadHash};
use crate::record::{Entry, FirstAnswer, Kind, KnownOrder, Milliseconds, Stock};
use std::collections::BTreeSet;

impl Session<'_> {
    /// Writes all of `changes`. A stock that changes must still have the version it had, and must have had available
    /// what is taken; an order must be in the state it was in; a hold must be there, and one of another order be dead.
    /// Otherwise [`StoreError::Moved`]. `fence` is 0 without a lease; rows that a younger lease wrote have moved, too.
    /// After any error the transaction must be rolled back: a part may be written.
    pub async fn write(&mut self, changes: &Changes, fence: i64) -> Result<(), StoreError> {
        // Stock first: who loses the race for a row learns it before anything else is written.
        self.insert_stocks(&changes.new_stocks, fence).await?;
        self.update_stocks(changes, fence).await?;
        let Changes {
            new_stocks: _,
            stocks: _,
            new_orders,
            orders,
            released,
            ledger,
            requests,
            returns,
            now,
        } = changes;
        self.insert_orders(new_orders).await?;
        self.move_orders(&Moves::of(orders, released), *now).await?;
        self.insert_ledger(ledger, *now).await?;
        self.insert_requests(requests).await?;
        self.insert_returns(returns, *now).await
    }

    /// Writes no more of `changes` than the ledger: orders and stock are written already.
    pub async fn write_ledger(&mut self, changes: &Changes) -> Result<(), StoreError> {
        self.insert_ledger(&changes.ledger, changes.now).await
    }

    /// Takes the pieces of a line for good, if so many are available; answers whether it did.
    pub async fn take(&mut self, line: Line) -> Result<bool, StoreError> {
        let pieces = line.quantity.get();
        let values = [pieces.into(), line.goods.into(), pieces.into()];
        Ok(self.execute(|statements| &statements.take, 1, &values).await? == 1)
    }

    async fn insert_stocks(
        &mut self,
        stocks: &[(GoodsId, Stock)],
        fence: i64,
    ) -> Result<(), StoreError> {
        self.insert(
            |statements| &statements.insert_stocks,
            stocks,
            |(goods, stock)| {
                let Stock { on_hand, reserved, safety, version, update_time } = *stock;
                [goods.get(), on_hand, reserved, safety, version, update_time, fence]
                    .map(Value::from)
            },
        )
        .await
    }

    async fn update_stocks(&mut self, changes: &Changes, fence: i64) -> Result<(), StoreError> {
        let set = stocks_that_were_set(&changes.ledger, &changes.requests);
        for part in changes.stocks.chunks(STOCKS_MAX) {
            let (length, values) = update_of(part, &set, changes.now, fence);
            let found =
                self.execute(|statements| &statements.update_stocks, length, &values).await?;
            expect(found, part.len())?;
        }
        Ok(())
    }

    /// Puts new orders on record, with their lines and what they hold. [`StoreError::Duplicate`] if one is there.
    pub async fn insert_orders(&mut self, orders: &[KnownOrder]) -> Result<(), StoreError> {
        self.insert(
            |statements| &statements.insert_orders,
            orders,
            |order| {
                [
                    Value::from(&order.sn),
                    order.payload.as_ref().map(PayloadHash::as_bytes).into(),
                    (order.state as i64).into(),
                    order.create_time.into(),
                    order.update_time.into(),
                    order.expire_time.into(),
                ]
            },
        )
        .await?;
        let lines: Vec<_> = orders
            .iter()
            .flat_map(|order| order.lines.iter().map(move |line| (order, line)))
            .collect();
        self.insert(
            |statements| &statements.insert_lines,
            &lines,
            |(order, line)| {
                [
                    Value::from(&order.sn),
                    line.goods.into(),
                    line.quantity.get().into(),
                    line.returned.into(),
                    order.create_time.into(),
                ]
            },
        )
        .await?;
        let held: Vec<_> = lines.into_iter().filter(|(_, line)| line.held).collect();
        self.insert(
            |statements| &statements.insert_holds,
            &held,
            |(order, line)| {
                [
                    Value::from(&order.sn),
                    line.goods.into(),
                    line.quantity.get().into(),
                    order.expire_time.into(),
                ]
            },
        )
        .await
    }

    async fn move_orders(
        &mut self,
        moves: &Moves<'_>,
        now: Milliseconds,
    ) -> Result<(), StoreError> {
        for (Step { before, after, update_time, extended_to }, sns) in &moves.steps {
            let (after, before) = (*after as i64, *before as i64);
            match *extended_to {
                None => {
                    let values = [after, *update_time, before].map(Value::from);
                    self.change(|statements| &statements.move_orders, &values, sns, sns.len())
                        .await?;
                }
                Some(end) => {
                    let values = [after, *update_time, end, before, end].map(Value::from);
                    self.change(|statements| &statements.extend_orders, &values, sns, sns.len())
                        .await?;
                }
            }
        }
        for (end, (sns, rows)) in &moves.extended {
            self.change(|statements| &statements.extend_holds, &[(*end).into()], sns, *rows)
                .await?;
        }
        let (sns, rows) = &moves.ended;
        self.change(|statements| &statements.end_holds, &[], sns, *rows).await?;
        self.release_holds(&moves.released, now).await?;
        let (sns, rows) = &moves.returned_all;
        self.change(|statements| &statements.return_all, &[], sns, *rows).await?;
        self.return_some(&moves.returned_some).await
    }

    /// Ends single holds, which must be dead: one that was extended since has moved.
    async fn release_holds(
        &mut self,
        holds: &[(&OrderSn, GoodsId)],
        now: Milliseconds,
    ) -> Result<(), StoreError> {
        for part in holds.chunks(PAIRS_MAX) {
            let pairs = padded(part);
            let length = pairs.len();
            let values: Vec<Value<'_>> = std::iter::once(now.into())
                .chain(pairs.flat_map(|(sn, goods)| [sn.into(), goods.into()]))
                .collect();
            let found =
                self.execute(|statements| &statements.release_holds, length, &values).await?;
            expect(found, part.len())?;
        }
        Ok(())
    }

    pub(super) async fn return_some(
        &mut self,
        lines: &[(&OrderSn, GoodsId, i64)],
    ) -> Result<(), StoreError> {
        for part in lines.chunks(PAIRS_MAX) {
            let length = padded(part).len();
            let cases = padded(part)
                .flat_map(|(sn, goods, returned)| [sn.into(), goods.into(), returned.into()]);
            let pairs = padded(part).flat_map(|(sn, goods, _)| [sn.into(), goods.into()]);
            let values: Vec<Value<'_>> = cases.chain(pairs).collect();
            let found = self.execute(|statements| &statements.return_some, length, &values).await?;
            expect(found, part.len())?;
        }
        Ok(())
    }

    async fn insert_ledger(
        &mut self,
        entries: &[Entry],
        now: Milliseconds,
    ) -> Result<(), StoreError> {
        self.insert(
            |statements| &statements.insert_ledger,
            entries,
            |entry| {
                let Entry { goods, order, kind, delta, balance, reason } = entry;
                [
                    Value::from(*goods),
                    order.as_ref().map(|sn| sn.as_str().as_bytes()).into(),
                    (*kind as i64).into(),
                    (*delta).into(),
                    (*balance).into(),
                    now.into(),
                    reason.as_ref().map(String::as_bytes).into(),
                ]
            },
        )
        .await
    }

    async fn insert_requests(&mut self, requests: &[(Key, FirstAnswer)]) -> Result<(), StoreError> {
        self.insert(
            |statements| &statements.insert_requests,
            requests,
            |(id, answer)| {
                let FirstAnswer { payload, goods, stock } = answer;
                let Stock { on_hand, reserved, safety, version, update_time } = *stock;
                [
                    Value::from(id),
                    payload[..].into(),
                    (*goods).into(),
                    on_hand.into(),
                    reserved.into(),
                    safety.into(),
                    version.into(),
                    update_time.into(),
                ]
            },
        )
        .await
    }

    async fn insert_returns(
        &mut self,
        returns: &[((OrderSn, Key), [u8; 32])],
        now: Milliseconds,
    ) -> Result<(), StoreError> {
        self.insert(
            |statements| &statements.insert_returns,
            returns,
            |((sn, id), payload)| [Value::from(sn), id.into(), payload[..].into(), now.into()],
        )
        .await
    }

    /// Changes rows of these orders, in parts; so many must be found.
    async fn change(
        &mut self,
        which: Which,
        leading: &[Value<'_>],
        sns: &[&OrderSn],
        rows: usize,
    ) -> Result<(), StoreError> {
        let mut found = 0;
        for part in sns.chunks(LIST_MAX) {
            let list = padded(part);
            let length = list.len();
            let values: Vec<Value<'_>> =
                leading.iter().copied().chain(list.map(Value::from)).collect();
            found += self.execute(which, length, &values).await?;
        }
        expect(found, rows)
    }
}

pub(super) fn expect(found: u64, rows: usize) -> Result<(), StoreError> {
    if found == rows as u64 { Ok(()) } else { Err(StoreError::Moved) }
}

/// The goods that were set, adjusted or asked to be: availability may fall there without anything being taken.
fn stocks_that_were_set(ledger: &[Entry], requests: &[(Key, FirstAnswer)]) -> BTreeSet<GoodsId> {
    let by_order = |entry: &&Entry| matches!(entry.kind, Kind::Sell | Kind::Reback);
    let set = ledger.iter().filter(|entry| !by_order(entry)).map(|entry| entry.goods);
    set.chain(requests.iter().map(|(_, answer)| answer.goods)).collect()
}

/// How many pieces must have been available: as many as orders took in all. A stock act needs none to be, and is
/// guarded by the version and the table's own checks.
fn taken(goods: GoodsId, before: &Stock, after: &Stock, set: &BTreeSet<GoodsId>) -> i64 {
    /// Every stock has more available.
    const NOTHING: i64 = i64::MIN;
    let left = |stock: &Stock| stock.on_hand - stock.reserved - stock.safety;
    let fall = left(before) - left(after);
    let is_set = set.contains(&goods) || before.safety != after.safety;
    if fall > 0 && !is_set { fall } else { NOTHING }
}

/// The length of the list, and the parameters of the update.
fn update_of<'v>(
    stocks: &[(GoodsId, Stock, Stock)],
    set: &BTreeSet<GoodsId>,
    now: Milliseconds,
    fence: i64,
) -> (usize, Vec<Value<'v>>) {
    let mut values: Vec<Value<'v>> = Vec::new();
    let each = |values: &mut Vec<Value<'v>>, of: &dyn Fn(GoodsId, &Stock, &Stock) -> i64| {
        for (goods, before, after) in padded(stocks) {
            values.extend([Value::from(goods), of(goods, &before, &after).into()]);
        }
    };
    each(&mut values, &|_, _, after| after.on_hand);
    each(&mut values, &|_, _, after| after.reserved);
    each(&mut values, &|_, _, after| after.safety);
    each(&mut values, &|_, _, after| after.version);
    values.extend([now, fence].map(Value::from));
    values.extend(padded(stocks).map(|(goods, ..)| Value::from(goods)));
    each(&mut values, &|_, before, _| before.version);
    each(&mut values, &|goods, before, after| taken(goods, before, after, set));
    values.extend([fence, fence].map(Value::from));
    (padded(stocks).len(), values)
}
