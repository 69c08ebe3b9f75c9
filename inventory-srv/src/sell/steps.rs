//! The steps that strategies put together: what to hold, asking, writing.

use super::Verdict;
use crate::act::{Needs, OrderAct};
use crate::decide::{Held, Receipt, Round, Undone};
use crate::order::GoodsId;
use crate::patience::Setback;
use crate::record::Shelf;
use crate::store::{Records, Session, Store, StoreError, Transaction};
use srv_runtime::Deadline;
use std::collections::BTreeSet;
use tokio::time::timeout_at;

/// Begins a transaction that may write, unless the deadline passes while a connection is waited for: what would be
/// answered too late is not begun, and does not stand before what would be in time.
pub(super) async fn begin(store: &Store, until: Deadline) -> Result<Transaction<'static>, Setback> {
    let transaction = in_time(until, store.begin()).await?;
    if until.remaining().is_zero() {
        transaction.rollback().await;
        return Err(Setback::DeadlinePassed);
    }
    Ok(transaction)
}

/// Waits for a connection until the deadline at most.
pub(super) async fn in_time<T>(
    until: Deadline,
    connection: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, Setback> {
    Ok(timeout_at(until.0, connection).await.map_err(|_| Setback::DeadlinePassed)??)
}

/// All that an act on an order needs. The goods of an order that is on record are known to nobody but the record.
pub(super) async fn needs_of(
    store: &Store,
    act: &OrderAct,
    until: Deadline,
) -> Result<Needs, Setback> {
    let mut needs = act.needs();
    if !matches!(act, OrderAct::Sell(_)) {
        let mut reader = in_time(until, store.read()).await?;
        let (_, known) = reader.on().order(act.sn()).await?;
        needs.goods.extend(known.iter().flat_map(|order| order.goods()));
    }
    Ok(needs)
}

/// Reads what is on record about acts whose goods' rows were read just now.
pub(super) async fn round_on(
    session: &mut Session<'_>,
    needs: Needs,
    shelf: Shelf,
) -> Result<Round, StoreError> {
    let records = session.records(&needs).await?;
    Ok(round_of(needs.goods, shelf, records))
}

/// Begins to decide about the stock of goods that was read, and what is on record.
pub(super) fn round_of(goods: BTreeSet<GoodsId>, shelf: Shelf, records: Records) -> Round {
    let Records { now, orders, requests, returns } = records;
    Round::on(Held { now, goods, shelf, orders, requests, returns, expired: None })
}

/// Locks the rows that are needed, then reads what is on record.
pub(crate) async fn hold(session: &mut Session<'_>, needs: Needs) -> Result<Round, StoreError> {
    let shelf = session.lock_shelf(&needs.goods).await?;
    round_on(session, needs, shelf).await
}

/// Decides about an act on rows that others may change meanwhile. Each statement sees the database as of another
/// moment: what is then written is guarded, and what is refused must have been so.
pub(super) async fn decide_unheld(
    session: &mut Session<'_>,
    act: &OrderAct,
) -> Result<(Round, Asked<Receipt>), StoreError> {
    let needs = act.needs();
    // The shelf first: an order that is unknown after that was not the one that emptied it.
    let shelf = session.look_at_shelf(&needs.goods).await?;
    let mut round = round_on(session, needs, shelf.clone()).await?;
    let asked = ask(session, &mut round, |round| round.order(act)).await?;
    // A dead hold that somebody released between the look at the shelf and the look at dead holds is missing from the
    // latter, while the former counts it.
    let is_refused = matches!(asked, Asked::Decided(Err(_)));
    if is_refused && round.held().expired.is_some() {
        let goods = &round.held().goods;
        if session.look_at_shelf(goods).await? != shelf {
            return Err(StoreError::Moved);
        }
    }
    Ok((round, asked))
}

/// The fence of a write without a lease.
const NO_LEASE: i64 = 0;

/// What asking comes to.
pub(super) enum Asked<T> {
    /// It is decided.
    Decided(Verdict<T>),
    /// Nothing yet: what the round changes is to be written, and then the act tried again.
    Again,
}

impl<T> Asked<T> {
    /// The verdict, if there is one.
    pub(super) fn decided(self) -> Option<Verdict<T>> {
        match self {
            Self::Decided(verdict) => Some(verdict),
            Self::Again => None,
        }
    }
}

/// Asks for a decision, with a look at dead holds if it takes one.
pub(super) async fn ask<T>(
    session: &mut Session<'_>,
    round: &mut Round,
    mut decide: impl FnMut(&mut Round) -> Result<T, Undone> + Send,
) -> Result<Asked<T>, StoreError> {
    let mut answer = decide(round);
    if matches!(answer, Err(Undone::LookAtExpired)) {
        let expired = session.expired(&round.held().stocked(), round.held().now).await?;
        round.look_at_expired(expired);
        answer = decide(round);
    }
    Ok(match answer {
        Ok(done) => Asked::Decided(Ok(done)),
        Err(Undone::Refused(refusal)) => Asked::Decided(Err(refusal)),
        Err(Undone::MoreExpired | Undone::LookAtExpired | Undone::NotHeld) => Asked::Again,
        Err(Undone::WithoutStock(goods)) => {
            return Err(StoreError::Corrupt(format!(
                "an order took goods {goods} which have no stock any more; CheckLedger with repair mends that"
            )));
        }
    })
}

/// Writes what the round changed, if it changed anything, and commits. An answer may be given when this returned.
pub(crate) async fn write(
    mut transaction: Transaction<'_>,
    round: Round,
) -> Result<(), StoreError> {
    let changes = round.changes();
    if changes.is_empty() {
        transaction.rollback().await;
        return Ok(());
    }
    transaction.on().write(&changes, NO_LEASE).await?;
    transaction.commit(&changes).await
}

/// Writes and commits, then gives the verdict.
pub(super) async fn conclude<T>(
    transaction: Transaction<'_>,
    round: Round,
    asked: Asked<T>,
) -> Result<Verdict<T>, Setback> {
    write(transaction, round).await?;
    asked.decided().ok_or_else(|| StoreError::Moved.into())
}
