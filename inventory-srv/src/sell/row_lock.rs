//! `rowLock`: the stock rows are locked, in order of goods id; nothing about them or about orders for them can change
//! until COMMIT, so what is decided is what is written.

use super::Verdict;
use super::steps::{ask, begin, conclude, hold, needs_of};
use crate::act::{OrderAct, StockAct};
use crate::decide::{Receipt, Setting};
use crate::patience::Setback;
use crate::store::Store;
use srv_runtime::Deadline;

pub(super) async fn order(
    store: &Store,
    act: &OrderAct,
    until: Deadline,
) -> Result<Verdict<Receipt>, Setback> {
    let needs = needs_of(store, act, until).await?;
    let mut transaction = begin(store, until).await?;
    let mut round = hold(&mut transaction.on(), needs).await?;
    let asked = ask(&mut transaction.on(), &mut round, |round| round.order(act)).await?;
    conclude(transaction, round, asked).await
}

pub(super) async fn stock(
    store: &Store,
    act: &StockAct,
    until: Deadline,
) -> Result<Verdict<Setting>, Setback> {
    let mut transaction = begin(store, until).await?;
    let mut round = hold(&mut transaction.on(), act.needs()).await?;
    let asked = ask(&mut transaction.on(), &mut round, |round| round.stock(act)).await?;
    conclude(transaction, round, asked).await
}
