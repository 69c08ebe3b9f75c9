//! Turns what an order holds into a sale. A hold that is dead revives only if its pieces can be sold again.

use super::{Receipt, Refusal, Round, Undone};
use crate::order::{Line, OrderSn};
use crate::record::{Kind, KnownOrder, OrderState};

impl Round {
    pub(super) fn confirm(&mut self, sn: &OrderSn, reacquire: bool) -> Result<Receipt, Undone> {
        let known = self.held.orders.get(sn).ok_or(Refusal::OrderNotFound)?.clone();
        match known.state_at(self.held.now) {
            OrderState::Confirmed | OrderState::PartlyReturned => Ok(self.replay(&known)),
            state @ (OrderState::Returned | OrderState::Cancelled) => {
                Err(Refusal::AlreadyClosed(state).into())
            }
            OrderState::Reserved => Ok(self.sell_held(&known, false)),
            OrderState::Expired if reacquire => {
                self.reacquire(&known)?;
                Ok(self.sell_held(&known, true))
            }
            OrderState::Expired => Err(expired(&known).into()),
        }
    }

    /// Sees to it that what a dead hold had can be sold again.
    fn reacquire(&mut self, known: &KnownOrder) -> Result<(), Undone> {
        let line =
            |line: &crate::record::KnownLine| Line { goods: line.goods, quantity: line.quantity };
        let lines: Vec<Line> = known.lines.iter().map(line).collect();
        // What it holds still is dead and would stand in its own way.
        self.let_go(&known.sn);
        self.make_available(&lines).map_err(|undone| match undone {
            Undone::Refused(_) => expired(known).into(),
            other => other,
        })
    }

    fn sell_held(&mut self, known: &KnownOrder, reacquired: bool) -> Receipt {
        self.let_go(&known.sn);
        for line in &known.lines {
            self.move_pieces(line.goods, -line.quantity.get(), Kind::Sell, Some(&known.sn), None);
        }
        let order = self.set_state(&known.sn, OrderState::Confirmed);
        Receipt { reacquired, ..self.receipt(order) }
    }
}

pub(super) fn expired(known: &KnownOrder) -> Refusal {
    Refusal::ReservationExpired(known.expire_time.unwrap_or(known.update_time))
}
