//! `groupCommit`: lanes. A lane takes what has queued while it was committing, decides all of it on rows that it holds,
//! writes and commits once, and answers. There is no timer: an act that comes alone goes alone. An order for goods that
//! were sold out a moment ago does not queue up.
//!
//! A lane only keeps contenders apart and shares a commit among them. The guards stay in SQL, and lanes of other
//! replicas meet at the rows' locks.

mod batch;
mod pace;
mod queue;
mod reserved;
mod sold_out;

use super::Verdict;
use crate::act::{Needs, OrderAct, StockAct};
use crate::decide::{Receipt, Refusal, Setting};
use crate::order::OrderSn;
use crate::patience::Setback;
use crate::record::KnownOrder;
use crate::store::{KeptConnection, Store, StoreError};
use crate::supervise::supervise;
use queue::{Job, Queue, Work};
use reserved::Reserved;
use sold_out::SoldOut;
use srv_config::{InventoryHot, LaneSettings};
use srv_runtime::{DatabaseKind, Deadline, Settings, detached};
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};

/// The most lanes: each holds a connection while it commits, and more of them only meet at the same rows.
const LANES_MAX: usize = 8;

/// After how long without work a lane, or what looks up numbers for it, gives its connection back. A caller that sends
/// its next order when it is answered is back sooner, and a connection idle for so short a time need not be tried.
const IDLE: Duration = Duration::from_millis(100);

/// The lanes of one process. Clones share them; they end with the last one.
#[derive(Clone)]
pub(crate) struct Lanes(Arc<Inner>);

struct Inner {
    queues: Vec<Arc<Queue>>,
    sold_out: Arc<SoldOut>,
    reserved: Arc<Reserved>,
    settings: Settings<InventoryHot>,
    _ends_the_lanes: DropGuard,
}

impl Lanes {
    /// Opens the lanes of a store. Must be called inside a tokio runtime.
    pub(crate) fn open(store: &Store, settings: Settings<InventoryHot>) -> Self {
        // SQLite has one writer, so a second lane would only wait for the first.
        let count = if store.kind() == DatabaseKind::Sqlite { 1 } else { LANES_MAX };
        let end = CancellationToken::new();
        let queues: Vec<_> = (0..count).map(|_| Arc::new(Queue::default())).collect();
        let sold_out = Arc::new(SoldOut::new(store));
        let reserved = Arc::<Reserved>::default();
        for queue in &queues {
            let lane = Lane {
                store: store.clone(),
                queue: Arc::clone(queue),
                sold_out: Arc::clone(&sold_out),
                reserved: Arc::clone(&reserved),
                settings: settings.clone(),
            };
            let end = end.clone();
            // One that falls over loses its batch, whose callers learn that it is not known what became of their acts;
            // what is queued goes on.
            tokio::spawn(async move {
                end.run_until_cancelled(supervise("a lane", || lane.clone().run())).await
            });
        }
        Self(Arc::new(Inner {
            queues,
            sold_out,
            reserved,
            settings,
            _ends_the_lanes: end.drop_guard(),
        }))
    }

    /// Has an act on an order done. A caller that goes away before its act was taken up leaves it undone.
    pub(crate) async fn order(
        &self,
        act: &Arc<OrderAct>,
        until: Deadline,
    ) -> Result<Verdict<Receipt>, Setback> {
        if let OrderAct::Sell(order) = &**act
            && let Some(shortage) = self.0.sold_out.shortage(order).await
        {
            return Ok(Err(Refusal::Unobtainable(shortage)));
        }
        let (answer, answered) = oneshot::channel();
        let mut job = Job::new(Work::Order(Arc::clone(act), answer), until);
        if job.is_unresolved()
            && let Some(goods) = self.0.reserved.goods_of(act.sn())
        {
            job.resolve(goods.iter().copied());
        }
        let route = job.needs.goods.first().map_or_else(|| hash(act.sn()), hash);
        self.queue_up(job, route)?;
        answered.await.unwrap_or(Err(Setback::LaneLost))
    }

    /// Has an act on a stock done, likewise.
    pub(crate) async fn stock(
        &self,
        act: &Arc<StockAct>,
        until: Deadline,
    ) -> Result<Verdict<Setting>, Setback> {
        let (answer, answered) = oneshot::channel();
        self.queue_up(Job::new(Work::Stock(Arc::clone(act), answer), until), hash(act.goods))?;
        answered.await.unwrap_or(Err(Setback::LaneLost))
    }

    /// Acts on the same goods take the same lane, so that they share its commits.
    fn queue_up(&self, job: Job, route: u64) -> Result<(), Setback> {
        let settings = &self.0.settings.load().lanes;
        let count = usize::try_from(settings.count).unwrap_or(1).clamp(1, self.0.queues.len());
        let lane = usize::try_from(route % count as u64).unwrap_or(0);
        self.0.queues[lane].push(job, settings)
    }
}

/// Those of these orders that are on record, as of one moment and without waiting for anybody.
async fn look_up(
    store: &Store,
    kept: &mut KeptConnection,
    orders: BTreeSet<OrderSn>,
) -> Result<BTreeMap<OrderSn, KnownOrder>, StoreError> {
    let needs = Needs { orders, ..Needs::default() };
    let records = match kept.read(store).await {
        Ok(mut session) => session.records(&needs).await,
        Err(error) => Err(error),
    };
    if records.is_err() {
        kept.give_back();
    }
    Ok(records?.orders)
}

fn hash(key: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    hasher.finish()
}

/// One lane: a task that works off its queue.
#[derive(Clone)]
struct Lane {
    store: Store,
    queue: Arc<Queue>,
    sold_out: Arc<SoldOut>,
    reserved: Arc<Reserved>,
    settings: Settings<InventoryHot>,
}

impl Lane {
    async fn run(self) {
        let mut kept = KeptConnection::default();
        loop {
            if timeout(IDLE, self.queue.arrival()).await.is_err() {
                kept.give_back();
                self.queue.arrival().await;
            }
            let caps = caps(&self.settings.load().lanes);
            if !self.queue.resolved(&caps) {
                batch::resolve(&self, &mut kept, &caps).await;
            }
            let needs = self.queue.needs_of_next_batch(&caps);
            let started = Instant::now();
            // Once begun it is finished, even when the process is told to stop.
            let lane = self.clone();
            let mut connection = std::mem::take(&mut kept);
            let done;
            (done, kept) = detached(async move {
                let done = batch::run(&lane, &mut connection, needs, &caps).await;
                connection.share(&lane.store);
                (done, connection)
            })
            .await;
            self.queue.note_pace(done, started.elapsed());
        }
    }
}

/// How much goes into one batch.
#[derive(Clone, Copy, Debug)]
struct Caps {
    jobs: usize,
    lines: usize,
    goods: usize,
}

/// The most lines of a batch: a transaction of some hundred kilobytes, which replicas take in one gulp.
const LINES_MAX: usize = 4096;
/// The most goods of a batch: as many rows are held while it commits, and others wait for them.
const GOODS_MAX: usize = 256;

fn caps(settings: &LaneSettings) -> Caps {
    let jobs = usize::try_from(settings.batch_orders).unwrap_or(1);
    Caps { jobs, lines: LINES_MAX, goods: GOODS_MAX }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[tokio::test]
    async fn a_lane_that_falls_over_is_set_up_again_and_its_callers_learn_that_their_act_is_in_doubt()
     {
        let (answer, answered) = oneshot::channel::<Result<Verdict<Receipt>, Setback>>();
        let (again, is_up_again) = oneshot::channel();
        let (batch, again) =
            (std::sync::Mutex::new(Some(answer)), std::sync::Mutex::new(Some(again)));
        let (batch, again) = (Arc::new(batch), Arc::new(again));
        let begun = AtomicUsize::new(0);
        let lane = supervise("a lane", || {
            let is_first = begun.fetch_add(1, Ordering::Relaxed) == 0;
            let (batch, again) = (Arc::clone(&batch), Arc::clone(&again));
            async move {
                let taken = batch.lock().unwrap().take();
                assert!(!is_first, "this batch is poison: {}", taken.is_some());
                again.lock().unwrap().take().unwrap().send(()).unwrap();
                std::future::pending().await
            }
        });
        tokio::select! {
            () = lane => unreachable!("it is kept running for ever"),
            up = is_up_again => up.unwrap(),
        }
        let setback = answered.await.unwrap_or(Err(Setback::LaneLost)).unwrap_err();
        assert!(setback.outcome_is_unknown());
    }
}
