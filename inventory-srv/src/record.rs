//! What is on record, as plain values: stocks, orders, the ledger. Nothing here decides anything.

use crate::order::{GoodsId, Key, Order, OrderSn, PayloadHash, Quantity};
use std::collections::BTreeMap;

/// A moment: milliseconds since 1970 in UTC, by the database's clock.
pub type Milliseconds = i64;

/// The stock of one goods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stock {
    /// How many pieces there are.
    pub on_hand: i64,
    /// How many of them reservations hold. As stored it is an upper bound: it still counts holds that have expired and
    /// that nobody has released yet. Readers are given it without those.
    pub reserved: i64,
    /// How many of them are kept back from sale.
    pub safety: i64,
    /// Grows with every change.
    pub version: i64,
    /// When it last changed.
    pub update_time: Milliseconds,
}

impl Stock {
    /// How many pieces can be sold, at least 0.
    pub fn available(&self) -> i64 {
        (self.on_hand - self.reserved - self.safety).max(0)
    }
}

/// The stock of those goods asked for that are stocked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shelf(pub BTreeMap<GoodsId, Stock>);

/// A span of goods ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The last id before it.
    pub after: i64,
    /// Its last id.
    pub through: i64,
}

impl Span {
    /// Every id that goods can have.
    pub const ALL: Self = Self { after: 0, through: i64::MAX };

    /// The id of these goods alone.
    pub fn of(goods: GoodsId) -> Self {
        Self { after: goods.get() - 1, through: goods.get() }
    }
}

/// An order as it is on record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownOrder {
    /// The caller's number for it.
    pub sn: OrderSn,
    /// The hash of what it asked for; none when it was closed before it was ever asked for.
    pub payload: Option<PayloadHash>,
    /// What became of it, as stored: that a reservation has expired is seen from the clock, see
    /// [`KnownOrder::state_at`].
    pub state: OrderState,
    /// What it took, sorted by goods id.
    pub lines: Vec<KnownLine>,
    /// When it was first seen.
    pub create_time: Milliseconds,
    /// When it last changed.
    pub update_time: Milliseconds,
    /// When its reservation ends or ended; none for an order without a ttl.
    pub expire_time: Option<Milliseconds>,
}

/// What an order took of one goods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownLine {
    /// Which goods.
    pub goods: GoodsId,
    /// How many pieces it took.
    pub quantity: Quantity,
    /// How many of them were given back.
    pub returned: i64,
    /// A reservation holds these pieces still: `reserved` counts them.
    pub held: bool,
}

/// What became of an order. The numbers are stored and are those of `inventory.v1.OrderState`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum OrderState {
    /// It holds its pieces until it expires.
    Reserved = 1,
    /// Its pieces are sold.
    Confirmed = 2,
    /// Some of its pieces were given back.
    PartlyReturned = 3,
    /// All of its pieces were given back.
    Returned = 4,
    /// It was called off before it was sold, or before it was ever seen.
    Cancelled = 5,
    /// Its reservation ended unconfirmed. Never stored: `Reserved` and the clock say it.
    Expired = 6,
}

impl OrderState {
    /// Every state.
    pub const ALL: [Self; 6] = [
        Self::Reserved,
        Self::Confirmed,
        Self::PartlyReturned,
        Self::Returned,
        Self::Cancelled,
        Self::Expired,
    ];

    /// The state of this stored number, unless a newer version wrote one that this version does not know.
    pub fn from_number(number: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|state| *state as i64 == number)
    }

    /// The state as error metadata spells it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reserved => "RESERVED",
            Self::Confirmed => "CONFIRMED",
            Self::PartlyReturned => "PARTLY_RETURNED",
            Self::Returned => "RETURNED",
            Self::Cancelled => "CANCELLED",
            Self::Expired => "EXPIRED",
        }
    }
}

impl KnownOrder {
    /// Puts the lines in order of goods id, after they were read in any.
    pub fn sort_lines(&mut self) {
        self.lines.sort_unstable_by_key(|line| line.goods);
    }

    /// The record of an order that takes its pieces at this moment: for good, or held for its ttl.
    pub fn taken(order: &Order, now: Milliseconds) -> Self {
        let held = order.ttl().is_some();
        let line = |line: &crate::order::Line| KnownLine {
            goods: line.goods,
            quantity: line.quantity,
            returned: 0,
            held,
        };
        Self {
            sn: order.sn().clone(),
            payload: Some(order.payload()),
            state: if held { OrderState::Reserved } else { OrderState::Confirmed },
            lines: order.lines().iter().map(line).collect(),
            create_time: now,
            update_time: now,
            expire_time: order.ttl().map(|ttl| now + ttl.milliseconds()),
        }
    }

    /// The record of an order that is closed at this moment without ever having been seen.
    pub fn tombstone(sn: OrderSn, now: Milliseconds) -> Self {
        Self {
            sn,
            payload: None,
            state: OrderState::Cancelled,
            lines: Vec::new(),
            create_time: now,
            update_time: now,
            expire_time: None,
        }
    }

    /// What the order is at this moment. A hold is dead exactly at its expiry, whoever tidies it up when; one that lost
    /// a line is dead, too, even if the clock went back since.
    pub fn state_at(&self, now: Milliseconds) -> OrderState {
        let is_dead = self.expire_time.is_some_and(|end| end <= now)
            || self.lines.iter().any(|line| !line.held);
        if self.state == OrderState::Reserved && is_dead { OrderState::Expired } else { self.state }
    }

    /// The goods it took, sorted.
    pub fn goods(&self) -> impl Iterator<Item = GoodsId> + '_ {
        self.lines.iter().map(|line| line.goods)
    }
}

/// A row of the ledger to be written: pieces on hand moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Which goods.
    pub goods: GoodsId,
    /// For which order, if for one.
    pub order: Option<OrderSn>,
    /// What happened.
    pub kind: Kind,
    /// How many pieces more (or fewer) are on hand.
    pub delta: i64,
    /// How many pieces are on hand after it.
    pub balance: i64,
    /// Why, in the caller's words, if it gave any.
    pub reason: Option<String>,
}

/// What a row of the ledger stands for. The numbers are stored and are those of `inventory.v1.LedgerKind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The pieces on hand were set.
    Set = 1,
    /// An order took pieces for good.
    Sell = 2,
    /// An order's pieces were given back.
    Reback = 3,
    /// The pieces on hand were adjusted.
    Adjust = 4,
    /// The stock did not agree with the ledger and was set to what the ledger says.
    Repair = 5,
    /// Stands for older rows that were purged.
    Opening = 6,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 6] =
        [Self::Set, Self::Sell, Self::Reback, Self::Adjust, Self::Repair, Self::Opening];

    /// The kind of this stored number, unless a newer version wrote one that this version does not know.
    pub fn from_number(number: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as i64 == number)
    }
}

/// The first answer to a request id of a change of stock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FirstAnswer {
    /// The SHA-256 of what was asked for.
    pub payload: [u8; 32],
    /// Which goods.
    pub goods: GoodsId,
    /// What was answered.
    pub stock: Stock,
}

/// The key of a partial return: its order and the request id that is unique within it.
pub type ReturnKey = (OrderSn, Key);

/// Which orders are listed. What is none excludes nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OrderFilter {
    /// Only those in this state, as the clock says it.
    pub state: Option<OrderState>,
    /// Only those that took this goods.
    pub goods: Option<GoodsId>,
    /// Only those first seen at this moment or later.
    pub from: Option<Milliseconds>,
    /// Only those first seen before this moment.
    pub until: Option<Milliseconds>,
}

/// Where a page of orders ended; the next one goes on with older orders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderCursor {
    /// When the last order that was looked at was first seen.
    pub create_time: Milliseconds,
    /// Its number.
    pub sn: OrderSn,
}

/// A page of orders, the newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderPage {
    /// The moment at which the orders were so.
    pub now: Milliseconds,
    /// The orders; there may be fewer than asked for although a page follows.
    pub orders: Vec<KnownOrder>,
    /// Where the next page goes on; none after the last.
    pub next: Option<OrderCursor>,
}

/// Which rows of the ledger are listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LedgerFilter {
    /// Those of this goods.
    Goods(GoodsId),
    /// Those of this order.
    Order(OrderSn),
}

/// A row of the ledger as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerRow {
    /// Grows with every row of the same goods.
    pub id: i64,
    /// When it was written.
    pub time: Milliseconds,
    /// What moved.
    pub entry: Entry,
}

/// A page of the ledger, the newest row first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerPage {
    /// The rows.
    pub rows: Vec<LedgerRow>,
    /// After which id the next page goes on; none after the last.
    pub next: Option<i64>,
}
