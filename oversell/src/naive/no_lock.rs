//! Nothing keeps two clients from reading the same number.

use super::{Desk, read, write_back, write_history};
use crate::shop::Answer;
use anyhow::Result;

/// What is wrong.
pub(crate) const FAULT: &str =
    "clients read the same number, each subtracts its piece from it, and the last to write wins";

pub(crate) async fn sell(desk: &Desk, order: &str) -> Result<Answer> {
    let mut transaction = desk.begin().await?;
    let stocks = read(&mut transaction).await?;
    if stocks < 1 {
        transaction.rollback().await?;
        return Ok(Answer::SoldOut);
    }
    // Here it goes wrong: `stocks` is what was there when we read it, and others have read it too.
    write_back(&mut transaction, stocks - 1).await?;
    write_history(&mut transaction, order).await?;
    transaction.commit().await?;
    Ok(Answer::Sold)
}
