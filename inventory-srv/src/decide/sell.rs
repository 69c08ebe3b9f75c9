//! Takes the pieces of an order: all lines or none, once per order number, never more than is available.

use super::{Receipt, Refusal, Round, ShortLine, Shortage, Undone};
use crate::order::{GoodsId, Line, Order};
use crate::record::{Kind, KnownOrder, OrderState, Stock};

impl Round {
    pub(super) fn sell(&mut self, order: &Order) -> Result<Receipt, Undone> {
        if let Some(known) = self.held.orders.get(order.sn()) {
            return match about_known(known, known.state_at(self.held.now), order) {
                None => Ok(self.replay(known)),
                Some(refusal) => Err(refusal.into()),
            };
        }
        self.make_available(order.lines())?;
        let taken = self.put_order(KnownOrder::taken(order, self.held.now));
        for line in order.lines() {
            let pieces = line.quantity.get();
            if order.ttl().is_some() {
                self.change_stock(line.goods, |stock| stock.reserved += pieces);
            } else {
                self.move_pieces(line.goods, -pieces, Kind::Sell, Some(order.sn()), None);
            }
        }
        Ok(self.receipt(taken))
    }

    /// Sees to it that every line can be had, releasing dead holds of goods that fall short without that.
    pub(super) fn make_available(&mut self, lines: &[Line]) -> Result<(), Undone> {
        let falls_short = |line: &&Line| {
            let stock = self.held.shelf.0.get(&line.goods);
            stock.is_none_or(|stock| stock.available() < line.quantity.get())
        };
        let short: Vec<GoodsId> = lines.iter().filter(falls_short).map(|line| line.goods).collect();
        if short.is_empty() {
            return Ok(());
        }
        self.look_at_expired_of(&short)?;
        let shortage = self.shortage(lines);
        if !shortage.short.is_empty() && self.held.expired.as_ref().is_some_and(|seen| seen.more) {
            self.release_all_expired();
            return Err(Undone::MoreExpired);
        }
        if !shortage.short.is_empty() || !shortage.not_stocked.is_empty() {
            return Err(Refusal::Unobtainable(shortage).into());
        }
        short.into_iter().for_each(|goods| self.release_expired(goods));
        Ok(())
    }

    /// Dead holds were looked at, or there can be none on these goods.
    pub(super) fn look_at_expired_of(&self, goods: &[GoodsId]) -> Result<(), Undone> {
        let has_holds =
            |goods| self.held.shelf.0.get(goods).is_some_and(|stock| stock.reserved > 0);
        if self.held.expired.is_none() && goods.iter().any(has_holds) {
            return Err(Undone::LookAtExpired);
        }
        Ok(())
    }

    /// The stock of goods without the dead holds that were looked at.
    pub(super) fn without_expired(&self, goods: GoodsId) -> Option<Stock> {
        let stock = self.held.shelf.0.get(&goods)?;
        let expired = self.held.expired.as_ref().and_then(|expired| expired.holds.get(&goods));
        let dead: i64 = expired.map_or(0, |holds| holds.values().sum());
        Some(Stock { reserved: stock.reserved - dead, ..*stock })
    }

    fn shortage(&self, lines: &[Line]) -> Shortage {
        let mut shortage = Shortage::default();
        for line in lines {
            let stock = self.without_expired(line.goods);
            let available = stock.map_or(0, |stock| stock.available());
            let requested = line.quantity.get();
            let refused = ShortLine { goods: line.goods, requested, available };
            if stock.is_none() {
                shortage.not_stocked.push(refused);
            } else if available < requested {
                shortage.short.push(refused);
            }
        }
        shortage
    }
}

/// Closed wins over a mismatch, a mismatch over a replay (none).
fn about_known(known: &KnownOrder, state: OrderState, order: &Order) -> Option<Refusal> {
    match (state, known.payload) {
        (OrderState::Returned | OrderState::Cancelled | OrderState::Expired, _) => {
            Some(Refusal::AlreadyClosed(state))
        }
        (_, Some(payload)) if payload != order.payload() => Some(Refusal::PayloadMismatch(payload)),
        (OrderState::Reserved | OrderState::Confirmed | OrderState::PartlyReturned, _) => None,
    }
}
