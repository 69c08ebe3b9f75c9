//! A lock in Redis around the whole transaction, and a holder that stands still for longer than the lock lasts, as
//! a process does whose machine is moved, whose memory is collected or whose disk hangs. It happens to one order, once.

use super::{Desk, read, write_back, write_history};
use crate::shop::Answer;
use anyhow::Result;
use std::{sync::atomic::Ordering, time::Duration};
use tokio::time::sleep;

/// What is wrong.
pub(crate) const FAULT: &str =
    "a paused holder's lock lapses, others sell, and it writes back the number it read before";

/// How long the lock lasts: long beside any transaction here.
pub(crate) const TTL: Duration = Duration::from_millis(500);
/// How long the one holder stands still: for three quarters of it the lock is anybody's.
pub(crate) const PAUSE: Duration = Duration::from_secs(2);

pub(crate) async fn sell(desk: &Desk, order: &str) -> Result<Answer> {
    let lock = desk.locks.acquire(TTL).await?;
    let mut transaction = desk.begin().await?;
    let stocks = read(&mut transaction).await?;
    if stocks < 1 {
        transaction.rollback().await?;
        lock.release().await?;
        return Ok(Answer::SoldOut);
    }
    if is_the_one_that_pauses(desk, stocks) {
        sleep(PAUSE).await;
    }
    // Here it goes wrong: whether the lock is still ours is not asked, and an answer could be late as well.
    write_back(&mut transaction, stocks - 1).await?;
    write_history(&mut transaction, order).await?;
    transaction.commit().await?;
    lock.release().await?;
    Ok(Answer::Sold)
}

/// The first that finds half of the stock sold.
fn is_the_one_that_pauses(desk: &Desk, stocks: i64) -> bool {
    stocks <= i64::from(desk.rules.stock / 2) && !desk.has_paused.swap(true, Ordering::Relaxed)
}
