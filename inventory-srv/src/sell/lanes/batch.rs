//! One batch: rows held first, then what queued for them, decided act by act, written and committed once, answered.
//!
//! An order to sell is presumed new. If its number is on record, the row that is to be written meets it there: then the
//! batch is undone, and done again with every number looked up before. That saves the look for all the others, which
//! took a quarter of a batch's time.

use super::queue::{Job, Queue, Work};
use super::{Caps, Lane, look_up};
use crate::act::Needs;
use crate::decide::{Receipt, Refusal, Round, Setting};
use crate::order::GoodsId;
use crate::patience::Setback;
use crate::record::KnownOrder;
use crate::sell::Verdict;
use crate::sell::steps::{ask, round_of, write};
use crate::store::{Beginning, KeptConnection, Session, StoreError};
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::time::Instant;

/// Reads what the orders on record took that the next batch is about. If one of them cannot be read, the others are
/// found by halves.
pub(super) async fn resolve(lane: &Lane, kept: &mut KeptConnection, caps: &Caps) {
    let mut parts = vec![lane.queue.unresolved(caps)];
    while let Some(mut orders) = parts.pop() {
        match look_up(&lane.store, kept, orders.clone()).await {
            Ok(known) => lane.queue.resolve(&orders, &known),
            Err(StoreError::Broken(_) | StoreError::Corrupt(_)) if orders.len() > 1 => {
                let middle = orders.iter().nth(orders.len() / 2).cloned();
                let half = orders.split_off(&middle.expect("there are at least two"));
                parts.extend([half, orders]);
            }
            Err(error) => fail(lane.queue.take_unresolved(&orders), error),
        }
    }
}

/// Holds the rows that are needed, takes what fits them, and has it done. Answers how many jobs that were.
pub(super) async fn run(
    lane: &Lane,
    kept: &mut KeptConnection,
    needs: Needs,
    caps: &Caps,
) -> usize {
    // Before the database's clock is read.
    let seen = Instant::now();
    let beginning = kept.begin_with(&lane.store, &needs).await;
    let (count, worked) = work(lane, beginning, needs, seen, caps).await;
    if let Err(refused) = worked {
        // The connection may be lost, or be in the middle of something.
        kept.give_back();
        by_halves(lane, refused).await;
    }
    count
}

/// Jobs that the database refused together, for the sake of one of them; none where it was away.
type Refused = Vec<Job>;

/// Takes what fits the rows that are needed and has it done, in a transaction that has just begun or could not.
async fn work(
    lane: &Lane,
    beginning: Result<Beginning<'_>, StoreError>,
    needs: Needs,
    seen: Instant,
    caps: &Caps,
) -> (usize, Result<(), Refused>) {
    // Only now: what queued while we waited for the rows comes along.
    let (mut jobs, late) = lane.queue.take_fitting(&needs, caps);
    let beginning = match beginning {
        Ok(beginning) => look_up_late(beginning, &late).await,
        refused => refused,
    };
    jobs.extend(late);
    let count = jobs.len();
    let worked = match beginning {
        Ok(beginning) if jobs.is_empty() => {
            beginning.transaction.rollback().await;
            Ok(())
        }
        Ok(beginning) => settle(lane, beginning, needs.goods, seen, jobs).await,
        Err(error) => refuse(&lane.queue, jobs, error),
    };
    (count, worked)
}

/// Also reads what is on record about jobs that came too late for the first look.
async fn look_up_late<'c>(
    mut beginning: Beginning<'c>,
    late: &[Job],
) -> Result<Beginning<'c>, StoreError> {
    if !late.is_empty() {
        let mut needs = Needs::default();
        late.iter().for_each(|job| needs.look_up_for(&job.needs));
        let records = beginning.transaction.on().records(&needs).await?;
        beginning.records.add(records);
    }
    Ok(beginning)
}

/// Has jobs done on rows that are held.
async fn settle(
    lane: &Lane,
    beginning: Beginning<'_>,
    goods: BTreeSet<GoodsId>,
    seen: Instant,
    jobs: Vec<Job>,
) -> Result<(), Refused> {
    match decide_and_write(lane, beginning, goods, seen, &jobs).await {
        Ok(outcomes) => {
            answer(lane, jobs, outcomes);
            Ok(())
        }
        Err(error) => refuse(&lane.queue, jobs, error),
    }
}

/// What becomes of jobs that the database refused together.
fn refuse(queue: &Queue, jobs: Vec<Job>, error: StoreError) -> Result<(), Refused> {
    match error {
        // One of them may have met its number, or be to blame for what stands under it: looked up, that is found before
        // anything is decided. Each goes back once at most.
        StoreError::Duplicate(_) | StoreError::Broken(_) | StoreError::Corrupt(_)
            if jobs.iter().any(Job::is_presumed_new) =>
        {
            queue.put_back_to_look_up(jobs);
            Err(Refused::new())
        }
        StoreError::Broken(_) | StoreError::Corrupt(_) if jobs.len() > 1 => Err(jobs),
        error => {
            fail(jobs, error);
            Err(Refused::new())
        }
    }
}

/// Halves what was refused until the job that was to blame is alone: the others must not suffer.
async fn by_halves(lane: &Lane, refused: Refused) {
    let mut parts = vec![refused];
    while let Some(mut jobs) = parts.pop() {
        let half = jobs.split_off(jobs.len() / 2);
        let mut again = Vec::new();
        for jobs in [jobs, half].into_iter().filter(|jobs| !jobs.is_empty()) {
            let mut needs = Needs::default();
            jobs.iter().for_each(|job| needs.need(&job.needs));
            let seen = Instant::now();
            let settled = match lane.store.begin_with(&needs).await {
                Ok(beginning) => settle(lane, beginning, needs.goods, seen, jobs).await,
                Err(error) => refuse(&lane.queue, jobs, error),
            };
            again.extend(settled.err());
        }
        // The last part is the next: they keep their order.
        parts.extend(again.into_iter().rev());
    }
}

/// What a job comes to.
enum Outcome {
    Order(Verdict<Receipt>),
    Stock(Verdict<Setting>),
    /// Not decided yet. Its order on record took these goods, which may not have been held.
    Again(BTreeSet<GoodsId>),
}

impl Outcome {
    /// The goods for want of which an order is refused: of them nothing was to be had.
    fn sold_out(&self) -> impl Iterator<Item = GoodsId> + '_ {
        let lines = match self {
            Self::Order(Err(Refusal::Unobtainable(shortage))) => shortage.short.as_slice(),
            Self::Order(_) | Self::Stock(_) | Self::Again(_) => &[],
        };
        lines.iter().filter(|line| line.available == 0).map(|line| line.goods)
    }
}

async fn decide_and_write(
    lane: &Lane,
    Beginning { mut transaction, shelf, records }: Beginning<'_>,
    goods: BTreeSet<GoodsId>,
    seen: Instant,
    jobs: &[Job],
) -> Result<Vec<Outcome>, StoreError> {
    let mut round = round_of(goods, shelf, records);
    let mut outcomes = Vec::with_capacity(jobs.len());
    for job in jobs {
        outcomes.push(decide(&mut transaction.on(), &mut round, job).await?);
    }
    look_up_refused(&mut transaction.on(), &mut round, jobs, &mut outcomes).await?;
    let sold_out = outcomes.iter().flat_map(Outcome::sold_out).collect();
    let found = lane.sold_out.found(&mut transaction.on(), &round, sold_out, seen).await?;
    write(transaction, round).await?;
    lane.sold_out.remember(found);
    Ok(outcomes)
}

/// Nobody is refused before the number was looked up: it may be that of an order that is on record. One that is taken
/// meets its number, if that is on record, as it is written.
async fn look_up_refused(
    session: &mut Session<'_>,
    round: &mut Round,
    jobs: &[Job],
    outcomes: &mut [Outcome],
) -> Result<(), StoreError> {
    let is_refused = |(job, outcome): &(&Job, &mut Outcome)| {
        job.is_presumed_new() && matches!(outcome, Outcome::Order(Err(_)))
    };
    let refused: Vec<_> = jobs.iter().zip(outcomes).filter(is_refused).collect();
    if refused.is_empty() {
        return Ok(());
    }
    let orders = refused.iter().filter_map(|(job, _)| job.sn().cloned()).collect();
    let records = session.records(&Needs { orders, ..Needs::default() }).await?;
    round.look_at_orders(records.orders);
    for (job, outcome) in refused {
        *outcome = decide(session, round, job).await?;
    }
    Ok(())
}

async fn decide(
    session: &mut Session<'_>,
    round: &mut Round,
    job: &Job,
) -> Result<Outcome, StoreError> {
    let verdict = match &job.work {
        Work::Order(act, _) => {
            ask(session, round, |round| round.order(act)).await?.decided().map(Outcome::Order)
        }
        Work::Stock(act, _) => {
            ask(session, round, |round| round.stock(act)).await?.decided().map(Outcome::Stock)
        }
    };
    Ok(verdict.unwrap_or_else(|| {
        let known = job.sn().and_then(|sn| round.held().orders.get(sn));
        Outcome::Again(known.into_iter().flat_map(KnownOrder::goods).collect())
    }))
}

/// Tells the callers, now that it is durable. What is not decided yet heads the next batch.
fn answer(lane: &Lane, jobs: Vec<Job>, outcomes: Vec<Outcome>) {
    let mut again = Vec::new();
    for (mut job, outcome) in jobs.into_iter().zip(outcomes) {
        match (job.work, outcome) {
            // Who does not listen any more need not be told.
            (Work::Order(_, answer), Outcome::Order(verdict)) => {
                verdict.iter().for_each(|receipt| lane.reserved.remember(&receipt.order));
                drop(answer.send(Ok(verdict)));
            }
            (Work::Stock(_, answer), Outcome::Stock(verdict)) => drop(answer.send(Ok(verdict))),
            (work, Outcome::Again(goods)) => {
                job.work = work;
                job.needs.goods.extend(goods);
                again.push(job);
            }
            (_, Outcome::Order(_) | Outcome::Stock(_)) => {
                unreachable!("an act is answered as what it is")
            }
        }
    }
    lane.queue.put_back(again);
}

fn fail(jobs: impl IntoIterator<Item = Job>, error: StoreError) {
    let error = Arc::new(error);
    for job in jobs {
        job.fail(Setback::Shared(Arc::clone(&error)));
    }
}
