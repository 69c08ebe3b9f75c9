//! `conditional`: each line is one UPDATE that takes the pieces only where enough are available. The update is the
//! look, the lock and the deduction in one; only when it takes nothing do we look why.
//!
//! The record is written first and the pieces are taken last, so that the rows that everybody wants are locked as
//! briefly as this way of selling allows.

use super::steps::{begin, in_time, round_on};
use super::{Verdict, row_lock};
use crate::act::OrderAct;
use crate::decide::{Held, Receipt, Round, Undone};
use crate::order::Order;
use crate::patience::Setback;
use crate::record::{KnownOrder, Milliseconds, Shelf};
use crate::store::{Store, StoreError, Transaction};
use srv_runtime::Deadline;

pub(super) async fn order(
    store: &Store,
    act: &OrderAct,
    until: Deadline,
) -> Result<Verdict<Receipt>, Setback> {
    match act {
        // A hold counts from the moment at which its rows are locked, and here the record is written before that.
        OrderAct::Sell(order) if order.ttl().is_none() => sell(store, act, order, until).await,
        _ => row_lock::order(store, act, until).await,
    }
}

async fn sell(
    store: &Store,
    act: &OrderAct,
    order: &Order,
    until: Deadline,
) -> Result<Verdict<Receipt>, Setback> {
    let mut transaction = begin(store, until).await?;
    let Some(now) = put_on_record(&mut transaction, order).await? else {
        transaction.rollback().await;
        return look(store, act, until).await;
    };
    // In order of goods id, as everywhere: two orders for the same goods queue up, they do not deadlock.
    for line in order.lines() {
        if !transaction.on().take(*line).await? {
            transaction.rollback().await;
            return look(store, act, until).await;
        }
    }
    let goods = act.needs().goods;
    let shelf = put_back(transaction.on().look_at_shelf(&goods).await?, order);
    let mut round = Round::on(Held { now, goods, shelf, ..Held::default() });
    let receipt = round.order(act).map_err(|_| StoreError::Moved)?;
    let changes = round.changes();
    transaction.on().write_ledger(&changes).await?;
    transaction.commit(&changes).await?;
    Ok(Ok(receipt))
}

/// Puts the order on record, unless its number is; answers when.
async fn put_on_record(
    transaction: &mut Transaction<'_>,
    order: &Order,
) -> Result<Option<Milliseconds>, StoreError> {
    let (now, known) = transaction.on().order(order.sn()).await?;
    if known.is_some() {
        return Ok(None);
    }
    match transaction.on().insert_orders(&[KnownOrder::taken(order, now)]).await {
        Ok(()) => Ok(Some(now)),
        Err(StoreError::Duplicate(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Finds out why the pieces could not be taken: the order is on record, or it cannot be had, or dead holds must be
/// released first. The shelf is read first: an order that is unknown after that was not the one that emptied it.
async fn look(store: &Store, act: &OrderAct, until: Deadline) -> Result<Verdict<Receipt>, Setback> {
    let needs = act.needs();
    let mut reader = in_time(until, store.read()).await?;
    let shelf = reader.on().look_at_shelf(&needs.goods).await?;
    let mut round = round_on(&mut reader.on(), needs, shelf).await?;
    // A connection is not held while another is waited for.
    drop(reader);
    match round.order(act) {
        Ok(receipt) if receipt.replayed => Ok(Ok(receipt)),
        Err(Undone::Refused(refusal)) => Ok(Err(refusal)),
        // It can be had after all: pieces came in since, or dead holds have them.
        Ok(_) | Err(_) => row_lock::order(store, act, until).await,
    }
}

/// The shelf as it was before the order's lines were taken from it.
fn put_back(mut taken: Shelf, order: &Order) -> Shelf {
    for line in order.lines() {
        let stock = taken.0.get_mut(&line.goods).expect("what was taken from is on the shelf");
        stock.on_hand += line.quantity.get();
        stock.version -= 1;
    }
    taken
}
