//! Copies a whole database into an empty one, of whichever kind: a shop moves from SQLite to MySQL to TiDB, or back.
//!
//! Each table is copied in the order of its key, so what a copy that was broken off has left is the beginning of each
//! table, and the next one goes on behind it. Nothing is written before all of the target was compared with the source,
//! and nothing is ever overwritten.

use crate::check::{Check, Drifted};
use crate::decide::Changes;
use crate::error::Error;
use crate::store::{Fingerprint, Store, StoreError, StoredRow, TABLES, Table};
use srv_runtime::detached;
use std::time::Duration;

/// For how long the source is watched before anything is copied: whoever forgot to stop the service learns it now, and
/// not when the copy is through.
const WATCHED: Duration = Duration::from_secs(1);

/// How far the copy of a table is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The table.
    pub table: &'static str,
    /// How many of its rows the target has.
    pub rows: u64,
    /// How many rows it has.
    pub of: u64,
}

/// What a copy came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Copied {
    /// How many rows were copied now.
    pub rows: u64,
    /// How many the target had before.
    pub found: u64,
    /// How many goods agree with the ledger there.
    pub goods: u64,
}

/// Why a copy is none.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// Somebody writes to the source.
    #[error(
        "the source is written to: stop every inventory-srv that works on it (in a cluster, set the replicas of the \
         InventoryService to 0), empty the target if rows were copied, and copy again"
    )]
    SourceChanges,
    /// The target holds rows that are not those of the source.
    #[error(
        "the target holds rows in {0} that are not those of the source, and nothing was written: name an empty \
         database, or one that an earlier copy of this source has left, unchanged since"
    )]
    OtherData(&'static str),
    /// Somebody writes to the target.
    #[error(
        "the target is written to by somebody else: let nothing work on it until all is copied, and copy again into \
         an empty database"
    )]
    TargetChanges,
    /// All is copied, and some goods do not agree with their ledger, as they do not in the source.
    #[error(
        "all is copied, but {count} goods do not agree with the ledger, nor do they in the source; the first is goods \
         {}, with {} on hand and a ledger that adds up to {}: set them right on the target, by CheckLedger with \
         `repair`",
        first.goods, first.drift.on_hand, first.drift.account.sum
    )]
    Drift {
        /// How many goods.
        count: u64,
        /// The first of them.
        first: Drifted,
    },
    /// The target could not be checked.
    #[error("all is copied, but the target could not be checked: copy again, which only checks it")]
    Unchecked(#[source] Error),
    /// A database did not do what it was asked for.
    #[error("a database did not serve the copy; copy again, which goes on from there")]
    Store(#[from] StoreError),
}

/// The rows that the target has of a table.
#[derive(Debug, Default)]
struct Found {
    rows: u64,
    last: Option<StoredRow>,
}

/// Copies all of `from` to `to`, both with the current schema, and checks it there. Nothing else may write to either
/// meanwhile. `tell` is told how far it is, after each batch.
pub async fn copy(
    from: &Store,
    to: &Store,
    tell: &mut (dyn FnMut(Progress) + Send),
) -> Result<Copied, CopyError> {
    let source = fingerprint(from).await?;
    tokio::time::sleep(WATCHED).await;
    unchanged(from, &source).await?;
    let mut all = Vec::new();
    for table in &TABLES {
        all.push(found(from, to, table).await?);
    }
    let mut copied = Copied { rows: 0, found: all.iter().map(|found| found.rows).sum(), goods: 0 };
    for ((table, found), of) in TABLES.iter().zip(all).zip(source.counts()) {
        copied.rows += copy_table(from, to, table, found, of, tell).await?;
    }
    unchanged(from, &source).await?;
    if fingerprint(to).await? != source {
        return Err(CopyError::TargetChanges);
    }
    copied.goods = check(to).await?;
    Ok(copied)
}

async fn fingerprint(store: &Store) -> Result<Fingerprint, StoreError> {
    store.read().await?.on().fingerprint().await
}

async fn unchanged(from: &Store, source: &Fingerprint) -> Result<(), CopyError> {
    if fingerprint(from).await? == *source { Ok(()) } else { Err(CopyError::SourceChanges) }
}

/// Compares a table: what the target has of it must be how it begins in the source.
async fn found(from: &Store, to: &Store, table: &'static Table) -> Result<Found, CopyError> {
    let mut found = Found::default();
    loop {
        let theirs = to.read().await?.on().rows_of(table, found.last.as_ref()).await?;
        if theirs.is_empty() {
            return Ok(found);
        }
        let ours = from.read().await?.on().rows_of(table, found.last.as_ref()).await?;
        if !ours.starts_with(&theirs) {
            return Err(CopyError::OtherData(table.name));
        }
        found.rows += theirs.len() as u64;
        found.last = theirs.into_iter().next_back();
    }
}

/// Copies what the target lacks of a table; answers how many rows.
async fn copy_table(
    from: &Store,
    to: &Store,
    table: &'static Table,
    found: Found,
    of: u64,
    tell: &mut (dyn FnMut(Progress) + Send),
) -> Result<u64, CopyError> {
    let Found { rows: before, mut last } = found;
    let mut copied = 0;
    loop {
        tell(Progress { table: table.name, rows: before + copied, of });
        let rows = from.read().await?.on().rows_of(table, last.as_ref()).await?;
        let Some(next) = rows.last().cloned() else { return Ok(copied) };
        copied += rows.len() as u64;
        last = Some(next);
        let to = to.clone();
        match detached(async move { insert(&to, table, &rows).await }).await {
            Err(StoreError::Duplicate(_)) => return Err(CopyError::TargetChanges),
            outcome => outcome?,
        }
    }
}

async fn insert(to: &Store, table: &Table, rows: &[StoredRow]) -> Result<(), StoreError> {
    let mut transaction = to.begin().await?;
    transaction.on().insert_rows(table, rows).await?;
    transaction.commit(&Changes::default()).await
}

/// Checks the target as `CheckLedger` does; answers how many goods there are.
async fn check(to: &Store) -> Result<u64, CopyError> {
    let mut check = Check::begin(to.clone(), &[], false).await?;
    let mut first = None;
    while let Some(drifted) = check.step().await.map_err(CopyError::Unchecked)? {
        first = first.or(drifted.into_iter().next());
    }
    let summary = check.summary();
    match first {
        Some(first) => Err(CopyError::Drift { count: summary.drifts, first }),
        None => Ok(summary.goods),
    }
}
