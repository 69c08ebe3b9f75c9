//! Writes what was decided. Every row that is changed must be as it was read: how many rows each statement finds is
//! counted, and one too few means that somebody else was there.

use super::StoreError;
use super::moves::{Moves, Step};
use super::script::Script;
use super::session::{Session, Value, padded};
use super::statements::{PAIRS_MAX, STOCKS_MAX};
use crate::decide::Changes;
use crate::order::{GoodsId, Key, Line, OrderSn, PayloadHash};
use crate::record::{Entry, FirstAnswer, KnownOrder, Milliseconds, Stock};
use std::collections::BTreeSet;

impl Session<'_> {
    /// Writes all of `changes`. A stock that changes must still have the version it had, and must have had available
    /// what is taken; an order must be in the state it was in; a hold must be there, and one of another order be dead.
    /// Otherwise [`StoreError::Moved`], or [`StoreError::Duplicate`] where a rival wrote the same. `fence` is 0 without
    /// a lease; rows that a younger lease wrote have moved, too. After any error the transaction must be rolled back: a
    /// part may be written.
    pub async fn write(&mut self, changes: &Changes, fence: i64) -> Result<(), StoreError> {
        let Changes {
            new_stocks,
            stocks: _,
            new_orders,
            orders,
            released,
            ledger,
            requests,
            returns,
            set: _,
            now,
        } = changes;
        let moves = Moves::of(orders, released);
        let mut script = Script::on(self);
        // Stock first: its guards are what a rival meets.
        script.insert_stocks(new_stocks, fence);
        script.update_stocks(changes, fence);
        script.insert_orders(new_orders);
        script.move_orders(&moves, *now);
        script.insert_ledger(ledger, *now);
        script.insert_requests(requests);
        script.insert_returns(returns, *now);
        self.run(script).await
    }

    /// Puts new orders on record, with their lines and what they hold. [`StoreError::Duplicate`] if one is there.
    pub async fn insert_orders(&mut self, orders: &[KnownOrder]) -> Result<(), StoreError> {
        let mut script = Script::on(self);
        script.insert_orders(orders);
        self.run(script).await
    }

    /// Writes no more of `changes` than the ledger: orders and stock are written already.
    pub async fn write_ledger(&mut self, changes: &Changes) -> Result<(), StoreError> {
        let mut script = Script::on(self);
        script.insert_ledger(&changes.ledger, changes.now);
        self.run(script).await
    }

    /// Takes the pieces of a line for good, if so many are available; answers whether it did.
    pub async fn take(&mut self, line: Line) -> Result<bool, StoreError> {
        let pieces = line.quantity.get();
        let values = [pieces.into(), line.goods.into(), pieces.into()];
        Ok(self.execute(|statements| &statements.take, 1, &values).await? == 1)
    }
}

impl<'v> Script<'v> {
    fn insert_stocks(&mut self, stocks: &[(GoodsId, Stock)], fence: i64) {
        self.insert(
            |statements| &statements.insert_stocks,
            stocks,
            |(goods, stock)| {
                let Stock { on_hand, reserved, safety, version, update_time } = *stock;
                [goods.get(), on_hand, reserved, safety, version, update_time, fence]
                    .map(Value::from)
            },
        );
    }

    fn update_stocks(&mut self, changes: &Changes, fence: i64) {
        for part in changes.stocks.chunks(STOCKS_MAX) {
            let (length, values) = update_of(part, &changes.set, changes.now, fence);
            self.step(|statements| &statements.update_stocks, length, values, part.len());
        }
    }

    fn insert_orders(&mut self, orders: &'v [KnownOrder]) {
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
        );
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
        );
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
        );
    }

    fn move_orders(&mut self, moves: &Moves<'v>, now: Milliseconds) {
        for (Step { before, after, update_time, extended_to }, sns) in &moves.steps {
            let (after, before) = (*after as i64, *before as i64);
            match *extended_to {
                None => {
                    let values = [after, *update_time, before].map(Value::from);
                    self.change(|statements| &statements.move_orders, &values, sns, sns.len());
                }
                Some(end) => {
                    let values = [after, *update_time, end, before, end].map(Value::from);
                    self.change(|statements| &statements.extend_orders, &values, sns, sns.len());
                }
            }
        }
        for (end, (sns, rows)) in &moves.extended {
            self.change(|statements| &statements.extend_holds, &[(*end).into()], sns, *rows);
        }
        let (sns, rows) = &moves.ended;
        self.change(|statements| &statements.end_holds, &[], sns, *rows);
        self.release_holds(&moves.released, now);
        let (sns, rows) = &moves.returned_all;
        self.change(|statements| &statements.return_all, &[], sns, *rows);
        self.return_some(&moves.returned_some);
    }

    /// Ends single holds, which must be dead: one that was extended since has moved.
    fn release_holds(&mut self, holds: &[(&'v OrderSn, GoodsId)], now: Milliseconds) {
        for part in holds.chunks(PAIRS_MAX) {
            let pairs = padded(part);
            let length = pairs.len();
            let values = std::iter::once(now.into())
                .chain(pairs.flat_map(|(sn, goods)| [sn.into(), goods.into()]))
                .collect();
            self.step(|statements| &statements.release_holds, length, values, part.len());
        }
    }

    pub(super) fn return_some(&mut self, lines: &[(&'v OrderSn, GoodsId, i64)]) {
        for part in lines.chunks(PAIRS_MAX) {
            let length = padded(part).len();
            let cases = padded(part)
                .flat_map(|(sn, goods, returned)| [sn.into(), goods.into(), returned.into()]);
            let pairs = padded(part).flat_map(|(sn, goods, _)| [sn.into(), goods.into()]);
            let values = cases.chain(pairs).collect();
            self.step(|statements| &statements.return_some, length, values, part.len());
        }
    }

    fn insert_ledger(&mut self, entries: &'v [Entry], now: Milliseconds) {
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
        );
    }

    fn insert_requests(&mut self, requests: &'v [(Key, FirstAnswer)]) {
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
        );
    }

    fn insert_returns(&mut self, returns: &'v [((OrderSn, Key), [u8; 32])], now: Milliseconds) {
        self.insert(
            |statements| &statements.insert_returns,
            returns,
            |((sn, id), payload)| [Value::from(sn), id.into(), payload[..].into(), now.into()],
        );
    }
}

/// How many pieces must have been available: as many as orders took in all. A stock act needs none to be, and is
/// guarded by the version and the table's own checks.
fn taken(goods: GoodsId, before: &Stock, after: &Stock, set: &BTreeSet<GoodsId>) -> i64 {
    /// Every stock has more available.
    const NOTHING: i64 = i64::MIN;
    let left = |stock: &Stock| stock.on_hand - stock.reserved - stock.safety;
    let fall = left(before) - left(after);
    if fall > 0 && !set.contains(&goods) { fall } else { NOTHING }
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
