//! What is true of the books after every round, whatever was decided.

use super::books::Books;
use crate::decide::Round;
use crate::order::{GoodsId, OrderSn};
use crate::record::{Kind, KnownOrder, OrderState};
use std::collections::BTreeMap;

impl Books {
    /// Panics unless stocks, holds, orders and ledger agree with each other.
    pub(super) fn audit(&self) {
        self.audit_stocks();
        self.audit_holds();
        self.audit_ledger();
        for order in self.orders.values() {
            self.audit_order(order);
        }
    }

    fn audit_stocks(&self) {
        for (goods, stock) in &self.stocks {
            assert!(stock.reserved >= 0 && stock.safety >= 0, "{goods}: {stock:?}");
            assert!(stock.on_hand >= stock.reserved, "{goods}: {stock:?}");
        }
    }

    fn audit_holds(&self) {
        let mut reserved: BTreeMap<GoodsId, i64> = BTreeMap::new();
        for ((goods, sn), hold) in &self.holds {
            *reserved.entry(*goods).or_default() += hold.pieces;
            let order = &self.orders[sn];
            assert_eq!(order.state, OrderState::Reserved, "{sn} is no reservation");
            assert_eq!(order.expire_time, Some(hold.expire_time), "{sn}");
            let line = order.lines.iter().find(|line| line.goods == *goods);
            assert_eq!(line.map(|line| line.quantity.get()), Some(hold.pieces), "{sn}");
        }
        for (goods, stock) in &self.stocks {
            let holds = reserved.get(goods).copied().unwrap_or_default();
            assert_eq!(stock.reserved, holds, "{goods}: reserved is the sum of its holds");
        }
    }

    fn audit_ledger(&self) {
        let mut sums: BTreeMap<GoodsId, i64> = BTreeMap::new();
        for entry in &self.ledger {
            let sum = sums.entry(entry.goods).or_default();
            *sum += entry.delta;
            assert_eq!(entry.balance, *sum, "{entry:?}: balances are a chain");
            let is_adjust = entry.kind == Kind::Adjust;
            assert_eq!(entry.reason.is_some(), is_adjust, "{entry:?}");
            let is_of_order = matches!(entry.kind, Kind::Sell | Kind::Reback);
            assert_eq!(entry.order.is_some(), is_of_order, "{entry:?}");
        }
        for (goods, stock) in &self.stocks {
            assert_eq!(sums.get(goods), Some(&stock.on_hand), "{goods}: on hand is its ledger");
        }
        assert!(sums.keys().all(|goods| self.stocks.contains_key(goods)));
    }

    /// The ledger of an order tells its state: what it took for good, and what it gave back.
    fn audit_order(&self, order: &KnownOrder) {
        let KnownOrder { sn, state, .. } = order;
        let sold = self.moved(sn, Kind::Sell);
        let back = self.moved(sn, Kind::Reback);
        let is_sold = !matches!(state, OrderState::Reserved | OrderState::Cancelled);
        assert_ne!(*state, OrderState::Expired, "{sn}: the clock says it, no record does");
        let mut returned_of_all = 0;
        for line in &order.lines {
            let (goods, quantity) = (line.goods, line.quantity.get());
            assert!((0..=quantity).contains(&line.returned), "{sn}: {line:?}");
            let taken = if is_sold { -quantity } else { 0 };
            assert_eq!(sold.get(&goods).copied().unwrap_or_default(), taken, "{sn}: {goods}");
            assert_eq!(back.get(&goods).copied().unwrap_or_default(), line.returned, "{sn}");
            returned_of_all += line.returned;
        }
        let goods_of_order = |goods: &GoodsId| order.goods().any(|taken| taken == *goods);
        assert!(sold.keys().chain(back.keys()).all(goods_of_order), "{sn}");
        let quantity: i64 = order.lines.iter().map(|line| line.quantity.get()).sum();
        let is_told = match state {
            OrderState::Reserved | OrderState::Cancelled | OrderState::Confirmed => {
                returned_of_all == 0
            }
            OrderState::PartlyReturned => 0 < returned_of_all && returned_of_all < quantity,
            OrderState::Returned => 0 < quantity && returned_of_all == quantity,
            OrderState::Expired => false,
        };
        assert!(is_told, "{sn}: {returned_of_all} of {quantity} given back, {state:?}");
    }

    fn moved(&self, sn: &OrderSn, kind: Kind) -> BTreeMap<GoodsId, i64> {
        let mut moved: BTreeMap<GoodsId, i64> = BTreeMap::new();
        let rows = self.ledger.iter().filter(|entry| entry.order.as_ref() == Some(sn));
        for entry in rows.filter(|entry| entry.kind == kind) {
            let sum = moved.insert(entry.goods, entry.delta);
            // A return may come in parts; pieces are sold in one row.
            assert!(sum.is_none() || kind == Kind::Reback, "{sn}: sold twice");
            *moved.entry(entry.goods).or_default() += sum.unwrap_or_default();
        }
        moved
    }

    /// Panics unless all that an act which is not done moved is that dead holds are released.
    pub(super) fn nothing_moved(before: &Round, after: &Round, context: &str) {
        let (was, is) = (before.held(), after.held());
        assert!(was.shelf.0.keys().eq(is.shelf.0.keys()), "{context}");
        for (goods, stock) in &is.shelf.0 {
            let before = was.shelf.0[goods];
            assert_eq!((stock.on_hand, stock.safety), (before.on_hand, before.safety), "{context}");
            assert!(stock.reserved <= before.reserved, "{context}");
        }
        assert!(was.orders.keys().eq(is.orders.keys()), "{context}");
        for (sn, order) in &is.orders {
            let mut before = was.orders[sn].clone();
            let is_dead = before.state_at(was.now) == OrderState::Expired;
            for (line, now) in before.lines.iter_mut().zip(&order.lines) {
                assert!(line.held == now.held || line.held && is_dead, "{context}");
                line.held = now.held;
            }
            assert_eq!(*order, before, "{context}");
        }
        assert_eq!((&was.requests, &was.returns), (&is.requests, &is.returns), "{context}");
        let (was, is) = (before.clone().changes(), after.clone().changes());
        assert_eq!(was.ledger, is.ledger, "{context}");
        assert_eq!((was.requests, was.returns), (is.requests, is.returns), "{context}");
    }
}
