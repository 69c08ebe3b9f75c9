//! A lock in Redis around the row, but not around the transaction.

use super::{Desk, read, write_back, write_history};
use crate::shop::Answer;
use anyhow::Result;
use std::time::Duration;

/// What is wrong.
pub(crate) const FAULT: &str =
    "the next holder reads before the last one's COMMIT, and so the number from before that sale";

/// Long beside any transaction here: this lock never lapses while it is held.
const TTL: Duration = Duration::from_secs(10);

pub(crate) async fn sell(desk: &Desk, order: &str) -> Result<Answer> {
    let mut transaction = desk.begin().await?;
    let lock = desk.locks.acquire(TTL).await?;
    let stocks = read(&mut transaction).await?;
    if stocks < 1 {
        lock.release().await?;
        transaction.rollback().await?;
        return Ok(Answer::SoldOut);
    }
    write_back(&mut transaction, stocks - 1).await?;
    // Here it goes wrong: nobody sees what we wrote before COMMIT, and the next holder reads now.
    lock.release().await?;
    write_history(&mut transaction, order).await?;
    transaction.commit().await?;
    Ok(Answer::Sold)
}
