//! A model of the database: the tables, and the guards under which they are written, as they stand in SQL.

use super::world::Bug;
use crate::{
    books::{Books, LedgerRow, LineRow, StockRow},
    script::GOODS,
};
use inventory_srv::{
    act::{Needs, OrderAct},
    decide::{Changes, Expired, Held, Round},
    order::{GoodsId, OrderSn},
    record::{Entry, Kind, KnownOrder, OrderState, ReturnKey, Shelf, Stock},
};
use std::collections::BTreeMap;

/// What was read is not there any more, or what is to be written is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moved;

/// The tables.
pub(super) struct Tables {
    stocks: BTreeMap<GoodsId, Stock>,
    fences: BTreeMap<GoodsId, u64>,
    orders: BTreeMap<OrderSn, KnownOrder>,
    returns: BTreeMap<ReturnKey, [u8; 32]>,
    ledger: Vec<Entry>,
    bug: Option<Bug>,
}

impl Tables {
    /// The tables of a shop that is stocked.
    pub(super) fn stocked(bug: Option<Bug>) -> Self {
        let mut tables = Self {
            stocks: BTreeMap::new(),
            fences: BTreeMap::new(),
            orders: BTreeMap::new(),
            returns: BTreeMap::new(),
            ledger: Vec::new(),
            bug,
        };
        for (id, on_hand) in GOODS {
            let goods = GoodsId::new(id).expect("goods ids are above zero");
            let stock = Stock { on_hand, reserved: 0, safety: 0, version: 1, update_time: 0 };
            let (kind, delta, balance) = (Kind::Set, on_hand, on_hand);
            let entry = Entry { goods, order: None, kind, delta, balance, reason: None };
            tables.stocks.insert(goods, stock);
            tables.ledger.push(entry);
        }
        tables
    }

    /// Reads what an act needs.
    pub(super) fn look(&self, act: &OrderAct, now: i64) -> Round {
        let Needs { mut goods, orders, requests: _, returns } = act.needs();
        let known = orders.iter().filter_map(|sn| self.orders.get(sn));
        let orders: BTreeMap<_, _> = known.map(|order| (order.sn.clone(), order.clone())).collect();
        goods.extend(orders.values().flat_map(KnownOrder::goods));
        let stock = |goods: &GoodsId| Some((*goods, *self.stocks.get(goods)?));
        let shelf = Shelf(goods.iter().filter_map(stock).collect());
        let payload = |key: &ReturnKey| Some((key.clone(), *self.returns.get(key)?));
        let returns = returns.iter().filter_map(payload).collect();
        let requests = BTreeMap::new();
        // A hold whose end is not looked at is one that seems to have time still.
        let now = if self.bug == Some(Bug::ExpiryNotLookedAt) { 0 } else { now };
        Round::on(Held { now, goods, shelf, orders, requests, returns, expired: None })
    }

    /// Reads the dead holds on the goods that a round holds.
    pub(super) fn expired(&self, round: &Round) -> Expired {
        let held = round.held();
        let mut expired = Expired::default();
        for order in self.orders.values().filter(|order| is_dead(order, held.now)) {
            let lines = order.lines.iter().filter(|line| line.held);
            for line in lines.filter(|line| held.goods.contains(&line.goods)) {
                let holds = expired.holds.entry(line.goods).or_default();
                holds.insert(order.sn.clone(), line.quantity.get());
            }
        }
        expired
    }

    /// Holds that everybody may release by now, as a round about their goods.
    pub(super) fn sweepable(&self, now: i64) -> Round {
        let dead = self.orders.values().filter(|order| is_dead(order, now));
        let lines = dead.flat_map(|order| order.lines.iter().filter(|line| line.held));
        let goods: std::collections::BTreeSet<_> = lines.map(|line| line.goods).collect();
        let shelf = Shelf(goods.iter().map(|goods| (*goods, self.stocks[goods])).collect());
        let mut round = Round::on(Held { now, goods, shelf, ..Held::default() });
        round.look_at_expired(self.expired(&round));
        round.tidy();
        round
    }

    /// Writes all of it or nothing.
    pub(super) fn commit(&mut self, changes: &Changes, fence: u64) -> Result<(), Moved> {
        self.guard(changes, fence)?;
        let Changes {
            new_stocks: _,
            stocks,
            new_orders,
            orders,
            released,
            ledger,
            requests: _,
            returns,
            now: _,
            set: _,
        } = changes;
        for (goods, _, after) in stocks {
            self.stocks.insert(*goods, *after);
            self.fences.insert(*goods, fence);
        }
        for order in new_orders.iter().chain(orders.iter().map(|(_, after)| after)) {
            self.orders.insert(order.sn.clone(), order.clone());
        }
        for (sn, goods) in released {
            let lines = self.orders.get_mut(sn).into_iter().flat_map(|order| &mut order.lines);
            lines.filter(|line| line.goods == *goods).for_each(|line| line.held = false);
        }
        let half = self.bug == Some(Bug::HalfWritten) && ledger.len() > 1;
        self.ledger.extend_from_slice(if half { &ledger[..1] } else { ledger });
        self.returns.extend(returns.iter().cloned());
        Ok(())
    }

    fn guard(&self, changes: &Changes, fence: u64) -> Result<(), Moved> {
        let is_as_read = |(goods, before, _): &(GoodsId, Stock, Stock)| {
            self.bug == Some(Bug::VersionNotCompared)
                || self.stocks.get(goods).is_some_and(|stock| stock.version == before.version)
        };
        let is_younger = |(goods, ..): &(GoodsId, Stock, Stock)| {
            // Without a lease the fence is 0, and the version guards alone.
            fence == 0 || self.fences.get(goods).is_none_or(|seen| *seen <= fence)
        };
        let is_new = |order: &KnownOrder| {
            self.bug == Some(Bug::KeyNotUnique) || !self.orders.contains_key(&order.sn)
        };
        let is_in_state = |(before, _): &(KnownOrder, KnownOrder)| {
            self.orders
                .get(&before.sn)
                .is_some_and(|order| order.state == before.state && order.lines == before.lines)
        };
        let is_held = |(sn, goods): &(OrderSn, GoodsId)| {
            self.orders.get(sn).is_some_and(|order| {
                is_dead(order, changes.now)
                    && order.lines.iter().any(|line| line.goods == *goods && line.held)
            })
        };
        let holds = changes.stocks.iter().all(is_as_read)
            && changes.stocks.iter().all(is_younger)
            && changes.new_orders.iter().all(is_new)
            && changes.orders.iter().all(is_in_state)
            && changes.released.iter().all(is_held)
            && changes.returns.iter().all(|(key, _)| !self.returns.contains_key(key));
        if holds { Ok(()) } else { Err(Moved) }
    }

    /// The tables as the checker reads them.
    pub(super) fn books(&self) -> Books {
        let mut books = Books::default();
        for (goods, stock) in &self.stocks {
            let row = StockRow { on_hand: stock.on_hand, reserved: stock.reserved };
            books.stocks.insert(goods.get(), row);
        }
        for order in self.orders.values() {
            let sn = order.sn.as_str().to_owned();
            books.orders.insert(sn.clone(), order.state as i64);
            for line in &order.lines {
                let key = (sn.clone(), line.goods.get());
                let (quantity, returned) = (line.quantity.get(), line.returned);
                books.lines.insert(key.clone(), LineRow { quantity, returned });
                if line.held {
                    books.holds.insert(key, quantity);
                }
            }
        }
        for (id, entry) in (1..).zip(&self.ledger) {
            let order = entry.order.as_ref().map(|sn| sn.as_str().to_owned());
            let (goods, kind) = (entry.goods.get(), entry.kind as i64);
            let (delta, balance) = (entry.delta, entry.balance);
            books.ledger.push(LedgerRow { id, goods, order, kind, delta, balance });
        }
        let text = |key: &ReturnKey| (key.0.as_str().to_owned(), key.1.as_str().to_owned());
        books.returns = self.returns.keys().map(text).collect();
        books
    }
}

fn is_dead(order: &KnownOrder, now: i64) -> bool {
    order.state == OrderState::Reserved && order.expire_time.is_some_and(|end| end <= now)
}
