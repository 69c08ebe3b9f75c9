//! What this process writes to stocks, for those in it who keep stocks that they read.
//!
//! They learn of it in two ways. Who can ask before each use of what it keeps compares counts; who cannot is told.

use crate::decide::Changes;
use crate::order::GoodsId;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// How many counts there are. Goods that share one are taken for written when the other is, which only costs a look;
/// among as many it is rare.
const COUNTS: usize = 1024;

/// The most goods that the listener is told of in one go. It takes them every few milliseconds, unless the database
/// holds it up; what is left out then it must find by itself.
const TOLD_MAX: usize = 8192;

/// The writes of one process. Clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Writes(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    counts: [AtomicU64; COUNTS],
    is_heard: AtomicBool,
    written: Mutex<BTreeSet<GoodsId>>,
    news: Notify,
}

impl Default for Inner {
    fn default() -> Self {
        Self {
            counts: [const { AtomicU64::new(0) }; COUNTS],
            is_heard: AtomicBool::default(),
            written: Mutex::default(),
            news: Notify::default(),
        }
    }
}

impl Writes {
    /// A number that grows with every write to the stock of these goods. Read while their row is held, and found the
    /// same later, it says that this process has not written them since.
    pub(crate) fn count(&self, goods: GoodsId) -> u64 {
        self.0.count_of(goods).load(Ordering::SeqCst)
    }

    /// Counts the stocks that `changes` change. Before COMMIT, while their rows are held: whoever holds them next
    /// counts it in, and whoever held them before does not.
    pub(super) fn count_up(&self, changes: &Changes) {
        for goods in changes.goods() {
            self.0.count_of(goods).fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Tells the listener, if there is one, which stocks `changes` changed. After COMMIT.
    pub(super) fn tell(&self, changes: &Changes) {
        if !self.0.is_heard.load(Ordering::SeqCst) {
            return;
        }
        let mut written = self.0.written();
        let room = TOLD_MAX.saturating_sub(written.len());
        written.extend(changes.goods().take(room));
        drop(written);
        self.0.news.notify_one();
    }

    /// From now on there is a listener.
    pub(crate) fn begin_to_tell(&self) {
        self.0.is_heard.store(true, Ordering::SeqCst);
    }

    /// The listener listens no more.
    pub(crate) fn end_telling(&self) {
        self.0.is_heard.store(false, Ordering::SeqCst);
        self.0.written().clear();
    }

    /// Waits for writes, and takes the goods that were written since the listener last asked.
    pub(crate) async fn written(&self) -> BTreeSet<GoodsId> {
        loop {
            let written = std::mem::take(&mut *self.0.written());
            if !written.is_empty() {
                return written;
            }
            self.0.news.notified().await;
        }
    }
}

impl Inner {
    fn count_of(&self, goods: GoodsId) -> &AtomicU64 {
        // Ids are handed out one after the other, so neighbours do not share a count.
        &self.counts[usize::try_from(goods.get()).unwrap_or(0) % COUNTS]
    }

    fn written(&self) -> MutexGuard<'_, BTreeSet<GoodsId>> {
        // Nothing is left half done by a panic under this lock.
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Stock;
    use futures::FutureExt;

    fn goods(id: i64) -> GoodsId {
        GoodsId::new(id).unwrap()
    }

    /// The first is new, the others change.
    fn changes(ids: &[i64]) -> Changes {
        let before = Stock { on_hand: 5, reserved: 0, safety: 0, version: 1, update_time: 1 };
        let after = Stock { on_hand: 4, version: 2, ..before };
        let stocks = ids[1..].iter().map(|id| (goods(*id), before, after)).collect();
        Changes { new_stocks: vec![(goods(ids[0]), before)], stocks, ..Changes::default() }
    }

    #[test]
    fn every_stock_that_is_new_or_changes_is_counted_and_no_other() {
        let writes = Writes::default();
        writes.count_up(&changes(&[1, 2]));
        writes.clone().count_up(&changes(&[3, 2]));
        assert_eq!([1, 2, 3, 4].map(|id| writes.count(goods(id))), [1, 2, 1, 0]);
        // Ids far apart have a count each as well, whatever they share it with.
        writes.count_up(&changes(&[i64::MAX]));
        assert_eq!(writes.count(goods(i64::MAX)), 1);
    }

    #[tokio::test]
    async fn the_listener_is_told_of_each_goods_once_however_often_it_was_written() {
        let writes = Writes::default();
        writes.begin_to_tell();
        writes.tell(&changes(&[1, 2]));
        writes.tell(&changes(&[3, 2]));
        assert_eq!(writes.written().await, [1, 2, 3].map(goods).into());
        assert_eq!(writes.written().now_or_never(), None, "told twice");
        let (told, ()) = tokio::join!(writes.written(), async { writes.tell(&changes(&[7])) });
        assert_eq!(told, [goods(7)].into());
    }

    #[tokio::test]
    async fn nothing_is_kept_while_nobody_listens() {
        let writes = Writes::default();
        writes.tell(&changes(&[1]));
        writes.begin_to_tell();
        assert_eq!(writes.written().now_or_never(), None);
        writes.tell(&changes(&[1]));
        writes.end_telling();
        writes.begin_to_tell();
        assert_eq!(writes.written().now_or_never(), None);
    }

    #[tokio::test]
    async fn a_listener_that_does_not_come_is_told_of_so_many_goods_and_no_more() {
        let writes = Writes::default();
        writes.begin_to_tell();
        let many: Vec<i64> = (1..=i64::try_from(TOLD_MAX).unwrap() + 5).collect();
        many.chunks(100).for_each(|part| writes.tell(&changes(part)));
        assert_eq!(writes.written().await.len(), TOLD_MAX);
    }
}
