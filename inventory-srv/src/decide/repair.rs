//! Compares a stock with what the ledger and the holds say of it, and sets it right. The ledger is the truth.

use super::Round;
use crate::order::{GoodsId, QUANTITY_MAX};
use crate::record::{Kind, Stock};

/// What the ledger and the holds say of one goods.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// What the deltas of its ledger add up to.
    pub sum: i64,
    /// The balance of the newest row of its ledger; 0 if there is none.
    pub balance: i64,
    /// How many pieces holds have.
    pub held: i64,
}

/// A stock that does not agree with its account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drift {
    /// How many pieces the stock says are on hand; 0 if the goods are not stocked.
    pub on_hand: i64,
    /// How many it counts as reserved.
    pub reserved: i64,
    /// What the ledger and the holds say.
    pub account: Account,
}

/// What does not agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disagreement {
    /// What is on hand is not what the deltas add up to.
    OnHand,
    /// The newest balance is not what the deltas add up to.
    Balance,
    /// What is reserved is not what holds have.
    Reserved,
}

/// Why a stock cannot be set to what its account says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Irreparable {
    /// The deltas add up to fewer pieces than holds have, or to fewer than 0.
    SumBelowHeld,
    /// The deltas add up to more than [`QUANTITY_MAX`].
    SumAboveCap,
}

impl Drift {
    /// How far a stock, or goods that are not stocked, are from their account; none if they agree.
    pub fn of(stock: Option<&Stock>, account: Account) -> Option<Self> {
        let (on_hand, reserved) = stock.map_or((0, 0), |stock| (stock.on_hand, stock.reserved));
        let drift = Self { on_hand, reserved, account };
        drift.apart().next().is_some().then_some(drift)
    }

    /// What does not agree.
    pub fn disagreements(&self) -> impl Iterator<Item = Disagreement> {
        self.apart().map(|(disagreement, ..)| disagreement)
    }

    /// What does not agree, its name, what it is and what it is to be.
    fn apart(&self) -> impl Iterator<Item = (Disagreement, &'static str, i64, i64)> {
        let Account { sum, balance, held } = self.account;
        [
            (Disagreement::OnHand, "on_hand", self.on_hand, sum),
            (Disagreement::Balance, "balance", balance, sum),
            (Disagreement::Reserved, "reserved", self.reserved, held),
        ]
        .into_iter()
        .filter(|(_, _, is, to_be)| is != to_be)
    }

    fn is_reparable(&self) -> Result<(), Irreparable> {
        let Account { sum, held, .. } = self.account;
        if sum < held.max(0) {
            Err(Irreparable::SumBelowHeld)
        } else if sum > QUANTITY_MAX {
            Err(Irreparable::SumAboveCap)
        } else {
            Ok(())
        }
    }

    /// For the ledger: `on_hand 7 -> 9, reserved 3 -> 2`.
    fn in_words(&self) -> String {
        let words = self.apart().map(|(_, name, is, to_be)| format!("{name} {is} -> {to_be}"));
        words.collect::<Vec<_>>().join(", ")
    }
}

impl Round {
    /// Sets the stock of goods whose row is held to what its account says, and writes down what it was. The row of the
    /// ledger moves nothing, and its balance is what the deltas add up to. A stock that agrees is left as it is.
    pub fn repair(&mut self, goods: GoodsId, account: Account) -> Result<(), Irreparable> {
        let Some(drift) = Drift::of(self.held.shelf.0.get(&goods), account) else { return Ok(()) };
        drift.is_reparable()?;
        let Account { sum: on_hand, held: reserved, .. } = account;
        if self.held.shelf.0.contains_key(&goods) {
            self.change_stock(goods, |stock| {
                stock.on_hand = on_hand;
                stock.reserved = reserved;
            });
        } else {
            let now = self.held.now;
            let stock = Stock { on_hand, reserved, safety: 0, version: 1, update_time: now };
            self.held.shelf.0.insert(goods, stock);
        }
        self.note_set(goods);
        self.write_down(goods, 0, Kind::Repair, None, Some(&drift.in_words()));
        Ok(())
    }
}
