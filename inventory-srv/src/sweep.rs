//! Releases holds that have expired. It only tidies: a hold is dead at its expiry whether anybody released it or not.
//! Every replica sweeps, and they do each other no harm: who finds a hold released already releases nothing.

use crate::Inventory;
use crate::act::Needs;
use crate::sell::{hold, write};
use crate::store::StoreError;
use crate::supervise::supervise;
use srv_runtime::detached;
use std::time::Duration;

/// How long a sweeper rests: dead holds cost readers and short orders a look, so some seconds of them are no harm.
const REST: Duration = Duration::from_secs(5);

/// The most goods of one transaction: their rows are held meanwhile, and orders for them wait.
const GOODS_MAX: u32 = 32;

impl Inventory {
    /// Sweeps for ever; ends when it is dropped.
    pub async fn sweep(self) {
        supervise("the sweeper", || self.clone().keep_sweeping()).await;
    }

    async fn keep_sweeping(self) {
        loop {
            // Replicas that started together do not sweep together.
            tokio::time::sleep(REST.mul_f64(0.5 + rand::random::<f64>())).await;
            let inventory = self.clone();
            let swept = detached(async move { inventory.sweep_once().await }).await;
            match swept {
                Ok(0) => {}
                Ok(released) => tracing::debug!(released, "released holds that had expired"),
                Err(error) => {
                    tracing::warn!(%error, "could not release expired holds; trying again later")
                }
            }
        }
    }

    /// Releases all holds that have expired by now; answers how many.
    pub async fn sweep_once(&self) -> Result<usize, StoreError> {
        let mut released = 0;
        loop {
            let (_, goods) = self.store.read().await?.on().goods_with_expired(GOODS_MAX).await?;
            if goods.is_empty() {
                return Ok(released);
            }
            let mut transaction = self.store.begin().await?;
            let needs = Needs { goods, ..Needs::default() };
            let mut round = hold(&mut transaction.on(), needs).await?;
            let expired =
                transaction.on().expired(&round.held().stocked(), round.held().now).await?;
            round.look_at_expired(expired);
            let now_released = round.tidy();
            write(transaction, round).await?;
            released += now_released;
            if now_released == 0 {
                // A clock that went back, or another sweeper: what is left is left for the next time.
                return Ok(released);
            }
        }
    }
}
