//! Acts in short, as the cases write them.

use super::{goods, key, ttl};
use crate::act::{Expected, Needs, OrderAct, PartialReback, StockAct, StockChange};
use crate::decide::{Receipt, Round, Setting, Undone};
use crate::order::{Line, Order, OrderSn, Quantity};

/// An act of either sort.
#[derive(Clone, Debug)]
pub(super) enum Act {
    Order(OrderAct),
    Stock(StockAct),
}

/// What it comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Receipt(Receipt),
    Setting(Setting),
}

impl Act {
    pub(super) fn needs(&self) -> Needs {
        match self {
            Self::Order(act) => act.needs(),
            Self::Stock(act) => act.needs(),
        }
    }

    pub(super) fn ask(&self, round: &mut Round) -> Result<Answer, Undone> {
        match self {
            Self::Order(act) => round.order(act).map(Answer::Receipt),
            Self::Stock(act) => round.stock(act).map(Answer::Setting),
        }
    }

    /// The order on record whose goods must be held for it.
    pub(super) fn changes_order(&self) -> Option<&OrderSn> {
        match self {
            Self::Order(OrderAct::Sell(_)) | Self::Stock(_) => None,
            Self::Order(act) => Some(act.sn()),
        }
    }

    /// The change of stock under a request id.
    pub(super) fn under(self, request: &str) -> Self {
        let Self::Stock(act) = self else { panic!("only a change of stock has a request id") };
        Self::Stock(StockAct { request: Some(key(request)), ..act })
    }

    /// The change of stock if so many pieces are on hand.
    pub(super) fn if_on_hand(self, pieces: i64) -> Self {
        self.expecting(Expected { on_hand: Some(pieces), version: None })
    }

    /// The change of stock if it has this version.
    pub(super) fn if_version(self, version: i64) -> Self {
        self.expecting(Expected { on_hand: None, version: Some(version) })
    }

    pub(super) fn expecting(self, expected: Expected) -> Self {
        let Self::Stock(act) = self else { panic!("only a change of stock expects something") };
        Self::Stock(StockAct { expected, ..act })
    }
}

impl Answer {
    pub(super) fn replayed(&self) -> bool {
        match self {
            Self::Receipt(receipt) => receipt.replayed,
            Self::Setting(setting) => setting.replayed,
        }
    }

    #[track_caller]
    pub(super) fn receipt(self) -> Receipt {
        let Self::Receipt(receipt) = self else { panic!("{self:?} is no receipt") };
        receipt
    }

    #[track_caller]
    pub(super) fn setting(self) -> Setting {
        let Self::Setting(setting) = self else { panic!("{self:?} is no setting") };
        setting
    }
}

/// The order that takes its pieces for good.
pub(super) fn sale(sn: &str, lines: &[(i64, i64)]) -> Order {
    Order::parse(sn.to_owned(), lines, None).expect("a good order")
}

pub(super) fn sell(sn: &str, lines: &[(i64, i64)]) -> Act {
    Act::Order(OrderAct::Sell(sale(sn, lines)))
}

/// A Sell with a ttl in milliseconds.
pub(super) fn hold(sn: &str, lines: &[(i64, i64)], milliseconds: i64) -> Act {
    let order = Order::parse(sn.to_owned(), lines, Some(ttl(milliseconds)));
    Act::Order(OrderAct::Sell(order.expect("a good order")))
}

pub(super) fn confirm(sn: &str) -> Act {
    Act::Order(OrderAct::Confirm { sn: key(sn), reacquire: false })
}

pub(super) fn reacquire(sn: &str) -> Act {
    Act::Order(OrderAct::Confirm { sn: key(sn), reacquire: true })
}

pub(super) fn cancel(sn: &str) -> Act {
    Act::Order(OrderAct::Cancel(key(sn)))
}

pub(super) fn extend(sn: &str, milliseconds: i64) -> Act {
    Act::Order(OrderAct::Extend { sn: key(sn), ttl: ttl(milliseconds) })
}

pub(super) fn reback(sn: &str) -> Act {
    Act::Order(OrderAct::Reback(key(sn)))
}

/// A return of some of an order, under a request id; lines sorted by goods, each goods once.
pub(super) fn give_back(sn: &str, request: &str, lines: &[(i64, i64)]) -> Act {
    let line = |&(id, pieces): &(i64, i64)| Line {
        goods: goods(id),
        quantity: Quantity::new(pieces).expect("a quantity"),
    };
    let lines = lines.iter().map(line).collect();
    Act::Order(OrderAct::PartialReback(PartialReback { sn: key(sn), lines, request: key(request) }))
}

pub(super) fn set(id: i64, on_hand: i64) -> Act {
    change(id, StockChange::SetOnHand(on_hand))
}

pub(super) fn adjust(id: i64, delta: i64, reason: &str) -> Act {
    change(id, StockChange::Adjust { delta, reason: reason.to_owned() })
}

pub(super) fn set_safety(id: i64, pieces: i64) -> Act {
    change(id, StockChange::SetSafety(pieces))
}

fn change(id: i64, change: StockChange) -> Act {
    let expected = Expected::default();
    Act::Stock(StockAct { goods: goods(id), change, expected, request: None })
}
