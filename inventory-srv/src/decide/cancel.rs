//! Lets go of what an order holds, and closes its number.

use super::{Receipt, Refusal, Round, Undone};
use crate::order::OrderSn;
use crate::record::OrderState;

impl Round {
    pub(super) fn cancel(&mut self, sn: &OrderSn) -> Result<Receipt, Undone> {
        let Some(known) = self.held.orders.get(sn) else { return Ok(self.close_unseen(sn)) };
        match known.state_at(self.held.now) {
            OrderState::Confirmed | OrderState::PartlyReturned => {
                Err(Refusal::AlreadyConfirmed.into())
            }
            OrderState::Returned | OrderState::Cancelled | OrderState::Expired => {
                Ok(self.replay(known))
            }
            OrderState::Reserved => Ok(self.cancel_held(sn)),
        }
    }

    pub(super) fn cancel_held(&mut self, sn: &OrderSn) -> Receipt {
        self.let_go(sn);
        let order = self.set_state(sn, OrderState::Cancelled);
        self.receipt(order)
    }
}
