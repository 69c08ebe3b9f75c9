//! Every rule of the stock service, and nothing else: no SQL, no gRPC, no clock. The strategies differ in how they hold
//! rows still; what is decided about them is decided here, act by act, for all of them and for every lane.
//!
//! A strategy reads [`Held`], begins a [`Round`], asks [`Round::order`] or [`Round::stock`] once per act, and writes
//! [`Round::changes`].

mod cancel;
mod confirm;
mod extend;
mod held;
mod reback;
mod repair;
mod sell;
mod stock;

pub use held::{Changes, Expired, Held, Round};
pub use repair::{Account, Disagreement, Drift, Irreparable};

use crate::act::{OrderAct, StockAct};
use crate::order::{GoodsId, Key, Order, OrderSn, PayloadHash};
use crate::record::{KnownOrder, Milliseconds, OrderState, Stock};

/// What an act on an order comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The order as it is on record now.
    pub order: KnownOrder,
    /// The state of the order at the moment of the decision.
    pub state: OrderState,
    /// It was done before, and nothing moved now.
    pub replayed: bool,
    /// Its hold was dead, and its pieces were sold again.
    pub reacquired: bool,
}

/// What an act on a stock comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The stock as the act left it.
    pub stock: Stock,
    /// It was done before, and nothing moved now.
    pub replayed: bool,
}

/// Why an act is not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Undone {
    /// It is refused, for good.
    Refused(Refusal),
    /// It falls short, and dead holds on its goods may help: look at them and ask again.
    LookAtExpired,
    /// Dead holds were released, as many as one transaction does, and there are more: write, and try again.
    MoreExpired,
    /// It touches goods whose rows are not held: hold them and ask again.
    NotHeld,
    /// Its order took goods that have no stock row: a fault of the books, as where a copy was broken off. What is read
    /// agrees with itself again after a repair.
    WithoutStock(GoodsId),
}

/// Why an act is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The order number was closed, in this state. It never sells again.
    AlreadyClosed(OrderState),
    /// Another payload, of this hash, stands under the order number.
    PayloadMismatch(PayloadHash),
    /// Lines that cannot be had.
    Unobtainable(Shortage),
    /// No such order is on record.
    OrderNotFound,
    /// Its hold died at this moment.
    ReservationExpired(Milliseconds),
    /// It is sold: give it back instead.
    AlreadyConfirmed,
    /// It is not sold yet: cancel it instead.
    NotConfirmed,
    /// More would be given back than was sold.
    ReturnExceedsSold(Vec<ExcessLine>),
    /// The order took none of these goods.
    GoodsNotInOrder(Vec<GoodsId>),
    /// Another request was made under this request id.
    RequestMismatch(Key),
    /// More than [`crate::order::QUANTITY_MAX`] pieces of these goods would be on hand.
    Overflows(Vec<GoodsId>),
    /// The goods are not stocked.
    GoodsNotStocked,
    /// The stock is not as the caller expected; so many pieces are on hand.
    Stale(i64),
    /// Reservations hold so many pieces, more than there would be.
    BelowReserved(i64),
}

/// All lines that cannot be had, by goods id. At least one of the lists holds something.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shortage {
    /// Lines whose goods are not stocked.
    pub not_stocked: Vec<ShortLine>,
    /// Lines that ask for more than is available.
    pub short: Vec<ShortLine>,
}

impl Shortage {
    /// That of an order of none of whose goods anything is available.
    pub fn of_all(order: &Order) -> Self {
        let short = order.lines().iter().map(|line| ShortLine {
            goods: line.goods,
            requested: line.quantity.get(),
            available: 0,
        });
        Self { not_stocked: Vec::new(), short: short.collect() }
    }
}

/// One line that cannot be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShortLine {
    /// Which goods.
    pub goods: GoodsId,
    /// How many pieces are asked for.
    pub requested: i64,
    /// How many could be had.
    pub available: i64,
}

/// One line of a partial return that asks for more than was sold and is not given back yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExcessLine {
    /// Which goods.
    pub goods: GoodsId,
    /// How many pieces are to be given back.
    pub requested: i64,
    /// How many could be.
    pub returnable: i64,
}

impl From<Refusal> for Undone {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl Round {
    /// Decides about an act on an order, and moves what is held on.
    pub fn order(&mut self, act: &OrderAct) -> Result<Receipt, Undone> {
        let is_held = match act {
            // What is on record under its number is only compared with, not changed.
            OrderAct::Sell(order) => self.holds(order.goods()),
            _ => self.held.orders.get(act.sn()).is_none_or(|known| self.holds(known.goods())),
        };
        if !is_held {
            return Err(Undone::NotHeld);
        }
        if !matches!(act, OrderAct::Sell(_)) {
            self.all_on_the_shelf(act.sn())?;
        }
        match act {
            OrderAct::Sell(order) => self.sell(order),
            OrderAct::Confirm { sn, reacquire } => self.confirm(sn, *reacquire),
            OrderAct::Cancel(sn) => self.cancel(sn),
            OrderAct::Extend { sn, ttl } => self.extend(sn, *ttl),
            OrderAct::Reback(sn) => self.reback(sn),
            OrderAct::PartialReback(reback) => self.partial_reback(reback),
        }
    }

    /// Decides about an act on a stock, and moves what is held on.
    pub fn stock(&mut self, act: &StockAct) -> Result<Setting, Undone> {
        if !self.holds([act.goods]) {
            return Err(Undone::NotHeld);
        }
        self.change(act)
    }

    /// Whether all that an order on record took has a stock row.
    fn all_on_the_shelf(&self, sn: &OrderSn) -> Result<(), Undone> {
        let taken = self.held.orders.get(sn).into_iter().flat_map(KnownOrder::goods);
        let mut missing = taken.filter(|goods| !self.held.shelf.0.contains_key(goods));
        missing.next().map_or(Ok(()), |goods| Err(Undone::WithoutStock(goods)))
    }

    /// What is answered about an order that is on record now.
    fn receipt(&self, order: KnownOrder) -> Receipt {
        let state = order.state_at(self.held.now);
        Receipt { order, state, replayed: false, reacquired: false }
    }

    /// What is answered about an order that needs nothing done.
    fn replay(&self, order: &KnownOrder) -> Receipt {
        Receipt { replayed: true, ..self.receipt(order.clone()) }
    }

    /// Closes the number of an order that was never seen, so that a Sell that arrives late takes nothing.
    fn close_unseen(&mut self, sn: &OrderSn) -> Receipt {
        let tombstone = self.put_order(KnownOrder::tombstone(sn.clone(), self.held.now));
        self.receipt(tombstone)
    }
}

#[cfg(test)]
mod tests;
