//! Sets and adjusts stock.

use super::{Refusal, Round, Setting, ShortLine, Shortage, Undone};
use crate::act::{Expected, StockAct, StockChange};
use crate::order::{GoodsId, QUANTITY_MAX};
use crate::record::{FirstAnswer, Kind, Stock};

impl Round {
    pub(super) fn change(&mut self, act: &StockAct) -> Result<Setting, Undone> {
        if let Some(id) = &act.request
            && let Some(first) = self.held.requests.get(id)
        {
            return if first.payload == act.payload() {
                Ok(Setting { stock: first.stock, replayed: true })
            } else {
                Err(Refusal::RequestMismatch(id.clone()).into())
            };
        }
        let goods = act.goods;
        is_as_expected(self.held.shelf.0.get(&goods), act.expected)?;
        // What is answered leaves dead holds out, as every reader does: all of them.
        self.look_at_expired_of(&[goods])?;
        if self.reserved(goods) > 0 && self.held.expired.as_ref().is_some_and(|seen| seen.more) {
            self.release_all_expired();
            return Err(Undone::MoreExpired);
        }
        match &act.change {
            StockChange::SetOnHand(on_hand) => self.set_on_hand(goods, *on_hand)?,
            StockChange::Adjust { delta, reason } => self.adjust(goods, *delta, reason)?,
            StockChange::SetSafety(safety) => self.set_safety(goods, *safety)?,
        }
        self.note_set(goods);
        let stored = self.held.shelf.0[&goods];
        let stock = self.without_expired(goods).unwrap_or(stored);
        if let Some(id) = &act.request {
            self.keep_answer(id, FirstAnswer { payload: act.payload(), goods, stock });
        }
        Ok(Setting { stock, replayed: false })
    }

    fn set_on_hand(&mut self, goods: GoodsId, on_hand: i64) -> Result<(), Undone> {
        let Some(stock) = self.held.shelf.0.get(&goods) else {
            let now = self.held.now;
            let stock = Stock { on_hand, reserved: 0, safety: 0, version: 1, update_time: now };
            self.held.shelf.0.insert(goods, stock);
            self.write_down(goods, on_hand, Kind::Set, None, None);
            return Ok(());
        };
        let delta = on_hand - stock.on_hand;
        self.free_all_but(goods, on_hand).map_err(Refusal::BelowReserved)?;
        self.move_pieces(goods, delta, Kind::Set, None, None);
        Ok(())
    }

    fn adjust(&mut self, goods: GoodsId, delta: i64, reason: &str) -> Result<(), Undone> {
        let stock = *self.held.shelf.0.get(&goods).ok_or(Refusal::GoodsNotStocked)?;
        let on_hand = stock.on_hand.checked_add(delta).filter(|sum| *sum <= QUANTITY_MAX);
        let on_hand = on_hand.ok_or_else(|| Refusal::Overflows(vec![goods]))?;
        self.free_all_but(goods, on_hand).map_err(|reserved| {
            let available = stock.on_hand - reserved;
            let line = ShortLine { goods, requested: delta.saturating_neg(), available };
            Refusal::Unobtainable(Shortage { short: vec![line], ..Shortage::default() })
        })?;
        self.move_pieces(goods, delta, Kind::Adjust, None, Some(reason));
        Ok(())
    }

    fn set_safety(&mut self, goods: GoodsId, safety: i64) -> Result<(), Undone> {
        if !self.held.shelf.0.contains_key(&goods) {
            return Err(Refusal::GoodsNotStocked.into());
        }
        self.change_stock(goods, |stock| stock.safety = safety);
        Ok(())
    }

    /// Sees to it that no more than `on_hand` pieces are reserved, releasing dead holds if that takes it; answers how
    /// many live holds have if those are more.
    fn free_all_but(&mut self, goods: GoodsId, on_hand: i64) -> Result<(), i64> {
        if self.held.shelf.0[&goods].reserved <= on_hand {
            return Ok(());
        }
        let reserved = self.reserved(goods);
        if reserved > on_hand {
            return Err(reserved);
        }
        self.release_expired(goods);
        Ok(())
    }

    /// How many pieces live holds have. Where more are dead than one look shows, an upper bound.
    fn reserved(&self, goods: GoodsId) -> i64 {
        self.without_expired(goods).map_or(0, |stock| stock.reserved)
    }
}

fn is_as_expected(stock: Option<&Stock>, expected: Expected) -> Result<(), Refusal> {
    let on_hand = stock.map_or(0, |stock| stock.on_hand);
    let version = stock.map(|stock| stock.version);
    if expected.on_hand.is_some_and(|pieces| pieces != on_hand)
        || expected.version.is_some_and(|seen| version != Some(seen))
    {
        return Err(Refusal::Stale(on_hand));
    }
    Ok(())
}
