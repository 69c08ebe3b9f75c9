//! Many acts in one call, each for itself: one that is refused does not stop the others.

use crate::Inventory;
use crate::act::{OrderAct, StockAct};
use crate::decide::{Receipt, Setting};
use crate::error::Error;
use crate::order::Order;
use futures::StreamExt;
use futures::stream;
use srv_config::LockStrategy;
use srv_runtime::Deadline;

/// How many acts of one call are under way at a time where each takes a connection of its own: half of the connections
/// that a pod has by default, so that a batch leaves room for others.
const AT_A_TIME: usize = 8;
/// How many where lanes take them: all of them, so that they share a commit.
const AT_A_TIME_IN_LANES: usize = 1_000;

impl Inventory {
    /// Sells orders; answers about each, in their order.
    pub async fn batch_sell(
        &self,
        orders: Vec<Order>,
        until: Deadline,
    ) -> Vec<Result<Receipt, Error>> {
        let acts = orders.into_iter().map(|order| self.order(OrderAct::Sell(order), until));
        stream::iter(acts).buffered(self.at_a_time()).collect().await
    }

    /// Sets or adjusts stocks; answers about each, in their order.
    pub async fn batch_stock(
        &self,
        acts: Vec<StockAct>,
        until: Deadline,
    ) -> Vec<Result<Setting, Error>> {
        let acts = acts.into_iter().map(|act| self.stock(act, until));
        stream::iter(acts).buffered(self.at_a_time()).collect().await
    }

    fn at_a_time(&self) -> usize {
        match self.settings.load().lock_strategy {
            LockStrategy::GroupCommit => AT_A_TIME_IN_LANES,
            _ => AT_A_TIME,
        }
    }
}
