//! Deducts stock for orders. The promise: all lines or none, once per order number, never below zero, and an answer
//! only after it is durable. How rows are held still while we decide is the strategy's business.

mod conditional;
mod lanes;
mod optimistic;
pub mod redis_lock;
mod row_lock;
mod steps;

pub(crate) use lanes::Lanes;
pub(crate) use steps::{hold, write};

use crate::Inventory;
use crate::act::{OrderAct, StockAct};
use crate::decide::{Receipt, Refusal, Setting};
use crate::error::Error;
use crate::patience::Patience;
use futures::FutureExt;
use srv_config::{InventoryHot, LockStrategy};
use srv_runtime::{Deadline, detached};
use std::sync::Arc;

/// What an attempt ends with when nothing went wrong: the act is done, or refused for a reason.
type Verdict<T> = Result<T, Refusal>;

impl Inventory {
    /// Sells an order, or does what else is to be done about one. A caller that goes away leaves it done or not, never
    /// half. Every setback that another attempt may mend is borne until the deadline.
    pub async fn order(&self, act: OrderAct, until: Deadline) -> Result<Receipt, Error> {
        // Read once: an order finishes under the strategy that accepted it.
        let settings = self.settings.load();
        let act = Arc::new(act);
        match settings.lock_strategy {
            // A lane is a task of its own already.
            LockStrategy::GroupCommit => self.until_decided(&act, &settings, until).await,
            _ => {
                let inventory = self.clone();
                detached(async move { inventory.until_decided(&act, &settings, until).await }).await
            }
        }
    }

    async fn until_decided(
        &self,
        act: &Arc<OrderAct>,
        settings: &InventoryHot,
        until: Deadline,
    ) -> Result<Receipt, Error> {
        let mut patience = Patience::until(until);
        loop {
            let (store, locks) = (&self.store, &self.locks);
            // Boxed, because a call that waits in a lane would otherwise carry the room for all of them.
            let attempt = match settings.lock_strategy {
                LockStrategy::GroupCommit => self.lanes.order(act, until).await,
                LockStrategy::RowLock => row_lock::order(store, act, until).boxed().await,
                LockStrategy::Optimistic => {
                    optimistic::order(store, act, patience.rivals(), until).boxed().await
                }
                LockStrategy::Conditional => conditional::order(store, act, until).boxed().await,
                LockStrategy::RedisLock => {
                    let order = redis_lock::order(store, locks, &settings.redis_lock, act, until);
                    order.boxed().await
                }
            };
            match attempt {
                Ok(Ok(receipt)) => return Ok(receipt),
                Ok(Err(refusal)) => return Err(Error::OrderRefused(act.sn().clone(), refusal)),
                Err(setback) => patience.bear(setback).await?,
            }
        }
    }

    /// Sets or adjusts a stock, likewise. All strategies but `groupCommit` lock the row for it.
    pub async fn stock(&self, act: StockAct, until: Deadline) -> Result<Setting, Error> {
        let settings = self.settings.load();
        let act = Arc::new(act);
        let inventory = self.clone();
        detached(async move {
            let mut patience = Patience::until(until);
            loop {
                let attempt = match settings.lock_strategy {
                    LockStrategy::GroupCommit => inventory.lanes.stock(&act, until).await,
                    _ => row_lock::stock(&inventory.store, &act, until).boxed().await,
                };
                match attempt {
                    Ok(Ok(setting)) => return Ok(setting),
                    Ok(Err(refusal)) => return Err(Error::StockRefused(act.goods, refusal)),
                    // Without a key, a second attempt could meet its own first one.
                    Err(setback) if setback.outcome_is_unknown() && !act.may_be_repeated() => {
                        return Err(Error::OutcomeUnknown(setback));
                    }
                    Err(setback) => patience.bear(setback).await?,
                }
            }
        })
        .await
    }
}
