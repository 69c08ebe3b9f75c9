//! The goods that lately reserved orders took. What becomes of a reservation is asked of the replica that made it more
//! often than not, and soon: it then need not be read from the record which rows are to be held, and takes the lane in
//! which others of its goods go.
//!
//! It is only an expectation. What an order took is decided by the record, which is read while the rows are held.

use crate::order::{GoodsId, OrderSn};
use crate::record::{KnownOrder, OrderState};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How many lines are remembered at least, and twice as many at most: some seconds of reservations, in about 2 MB.
const LINES_MAX: usize = 8192;

/// What one process remembers.
#[derive(Debug, Default)]
pub(super) struct Reserved(Mutex<Memory>);

impl Reserved {
    /// Remembers an order if it is reserved.
    pub(super) fn remember(&self, order: &KnownOrder) {
        if order.state == OrderState::Reserved {
            self.memory().keep(order.sn.clone(), order.goods().collect());
        }
    }

    /// What the order of this number took, if that is remembered.
    pub(super) fn goods_of(&self, sn: &OrderSn) -> Option<Arc<[GoodsId]>> {
        let memory = self.memory();
        memory.newer.get(sn).or_else(|| memory.older.get(sn)).cloned()
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        // Nothing is left half done by a panic under this lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Two lots: when the newer is full, the older is forgotten.
#[derive(Debug, Default)]
struct Memory {
    newer: HashMap<OrderSn, Arc<[GoodsId]>>,
    older: HashMap<OrderSn, Arc<[GoodsId]>>,
    /// Of the newer orders.
    lines: usize,
}

impl Memory {
    fn keep(&mut self, sn: OrderSn, goods: Arc<[GoodsId]>) {
        if self.lines + goods.len() > LINES_MAX {
            self.older = std::mem::take(&mut self.newer);
            self.lines = 0;
        }
        self.lines += goods.len();
        self.newer.insert(sn, goods);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::order::{Order, Ttl};

    /// A reservation of `lines` goods.
    fn reserved(sn: &str, lines: i64) -> KnownOrder {
        let lines: Vec<_> = (1..=lines).map(|goods| (goods, 1)).collect();
        let ttl = Ttl::new(60_000).unwrap();
        KnownOrder::taken(&Order::parse(sn.to_owned(), &lines, Some(ttl)).unwrap(), 0)
    }

    #[test]
    fn what_a_reservation_took_is_remembered_and_what_is_sold_is_not() {
        let memory = Reserved::default();
        let (held, mut sold) = (reserved("held", 2), reserved("sold", 2));
        sold.state = OrderState::Confirmed;
        memory.remember(&held);
        memory.remember(&sold);
        let goods: Vec<GoodsId> = held.goods().collect();
        assert_eq!(memory.goods_of(&held.sn).as_deref(), Some(&goods[..]));
        assert_eq!(memory.goods_of(&sold.sn), None);
    }

    #[test]
    fn so_many_lines_are_remembered_and_not_more_than_twice_as_many() {
        let memory = Reserved::default();
        let orders: Vec<_> = (0..200).map(|number| reserved(&format!("o-{number}"), 100)).collect();
        orders.iter().for_each(|order| memory.remember(order));
        let remembered = orders.iter().map(|order| memory.goods_of(&order.sn).is_some());
        let remembered: Vec<bool> = remembered.collect();
        let from = remembered.iter().position(|is| *is).unwrap();
        assert!(remembered[from..].iter().all(|is| *is), "the newest are forgotten");
        let lines = (orders.len() - from) * 100;
        assert!((LINES_MAX - 100..=2 * LINES_MAX).contains(&lines), "{lines}");
    }
}
