//! The part of the world that is held still while acts are decided, and what must be written afterwards.

use crate::order::{GoodsId, Key, OrderSn};
use crate::record::{
    Entry, FirstAnswer, Kind, KnownOrder, Milliseconds, OrderState, ReturnKey, Shelf, Stock,
};
use std::collections::BTreeSet;
use std::collections::btree_map::{self, BTreeMap};

/// What is on record about the acts to be decided. Either nobody else changes these rows until what was decided is
/// written, or the writing is guarded by their versions. Decisions move it on, act by act, so that the next act of a
/// batch sees what the one before it did.
#[derive(Clone, Debug, Default)]
pub struct Held {
    /// The moment at which everything is decided, read after the rows were held or looked at.
    pub now: Milliseconds,
    /// The goods whose rows are held; those that are not on the shelf are not stocked.
    pub goods: BTreeSet<GoodsId>,
    /// The stock of the goods.
    pub shelf: Shelf,
    /// The orders that are on record.
    pub orders: BTreeMap<OrderSn, KnownOrder>,
    /// The first answers to request ids of changes of stock.
    pub requests: BTreeMap<Key, FirstAnswer>,
    /// The payloads of partial returns.
    pub returns: BTreeMap<ReturnKey, [u8; 32]>,
    /// The dead holds on the goods, once somebody had to look.
    pub expired: Option<Expired>,
}

impl Held {
    /// The goods that have a stock row. Dead holds on others count for nothing, and would hide those that do.
    pub fn stocked(&self) -> BTreeSet<GoodsId> {
        self.shelf.0.keys().copied().collect()
    }
}

/// Holds on held goods that have expired and that nobody has released.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expired {
    /// How many pieces, by goods and order.
    pub holds: BTreeMap<GoodsId, BTreeMap<OrderSn, i64>>,
    /// There are more of them than one transaction releases.
    pub more: bool,
}

/// What was decided, as the difference that it makes to what is on record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Stocks that are new.
    pub new_stocks: Vec<(GoodsId, Stock)>,
    /// Stocks that are on record: as they were and as they are to be. Never the same.
    pub stocks: Vec<(GoodsId, Stock, Stock)>,
    /// Orders that are new.
    pub new_orders: Vec<KnownOrder>,
    /// Orders that are on record: as they were and as they are to be. Their lines' goods and quantities never change.
    pub orders: Vec<(KnownOrder, KnownOrder)>,
    /// Dead holds of other orders that are released.
    pub released: Vec<(OrderSn, GoodsId)>,
    /// Rows of the ledger, in this order.
    pub ledger: Vec<Entry>,
    /// First answers to request ids of changes of stock.
    pub requests: Vec<(Key, FirstAnswer)>,
    /// Partial returns.
    pub returns: Vec<(ReturnKey, [u8; 32])>,
    /// Goods whose stock was itself set, adjusted or repaired: there less may be available without a sale.
    pub set: BTreeSet<GoodsId>,
    /// The moment of all this.
    pub now: Milliseconds,
}

impl Changes {
    /// The goods whose stock is new or changes.
    pub fn goods(&self) -> impl Iterator<Item = GoodsId> + '_ {
        let new = self.new_stocks.iter().map(|(goods, _)| *goods);
        new.chain(self.stocks.iter().map(|(goods, ..)| *goods))
    }

    /// Nothing is to be written.
    pub fn is_empty(&self) -> bool {
        let Self {
            new_stocks,
            stocks,
            new_orders,
            orders,
            released,
            ledger,
            requests,
            returns,
            set: _,
            now: _,
        } = self;
        new_stocks.is_empty()
            && stocks.is_empty()
            && new_orders.is_empty()
            && orders.is_empty()
            && released.is_empty()
            && ledger.is_empty()
            && requests.is_empty()
            && returns.is_empty()
    }
}

/// A round of decisions about one [`Held`] world.
#[derive(Clone, Debug, Default)]
pub struct Round {
    pub(super) held: Held,
    shelf_before: Shelf,
    orders_before: BTreeMap<OrderSn, KnownOrder>,
    written: Changes,
}

impl Round {
    /// Begins to decide about what is held.
    pub fn on(held: Held) -> Self {
        let written = Changes { now: held.now, ..Changes::default() };
        Self { shelf_before: held.shelf.clone(), orders_before: held.orders.clone(), held, written }
    }

    /// What is held, as the decisions so far left it.
    pub fn held(&self) -> &Held {
        &self.held
    }

    /// The stock of these goods as it is held, if no decision so far changed it.
    pub fn unchanged(&self, goods: GoodsId) -> Option<&Stock> {
        let stock = self.held.shelf.0.get(&goods)?;
        (self.shelf_before.0.get(&goods) == Some(stock)).then_some(stock)
    }

    /// Adds orders that are on record, which were looked up only after decisions that took them for unknown. Those that
    /// were put on record by this round stay as they are: what it writes will meet the older ones.
    pub fn look_at_orders(&mut self, known: BTreeMap<OrderSn, KnownOrder>) {
        for (sn, order) in known {
            if let btree_map::Entry::Vacant(unknown) = self.held.orders.entry(sn.clone()) {
                unknown.insert(order.clone());
                self.orders_before.insert(sn, order);
            }
        }
    }

    /// Adds the dead holds on the held goods as they are on record, after a decision asked for them.
    pub fn look_at_expired(&mut self, mut expired: Expired) {
        for (goods, holds) in &mut expired.holds {
            // What an order let go of in this round is on record still.
            holds.retain(|sn, _| {
                let line = |order: &KnownOrder| {
                    order.lines.iter().any(|line| line.goods == *goods && line.held)
                };
                self.held.orders.get(sn).is_none_or(line)
            });
        }
        self.held.expired = Some(expired);
    }

    /// Whether the rows of all of these goods are held.
    pub(super) fn holds(&self, goods: impl IntoIterator<Item = GoodsId>) -> bool {
        goods.into_iter().all(|goods| self.held.goods.contains(&goods))
    }

    /// All that was decided.
    pub fn changes(mut self) -> Changes {
        for (goods, after) in &self.held.shelf.0 {
            match self.shelf_before.0.get(goods) {
                None => self.written.new_stocks.push((*goods, *after)),
                Some(before) if before != after => {
                    self.written.stocks.push((*goods, *before, *after));
                }
                Some(_) => {}
            }
        }
        for (sn, after) in self.held.orders {
            match self.orders_before.remove(&sn) {
                None => self.written.new_orders.push(after),
                Some(before) if before != after => self.written.orders.push((before, after)),
                Some(_) => {}
            }
        }
        self.written
    }

    // What decisions do to the world; each step keeps stock, orders and ledger in agreement.

    /// Changes a stock that is on the shelf.
    pub(super) fn change_stock(&mut self, goods: GoodsId, change: impl FnOnce(&mut Stock)) {
        let stock = self.held.shelf.0.get_mut(&goods).expect("what changes was seen on the shelf");
        change(stock);
        stock.version += 1;
        stock.update_time = stock.update_time.max(self.held.now);
    }

    /// A stock is changed for its own sake, and not for an order's.
    pub(super) fn note_set(&mut self, goods: GoodsId) {
        self.written.set.insert(goods);
    }

    /// Moves pieces of a stock that is on the shelf, and writes it into the ledger.
    pub(super) fn move_pieces(
        &mut self,
        goods: GoodsId,
        delta: i64,
        kind: Kind,
        order: Option<&OrderSn>,
        reason: Option<&str>,
    ) {
        self.change_stock(goods, |stock| stock.on_hand += delta);
        self.write_down(goods, delta, kind, order, reason);
    }

    /// Writes into the ledger that pieces moved, after the stock was changed.
    pub(super) fn write_down(
        &mut self,
        goods: GoodsId,
        delta: i64,
        kind: Kind,
        order: Option<&OrderSn>,
        reason: Option<&str>,
    ) {
        self.written.ledger.push(Entry {
            goods,
            order: order.cloned(),
            kind,
            delta,
            balance: self.held.shelf.0[&goods].on_hand,
            reason: reason.map(str::to_owned),
        });
    }

    /// Releases every dead hold that was looked at; answers how many.
    pub fn tidy(&mut self) -> usize {
        let Some(expired) = &self.held.expired else { return 0 };
        let is_stocked = |goods: &&GoodsId| self.held.shelf.0.contains_key(goods);
        let goods: Vec<_> = expired.holds.keys().filter(is_stocked).copied().collect();
        let count = goods.iter().map(|goods| expired.holds[goods].len()).sum();
        goods.into_iter().for_each(|goods| self.release_expired(goods));
        count
    }

    /// Releases every dead hold on these goods that was looked at. Where the stock row is missing, nothing counts them,
    /// and they stay for `CheckLedger` to name.
    pub(super) fn release_expired(&mut self, goods: GoodsId) {
        if !self.held.shelf.0.contains_key(&goods) {
            return;
        }
        let Some(expired) = &mut self.held.expired else { return };
        let Some(holds) = expired.holds.remove(&goods) else { return };
        for (sn, pieces) in holds {
            self.change_stock(goods, |stock| stock.reserved -= pieces);
            match self.held.orders.get_mut(&sn) {
                Some(order) => {
                    order.lines.iter_mut().filter(|line| line.goods == goods).for_each(|line| {
                        line.held = false;
                    });
                }
                None => self.written.released.push((sn, goods)),
            }
        }
    }

    /// Releases every dead hold that was looked at, of whatever goods: those that fill the look hide the others, and
    /// unless they go, the next look shows the same.
    pub(super) fn release_all_expired(&mut self) {
        let seen = self.held.expired.iter().flat_map(|expired| expired.holds.keys());
        for goods in seen.copied().collect::<Vec<_>>() {
            self.release_expired(goods);
        }
    }

    /// Lets go of all that an order on record holds still.
    pub(super) fn let_go(&mut self, sn: &OrderSn) {
        let order = self.held.orders.get_mut(sn).expect("only an order on record holds pieces");
        let mut lines = Vec::new();
        for line in order.lines.iter_mut().filter(|line| line.held) {
            line.held = false;
            lines.push((line.goods, line.quantity.get()));
        }
        for (goods, pieces) in lines {
            self.change_stock(goods, |stock| stock.reserved -= pieces);
            if let Some(expired) = &mut self.held.expired
                && let Some(holds) = expired.holds.get_mut(&goods)
            {
                holds.remove(sn);
            }
        }
    }

    /// Changes the record of an order.
    pub(super) fn set_state(&mut self, sn: &OrderSn, state: OrderState) -> KnownOrder {
        let order = self.held.orders.get_mut(sn).expect("only an order on record changes");
        order.state = state;
        order.update_time = order.update_time.max(self.held.now);
        order.clone()
    }

    /// Puts a new order on record.
    pub(super) fn put_order(&mut self, order: KnownOrder) -> KnownOrder {
        self.held.orders.insert(order.sn.clone(), order.clone());
        order
    }

    /// Keeps the first answer to a request id.
    pub(super) fn keep_answer(&mut self, id: &Key, answer: FirstAnswer) {
        self.held.requests.insert(id.clone(), answer.clone());
        self.written.requests.push((id.clone(), answer));
    }

    /// Keeps a partial return.
    pub(super) fn keep_return(&mut self, key: ReturnKey, payload: [u8; 32]) {
        self.held.returns.insert(key.clone(), payload);
        self.written.returns.push((key, payload));
    }
}
