//! Goods of which nothing was to be had a moment ago. An order for them is refused without waiting for their rows: in a
//! flash sale almost every order comes too late, and those must not hold up the others.
//!
//! Nobody is refused before the order's number was looked up, because it may be the one that took the last pieces; the
//! numbers of all who wait are looked up together. What is remembered ends when this process writes to the goods,
//! before a hold on them dies, and in any case after [`REMEMBERED_FOR`].

use super::{IDLE, look_up};
use crate::decide::{Round, Shortage};
use crate::order::{GoodsId, Order, OrderSn};
use crate::record::Milliseconds;
use crate::store::{KeptConnection, Session, Store, StoreError, Writes};
use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout};

/// For how long it is remembered that nothing was to be had: so late, at most, what another replica brings back is sold
/// here. Long against a batch, of which each finds it anew.
const REMEMBERED_FOR: Duration = Duration::from_millis(100);

/// The most goods that are remembered: far more than are sold out anew within [`REMEMBERED_FOR`].
const GOODS_MAX: usize = 4096;

/// The most orders whose numbers wait to be looked up, about what a pod has in flight by default. One more asks the
/// rows.
const WAITING_MAX: usize = 4096;

/// The most numbers of one look-up: the length of one SQL list.
const LOOKED_UP_MAX: usize = 512;

/// What one process remembers, and who looks order numbers up for it.
pub(super) struct SoldOut {
    writes: Writes,
    memory: Mutex<Memory>,
    questions: mpsc::Sender<Question>,
}

/// Whether an order is not on record.
struct Question {
    sn: OrderSn,
    is_unknown: oneshot::Sender<bool>,
}

/// What a batch found, to be remembered when the batch is done.
pub(super) struct Found {
    zeros: Vec<(GoodsId, Zero)>,
}

impl SoldOut {
    /// Nothing is remembered yet. Must be called inside a tokio runtime, which looks numbers up until this is dropped.
    pub(super) fn new(store: &Store) -> Self {
        let (questions, asked) = mpsc::channel(WAITING_MAX);
        tokio::spawn(answer(store.clone(), asked));
        Self { writes: store.writes().clone(), memory: Mutex::default(), questions }
    }

    /// Why an order that is not on record is refused, if that is remembered of all of its goods. If not, or if its
    /// number is on record or cannot be looked up, the rows must be asked.
    pub(super) async fn shortage(&self, order: &Order) -> Option<Shortage> {
        if !self.remembers(order) {
            return None;
        }
        let (is_unknown, answer) = oneshot::channel();
        let question = Question { sn: order.sn().clone(), is_unknown };
        self.questions.try_send(question).ok()?;
        let is_unknown = answer.await.unwrap_or(false);
        // It may have ended while the number was looked up.
        (is_unknown && self.remembers(order)).then(|| Shortage::of_all(order))
    }

    fn remembers(&self, order: &Order) -> bool {
        let (memory, now) = (self.memory(), Instant::now());
        order.goods().all(|goods| memory.holds(goods, self.writes.count(goods), now))
    }

    /// What may be remembered of a batch, which at `seen` or later found that nothing was to be had of these goods. To
    /// be asked after all decisions, while the rows are held.
    pub(super) async fn found(
        &self,
        session: &mut Session<'_>,
        round: &Round,
        mut goods: BTreeSet<GoodsId>,
        seen: Instant,
    ) -> Result<Found, StoreError> {
        // What the batch changes is for the next one to find.
        goods.retain(|goods| round.unchanged(*goods).is_some());
        let is_held =
            |goods: &&GoodsId| round.unchanged(**goods).is_some_and(|stock| stock.reserved > 0);
        let held: BTreeSet<GoodsId> = goods.iter().filter(is_held).copied().collect();
        if !held.is_empty() {
            let end = round.held().now + REMEMBERED_FOR.as_millis() as Milliseconds;
            let dying = session.expired(&held, end).await?;
            let dies = |goods: &GoodsId| dying.more || dying.holds.contains_key(goods);
            goods.retain(|goods| !(held.contains(goods) && dies(goods)));
        }
        let zero = |goods: GoodsId| {
            (goods, Zero { written: self.writes.count(goods), until: seen + REMEMBERED_FOR })
        };
        Ok(Found { zeros: goods.into_iter().map(zero).collect() })
    }

    /// Remembers it, now that the batch is done.
    pub(super) fn remember(&self, found: Found) {
        let mut memory = self.memory();
        let now = Instant::now();
        found.zeros.into_iter().for_each(|(goods, zero)| memory.keep(goods, zero, now));
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        // Nothing is left half done by a panic under this lock.
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Answers questions, all that wait by one look-up, until nobody is left who could ask.
async fn answer(store: Store, mut questions: mpsc::Receiver<Question>) {
    let (mut asked, mut kept) = (Vec::new(), KeptConnection::default());
    while arrival(&mut questions, &mut asked, &mut kept).await > 0 {
        asked.retain(|question| !question.is_unknown.is_closed());
        let orders = asked.iter().map(|question| question.sn.clone()).collect();
        let known = look_up(&store, &mut kept, orders).await;
        kept.share(&store);
        match known {
            Ok(known) => {
                for Question { sn, is_unknown } in asked.drain(..) {
                    // Who does not listen any more need not be told.
                    let _ = is_unknown.send(!known.contains_key(&sn));
                }
            }
            // Those who asked learn from the rows what is the matter.
            Err(error) => {
                tracing::debug!(%error, "order numbers could not be looked up");
                asked.clear();
            }
        }
    }
}

/// Waits for questions; answers how many came, which is none when nobody is left who could ask.
async fn arrival(
    questions: &mut mpsc::Receiver<Question>,
    asked: &mut Vec<Question>,
    kept: &mut KeptConnection,
) -> usize {
    if let Ok(count) = timeout(IDLE, questions.recv_many(asked, LOOKED_UP_MAX)).await {
        return count;
    }
    kept.give_back();
    questions.recv_many(asked, LOOKED_UP_MAX).await
}

/// Goods of which nothing is to be had.
#[derive(Debug, Default)]
struct Memory(HashMap<GoodsId, Zero>);

/// Under what nothing is to be had of a goods.
#[derive(Clone, Copy, Debug)]
struct Zero {
    /// The process has written to the goods so often, and not since.
    written: u64,
    /// Not later than this.
    until: Instant,
}

impl Memory {
    fn keep(&mut self, goods: GoodsId, zero: Zero, now: Instant) {
        if self.0.len() >= GOODS_MAX {
            self.0.retain(|_, zero| now < zero.until);
        }
        if self.0.len() < GOODS_MAX {
            self.0.insert(goods, zero);
        }
    }

    fn holds(&self, goods: GoodsId, written: u64, now: Instant) -> bool {
        self.0.get(&goods).is_some_and(|zero| zero.written == written && now < zero.until)
    }
}

#[cfg(test)]
mod tests;
