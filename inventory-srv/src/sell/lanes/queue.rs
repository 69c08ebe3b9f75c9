//! What waits for a lane, in the order in which it came.

use super::Caps;
use super::pace::Pace;
use crate::act::{Needs, OrderAct, StockAct};
use crate::decide::{Receipt, Setting};
use crate::order::{GoodsId, OrderSn};
use crate::patience::Setback;
use crate::record::KnownOrder;
use crate::sell::Verdict;
use srv_config::LaneSettings;
use srv_runtime::Deadline;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

/// For how long every number is looked up after a repeat was met. A batch that meets one is done twice; with repeats
/// coming all the time that is one of some fifty batches. And what made one client repeat makes others do so, too.
const REPEATS_FOR: Duration = Duration::from_secs(1);

/// What a lane tells a caller.
type Answer<T> = oneshot::Sender<Result<Verdict<T>, Setback>>;

/// An act and who waits for its answer.
pub(super) enum Work {
    Order(Arc<OrderAct>, Answer<Receipt>),
    Stock(Arc<StockAct>, Answer<Setting>),
}

impl Work {
    fn sn(&self) -> Option<&OrderSn> {
        match self {
            Self::Order(act, _) => Some(act.sn()),
            Self::Stock(..) => None,
        }
    }
}

/// Something to be done by a lane.
pub(super) struct Job {
    pub(super) work: Work,
    pub(super) needs: Needs,
    /// The goods of an order on record are not known yet.
    is_unresolved: bool,
    /// An order to sell whose number was not looked up: almost every one is new.
    is_presumed_new: bool,
    until: Deadline,
}

impl Job {
    pub(super) fn new(work: Work, until: Deadline) -> Self {
        let (needs, is_unresolved, is_presumed_new) = match &work {
            Work::Order(act, _) => match &**act {
                OrderAct::Sell(order) => {
                    (Needs { goods: order.goods().collect(), ..Needs::default() }, false, true)
                }
                act => (act.needs(), true, false),
            },
            Work::Stock(act, _) => (act.needs(), false, false),
        };
        Self { work, needs, is_unresolved, is_presumed_new, until }
    }

    /// Whether it is an order to sell whose number was not looked up.
    pub(super) fn is_presumed_new(&self) -> bool {
        self.is_presumed_new
    }

    /// Its number is to be looked up before it is written.
    fn look_up(&mut self) {
        if std::mem::take(&mut self.is_presumed_new) {
            self.needs.orders.extend(self.work.sn().cloned());
        }
    }

    /// Whether it is about an order on record of which is not known what it took.
    pub(super) fn is_unresolved(&self) -> bool {
        self.is_unresolved
    }

    /// It turned out what the order on record took.
    pub(super) fn resolve(&mut self, goods: impl IntoIterator<Item = GoodsId>) {
        self.needs.goods.extend(goods);
        self.is_unresolved = false;
    }

    /// The number of the order that it is about, if it is about one.
    pub(super) fn sn(&self) -> Option<&OrderSn> {
        self.work.sn()
    }

    pub(super) fn fail(self, setback: Setback) {
        // Who does not listen any more need not be told.
        match self.work {
            Work::Order(_, answer) => drop(answer.send(Err(setback))),
            Work::Stock(_, answer) => drop(answer.send(Err(setback))),
        }
    }

    fn is_abandoned(&self) -> bool {
        match &self.work {
            Work::Order(_, answer) => answer.is_closed(),
            Work::Stock(_, answer) => answer.is_closed(),
        }
    }

    /// The rows of all its goods are held.
    fn fits(&self, held: &Needs) -> bool {
        !self.is_unresolved && self.needs.goods.is_subset(&held.goods)
    }

    fn lines(&self) -> usize {
        self.needs.goods.len().max(1)
    }
}

/// The queue of one lane.
#[derive(Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    arrived: Notify,
}

#[derive(Default)]
struct Waiting {
    jobs: VecDeque<Job>,
    pace: Pace,
    /// Until then every number is looked up.
    looks_up_until: Option<Instant>,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Nothing is left half done by a panic under this lock.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues a job up, unless there are too many before it or its turn would come too late.
    pub(super) fn push(&self, mut job: Job, settings: &LaneSettings) -> Result<(), Setback> {
        let mut waiting = self.lock();
        let queued = waiting.jobs.len();
        let cap = |number: i32| usize::try_from(number).unwrap_or(1);
        let wait = waiting.pace.wait_behind(queued, cap(settings.batch_orders));
        if queued >= cap(settings.queued_orders) || (queued > 0 && wait > job.until.remaining()) {
            return Err(Setback::Overloaded { retry_after: wait });
        }
        if waiting.looks_up_until.is_some_and(|until| Instant::now() < until) {
            job.look_up();
        }
        waiting.jobs.push_back(job);
        drop(waiting);
        self.arrived.notify_one();
        Ok(())
    }

    /// Waits until something is queued.
    pub(super) async fn arrival(&self) {
        while self.lock().jobs.is_empty() {
            self.arrived.notified().await;
        }
    }

    /// A batch of so many jobs took so long.
    pub(super) fn note_pace(&self, jobs: usize, took: Duration) {
        if jobs > 0 {
            self.lock().pace.note(jobs, took);
        }
    }

    /// Whether the goods of all jobs that may come into the next batch are known.
    pub(super) fn resolved(&self, caps: &Caps) -> bool {
        !self.lock().jobs.iter().take(caps.jobs).any(|job| job.is_unresolved)
    }

    /// The orders on record whose goods must be known before the next batch.
    pub(super) fn unresolved(&self, caps: &Caps) -> BTreeSet<OrderSn> {
        let waiting = self.lock();
        let next = waiting.jobs.iter().take(caps.jobs).filter(|job| job.is_unresolved);
        next.filter_map(Job::sn).cloned().collect()
    }

    /// Says what the orders on record took.
    pub(super) fn resolve(&self, asked: &BTreeSet<OrderSn>, known: &BTreeMap<OrderSn, KnownOrder>) {
        for job in self.lock().jobs.iter_mut().filter(|job| job.is_unresolved) {
            if let Some(sn) = job.sn().filter(|sn| asked.contains(*sn)).cloned() {
                job.resolve(known.get(&sn).into_iter().flat_map(KnownOrder::goods));
            }
        }
    }

    /// Takes the unresolved orders out, because they cannot be looked up.
    pub(super) fn take_unresolved(&self, asked: &BTreeSet<OrderSn>) -> Vec<Job> {
        let mut waiting = self.lock();
        let is_asked =
            |job: &Job| job.is_unresolved && job.sn().is_some_and(|sn| asked.contains(sn));
        let (taken, rest) = waiting.jobs.drain(..).partition(is_asked);
        waiting.jobs = rest;
        Vec::from(taken as VecDeque<Job>)
    }

    /// What the next batch needs: that of the jobs at the head, as many as one batch may hold the goods of.
    pub(super) fn needs_of_next_batch(&self, caps: &Caps) -> Needs {
        let mut needs = Needs::default();
        for job in self.lock().jobs.iter().take(caps.jobs).filter(|job| !job.is_unresolved) {
            let more = job.needs.goods.difference(&needs.goods).count();
            if needs.goods.len() + more > caps.goods && !needs.goods.is_empty() {
                break;
            }
            needs.need(&job.needs);
        }
        needs
    }

    /// Takes the jobs, in their order, whose goods are all held; those that must wait head the next batch. A job whose
    /// caller is gone or whose deadline has passed is not begun; nor, while more wait than a batch takes, is one that
    /// would be answered too late: it would only have the place of one that is in time.
    ///
    /// The first list are those about which everything was looked up. Those that came too late for that wait for the
    /// next batch, unless they are the most, as where the rows were waited for: then they are the second list, because
    /// one more look is less than one more batch.
    pub(super) fn take_fitting(&self, held: &Needs, caps: &Caps) -> (Vec<Job>, Vec<Job>) {
        let mut waiting = self.lock();
        let mut too_late = Instant::now();
        if waiting.jobs.len() > caps.jobs {
            too_late += waiting.pace.batch();
        }
        let (mut taken, mut left) = (Vec::new(), VecDeque::new());
        let (mut late, mut lines) = (0, 0);
        while taken.len() + late < caps.jobs
            && let Some(job) = waiting.jobs.pop_front()
        {
            if job.is_abandoned() {
                continue;
            }
            if job.until.0 <= too_late {
                job.fail(Setback::DeadlinePassed);
                continue;
            }
            let fits = job.fits(held) && lines + job.lines() <= caps.lines;
            lines += if fits { job.lines() } else { 0 };
            if fits && held.looks_up(&job.needs) {
                taken.push(job);
            } else {
                late += usize::from(fits);
                left.push_back((job, fits));
            }
        }
        let takes_late = late > taken.len();
        let mut more = VecDeque::new();
        while let Some((job, fits)) = left.pop_back() {
            if takes_late && fits {
                more.push_front(job);
            } else {
                waiting.jobs.push_front(job);
            }
        }
        (taken, more.into())
    }

    /// Puts jobs back of which at least one, it seems, was wrongly presumed new. From now on, and for [`REPEATS_FOR`],
    /// every number is looked up before it is written.
    pub(super) fn put_back_to_look_up(&self, jobs: Vec<Job>) {
        self.put_back(jobs);
        let mut waiting = self.lock();
        waiting.looks_up_until = Some(Instant::now() + REPEATS_FOR);
        waiting.jobs.iter_mut().for_each(Job::look_up);
    }

    /// Puts jobs back to the head, in their order.
    pub(super) fn put_back(&self, jobs: Vec<Job>) {
        if jobs.is_empty() {
            return;
        }
        let mut waiting = self.lock();
        for job in jobs.into_iter().rev() {
            waiting.jobs.push_front(job);
        }
        drop(waiting);
        self.arrived.notify_one();
    }
}

#[cfg(test)]
mod tests;
