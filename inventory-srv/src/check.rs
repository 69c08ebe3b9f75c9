//! Compares every stock with the ledger and the holds, and sets right what drifted.
//!
//! All is read in one snapshot. Who moves pieces commits stock, ledger and holds together, so within it they agree
//! whatever is going on; what does not is a fault. A repair holds the row and adds to what the snapshot saw only what
//! came since, so that a goods with a long history is held for a moment.

mod events;

pub(crate) use events::CHECKS_MAX;
pub use events::{Event, Told};

use crate::act::Needs;
use crate::decide::{Account, Drift, Irreparable};
use crate::error::Error;
use crate::order::GoodsId;
use crate::patience::Patience;
use crate::record::{Milliseconds, Shelf, Span};
use crate::sell::{hold, write};
use crate::store::{SUMMED_MAX, Snapshot, Store, StoreError, Summed};
use srv_runtime::{Deadline, detached};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;
use tokio::time::Instant;

/// The most goods that are looked at together, while their figures are kept.
const GOODS_MAX: u32 = 256;

/// For how long one repair waits for its row and bears rivals. Whoever else wants the row has less patience.
const REPAIR_MAX: Duration = Duration::from_secs(30);

/// A check under way.
pub struct Check {
    store: Store,
    snapshot: Snapshot,
    /// What is left.
    spans: VecDeque<Span>,
    page: Option<Page>,
    repair: bool,
    summary: Summary,
}

/// What a check has come to so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// How many goods are checked: stocked, or with a ledger or holds.
    pub goods: u64,
    /// How many of them drifted.
    pub drifts: u64,
    /// How many of those agree now.
    pub repaired: u64,
    /// How many rows of the ledger are added up.
    pub rows: u64,
    /// The moment as of which all is checked.
    pub time: Milliseconds,
}

/// Goods that drifted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drifted {
    /// Which goods.
    pub goods: GoodsId,
    /// How far, at the moment of the check.
    pub drift: Drift,
    /// What was done about it.
    pub repair: Repair,
}

/// What was done about a drift.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repair {
    /// Nothing, as asked.
    NotAsked,
    /// The stock agrees now.
    Done,
    /// Nothing: it cannot be set right.
    Impossible(Irreparable),
}

/// Goods whose figures are being gathered.
struct Page {
    span: Span,
    shelf: Shelf,
    tallies: BTreeMap<GoodsId, Tally>,
}

/// What the ledger of one goods comes to, up to a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Tally {
    sum: i64,
    /// The id of the newest row, above all that are added up; 0 if there is none.
    newest: i64,
    balance: i64,
}

impl Tally {
    fn add(&mut self, summed: &Summed) {
        let Summed { goods: _, sum, newest, balance, rows: _ } = *summed;
        *self = Self { sum: self.sum + sum, newest, balance };
    }

    fn account(self, held: i64) -> Account {
        Account { sum: self.sum, balance: self.balance, held }
    }
}

impl Check {
    /// Takes the snapshot. Checks these goods, or all if none is named, and with `repair` sets right what drifted.
    pub async fn begin(store: Store, goods: &[GoodsId], repair: bool) -> Result<Self, StoreError> {
        let mut snapshot = store.snapshot().await?;
        let time = snapshot.on().clock().await?;
        let spans = if goods.is_empty() {
            VecDeque::from([Span::ALL])
        } else {
            goods.iter().copied().map(Span::of).collect()
        };
        let summary = Summary { time, ..Summary::default() };
        Ok(Self { store, snapshot, spans, page: None, repair, summary })
    }

    /// What it has come to so far.
    pub fn summary(&self) -> Summary {
        self.summary
    }

    /// Goes on by one statement's worth of the ledger; answers what drifted among the goods that this completed. None
    /// when all is checked.
    pub async fn step(&mut self) -> Result<Option<Vec<Drifted>>, Error> {
        let page = match self.page.take() {
            Some(page) => Some(page),
            None => self.next_page().await.map_err(Error::from_reading)?,
        };
        let Some(mut page) = page else { return Ok(None) };
        let rows = self.add_up(&mut page).await.map_err(Error::from_reading)?;
        if rows == SUMMED_MAX {
            self.page = Some(page);
            return Ok(Some(Vec::new()));
        }
        self.compare(page).await.map(Some)
    }

    async fn next_page(&mut self) -> Result<Option<Page>, StoreError> {
        let Some(mut span) = self.spans.pop_front() else { return Ok(None) };
        let shelf = self.snapshot.on().shelf_of(span, GOODS_MAX).await?;
        if shelf.0.len() == GOODS_MAX as usize
            && let Some(last) = shelf.0.keys().next_back()
        {
            let rest = Span { after: last.get(), ..span };
            self.spans.push_front(rest);
            span.through = last.get();
        }
        Ok(Some(Page { span, shelf, tallies: BTreeMap::new() }))
    }

    /// Adds up the next rows of the ledger of a page; answers how many.
    async fn add_up(&mut self, page: &mut Page) -> Result<usize, StoreError> {
        let last = page.tallies.last_key_value();
        let behind =
            last.map_or((page.span.after, i64::MAX), |(goods, tally)| (goods.get(), tally.newest));
        let summed = self.snapshot.on().summed(behind, page.span.through).await?;
        for summed in &summed {
            page.tallies.entry(summed.goods).or_default().add(summed);
        }
        let rows = summed.iter().map(|summed| summed.rows).sum();
        self.summary.rows += rows as u64;
        Ok(rows)
    }

    async fn compare(&mut self, page: Page) -> Result<Vec<Drifted>, Error> {
        let held = self.snapshot.on().held(page.span).await.map_err(Error::from_reading)?;
        let known: BTreeSet<GoodsId> =
            page.shelf.0.keys().chain(page.tallies.keys()).chain(held.keys()).copied().collect();
        self.summary.goods += known.len() as u64;
        let mut drifted = Vec::new();
        for goods in known {
            let tally = page.tallies.get(&goods).copied().unwrap_or_default();
            let account = tally.account(held.get(&goods).copied().unwrap_or_default());
            let Some(drift) = Drift::of(page.shelf.0.get(&goods), account) else { continue };
            let repair = self.repair(goods, tally).await?;
            self.summary.drifts += 1;
            self.summary.repaired += u64::from(repair == Repair::Done);
            drifted.push(Drifted { goods, drift, repair });
        }
        Ok(drifted)
    }

    async fn repair(&self, goods: GoodsId, seen: Tally) -> Result<Repair, Error> {
        if !self.repair {
            return Ok(Repair::NotAsked);
        }
        let store = self.store.clone();
        detached(async move {
            let mut patience = Patience::until(Deadline(Instant::now() + REPAIR_MAX));
            loop {
                match repair(&store, goods, seen).await {
                    Ok(Ok(())) => return Ok(Repair::Done),
                    Ok(Err(irreparable)) => return Ok(Repair::Impossible(irreparable)),
                    // A second attempt looks again, and finds what the first one did.
                    Err(error) => patience.bear(error).await?,
                }
            }
        })
        .await
    }
}

/// Sets one stock right, unless it is by now. Whoever writes to the ledger of a goods holds its stock row, so the ids
/// of its rows rise in the order of COMMIT, and what came since the snapshot stands behind what was seen in it. (What
/// is purged meanwhile is older than the snapshot.)
async fn repair(
    store: &Store,
    goods: GoodsId,
    seen: Tally,
) -> Result<Result<(), Irreparable>, StoreError> {
    let mut transaction = store.begin().await?;
    let needs = Needs { goods: [goods].into(), ..Needs::default() };
    let mut round = hold(&mut transaction.on(), needs).await?;
    let mut tally = seen;
    loop {
        let since = transaction.on().summed((goods.get(), tally.newest), goods.get()).await?;
        since.iter().for_each(|summed| tally.add(summed));
        if since.iter().all(|summed| summed.rows < SUMMED_MAX) {
            break;
        }
    }
    let held = transaction.on().held(Span::of(goods)).await?;
    let outcome = round.repair(goods, tally.account(held.get(&goods).copied().unwrap_or_default()));
    write(transaction, round).await?;
    Ok(outcome)
}
