//! What a caller wants done, parsed: an act on an order or on a stock. Every strategy and every lane carries acts
//! without knowing them apart; `decide` knows.

use crate::order::{GoodsId, Key, Line, Order, OrderSn, Ttl};
use crate::record::ReturnKey;
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;

/// Something to be done about one order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OrderAct {
    /// Take its pieces: for good, or with a ttl hold them.
    Sell(Order),
    /// Turn what it holds into a sale.
    Confirm {
        /// Which order.
        sn: OrderSn,
        /// If its hold is dead, sell again what can be had.
        reacquire: bool,
    },
    /// Let go of what it holds; close its number.
    Cancel(OrderSn),
    /// Hold for longer.
    Extend {
        /// Which order.
        sn: OrderSn,
        /// From now on.
        ttl: Ttl,
    },
    /// Give back all that it took; close its number.
    Reback(OrderSn),
    /// Give some of it back.
    PartialReback(PartialReback),
}

/// A return of some of an order's pieces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartialReback {
    /// Which order.
    pub sn: OrderSn,
    /// What is given back, sorted by goods id, each goods once.
    pub lines: Vec<Line>,
    /// The key by which a repeat is known again, unique within the order.
    pub request: Key,
}

impl PartialReback {
    /// The key of this return.
    pub fn key(&self) -> ReturnKey {
        (self.sn.clone(), self.request.clone())
    }

    /// Tells a repeat from another return under the same request id.
    pub fn payload(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(b"reback");
        for line in &self.lines {
            hash.update(line.goods.get().to_be_bytes());
            hash.update(line.quantity.get().to_be_bytes());
        }
        hash.finalize().into()
    }
}

/// Something to be done about the stock of one goods.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StockAct {
    /// Which goods.
    pub goods: GoodsId,
    /// What is to become of it.
    pub change: StockChange,
    /// What must hold for it.
    pub expected: Expected,
    /// The key by which a repeat is known again.
    pub request: Option<Key>,
}

/// What is to become of a stock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StockChange {
    /// So many pieces are on hand, from 0 to [`crate::order::QUANTITY_MAX`]; goods that are new are stocked.
    SetOnHand(i64),
    /// So many pieces more (or fewer) are on hand.
    Adjust {
        /// How many; not 0.
        delta: i64,
        /// Why, for the ledger.
        reason: String,
    },
    /// So many pieces are kept back from sale, from 0 to [`crate::order::QUANTITY_MAX`].
    SetSafety(i64),
}

/// What must hold for a stock to be changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Expected {
    /// So many pieces are on hand.
    pub on_hand: Option<i64>,
    /// The stock has this version; -1 is one that no stock has.
    pub version: Option<i64>,
}

impl StockAct {
    /// Tells a repeat from another act under the same request id.
    pub fn payload(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        let mut number = |number: Option<i64>| {
            hash.update([u8::from(number.is_some())]);
            hash.update(number.unwrap_or_default().to_be_bytes());
        };
        let (name, pieces) = match &self.change {
            StockChange::SetOnHand(on_hand) => (&b"set"[..], *on_hand),
            StockChange::Adjust { delta, .. } => (&b"adjust"[..], *delta),
            StockChange::SetSafety(safety) => (&b"safety"[..], *safety),
        };
        [Some(self.goods.get()), Some(pieces), self.expected.on_hand, self.expected.version]
            .into_iter()
            .for_each(&mut number);
        hash.update(name);
        if let StockChange::Adjust { reason, .. } = &self.change {
            hash.update(reason);
        }
        hash.finalize().into()
    }
}

/// What must be read, and which rows be held still, before acts can be decided.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// The goods whose stock rows are held still, and read.
    pub goods: BTreeSet<GoodsId>,
    /// The orders that are looked up.
    pub orders: BTreeSet<OrderSn>,
    /// The request ids of changes of stock that are looked up.
    pub requests: BTreeSet<Key>,
    /// The partial returns that are looked up.
    pub returns: BTreeSet<ReturnKey>,
}

impl OrderAct {
    /// The number of the order that it is about.
    pub fn sn(&self) -> &OrderSn {
        match self {
            Self::Sell(order) => order.sn(),
            Self::Confirm { sn, .. }
            | Self::Cancel(sn)
            | Self::Extend { sn, .. }
            | Self::Reback(sn)
            | Self::PartialReback(PartialReback { sn, .. }) => sn,
        }
    }

    /// What it needs, but for the goods of an order on record: those must be read first.
    pub fn needs(&self) -> Needs {
        let mut needs = Needs { orders: [self.sn().clone()].into(), ..Needs::default() };
        match self {
            Self::Sell(order) => needs.goods.extend(order.goods()),
            Self::PartialReback(reback) => {
                needs.returns.insert(reback.key());
            }
            Self::Confirm { .. } | Self::Cancel(_) | Self::Extend { .. } | Self::Reback(_) => {}
        }
        needs
    }
}

impl StockAct {
    /// Doing it twice comes to the same as doing it once: its key tells whether it was done. Without one not even
    /// setting a number may be repeated, because orders may have been sold in between, and would be put back.
    pub fn may_be_repeated(&self) -> bool {
        self.request.is_some()
    }

    /// What it needs.
    pub fn needs(&self) -> Needs {
        Needs {
            goods: [self.goods].into(),
            requests: self.request.iter().cloned().collect(),
            ..Needs::default()
        }
    }
}

impl Needs {
    /// Also holds and looks up what `other` does.
    pub fn need(&mut self, other: &Self) {
        self.goods.extend(&other.goods);
        self.look_up_for(other);
    }

    /// Whether everything is looked up that `other` looks up.
    pub fn looks_up(&self, other: &Self) -> bool {
        let Self { goods: _, orders, requests, returns } = other;
        orders.is_subset(&self.orders)
            && requests.is_subset(&self.requests)
            && returns.is_subset(&self.returns)
    }

    /// Also looks up what `other` looks up. Which rows are held stays as it is.
    pub fn look_up_for(&mut self, other: &Self) {
        let Self { goods: _, orders, requests, returns } = other;
        self.orders.extend(orders.iter().cloned());
        self.requests.extend(requests.iter().cloned());
        self.returns.extend(returns.iter().cloned());
    }
}
