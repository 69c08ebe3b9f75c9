//! Holds for longer.

use super::confirm::expired;
use super::{Receipt, Refusal, Round, Undone};
use crate::order::{OrderSn, TTL_MAX, Ttl};
use crate::record::OrderState;

impl Round {
    /// A hold never ends sooner than before, and lasts no longer than the longest ttl in all.
    pub(super) fn extend(&mut self, sn: &OrderSn, ttl: Ttl) -> Result<Receipt, Undone> {
        let now = self.held.now;
        let known = self.held.orders.get_mut(sn).ok_or(Refusal::OrderNotFound)?;
        match known.state_at(now) {
            OrderState::Confirmed | OrderState::PartlyReturned => {
                return Err(Refusal::AlreadyConfirmed.into());
            }
            state @ (OrderState::Returned | OrderState::Cancelled) => {
                return Err(Refusal::AlreadyClosed(state).into());
            }
            OrderState::Expired => return Err(expired(known).into()),
            OrderState::Reserved => {}
        }
        let wanted = (now + ttl.milliseconds()).min(known.create_time + TTL_MAX.milliseconds());
        if known.expire_time.is_some_and(|end| wanted <= end) {
            let known = known.clone();
            return Ok(self.replay(&known));
        }
        known.expire_time = Some(wanted);
        let order = self.set_state(sn, OrderState::Reserved);
        Ok(self.receipt(order))
    }
}
