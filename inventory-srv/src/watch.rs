//! Shows stocks to those who watch them: first as they are, then every change.
//!
//! One task, the lookout, reads for all watchers of the process. It looks at goods that this process wrote as soon as
//! they are committed, and at all watched goods a few times a second, because other replicas write, too, and holds die
//! without a write. What it sees goes onto the board, and each watcher takes from there what it has not been shown yet,
//! when it has time. While nobody watches there is no lookout.

mod board;
mod sight;

use crate::Inventory;
use crate::error::Error;
use crate::order::GoodsId;
use crate::read::GOODS_MAX;
use crate::record::Stock;
use crate::store::{Store, StoreError};
use board::{Board, Lost, Room, WatcherId};
use sight::Sight;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};

/// How often all watched goods are looked at. What other replicas change and what expires is to be shown within 500 ms;
/// the rest of that is for the look itself and the way.
const POLL_INTERVAL: Duration = Duration::from_millis(200);

/// How long the lookout rests between two looks, so that goods that everybody wants are read, and shown, at most twenty
/// times a second however often they are sold.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// How long one look may take; one that takes longer has failed.
const LOOK_BOUND: Duration = Duration::from_secs(2);

/// What part of the calls that a pod may have in flight may be watches, which stay: the others must have room.
const WATCHERS_SHARE: usize = 8;

/// The most goods that are watched: sixteen statements a look, some ten milliseconds each time.
const WATCHED_MAX: usize = 16 * GOODS_MAX;

/// All watchers of one process. Clones share them.
#[derive(Clone)]
pub(crate) struct Watchers(Arc<Inner>);

struct Inner {
    store: Store,
    shared: Mutex<Shared>,
}

#[derive(Default)]
struct Shared {
    board: Board,
    has_lookout: bool,
}

/// One watcher. It leaves when it is dropped.
pub struct Watch {
    watchers: Watchers,
    id: WatcherId,
    news: Arc<Notify>,
}

impl Inventory {
    /// Watches these goods, at most [`GOODS_MAX`], each of which stands once. Answers all of them as they are now, in
    /// their order, where none is not stocked; the watch then tells what changes. There is room for an eighth of the
    /// calls that may be in flight, and for 8,000 goods in all. Must be called inside a tokio runtime.
    pub async fn watch(
        &self,
        goods: Vec<GoodsId>,
    ) -> Result<(Vec<(GoodsId, Option<Stock>)>, Watch), Error> {
        let calls = usize::try_from(self.settings.load().limits.calls_in_flight).unwrap_or(0);
        let room = Room { watchers: (calls / WATCHERS_SHARE).max(1), goods: WATCHED_MAX };
        let watch = self.watchers.join(goods.clone(), room).ok_or(Error::TooManyWatches)?;
        // Only now, so that nothing changes unseen between this look and the first change that is told.
        self.watchers.look(&goods).await.map_err(Error::from_reading)?;
        Ok((self.watchers.shared().board.whole(watch.id), watch))
    }
}

impl Watch {
    /// Waits for changes since it was last asked, and answers the newest stock of the goods that changed, by goods id.
    pub async fn changes(&mut self) -> Result<Vec<(GoodsId, Stock)>, Error> {
        loop {
            let changes = self.watchers.shared().board.changes(self.id);
            let changes = changes.map_err(|Lost| Error::WatchLost)?;
            if !changes.is_empty() {
                return Ok(changes);
            }
            self.news.notified().await;
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.watchers.shared().board.leave(self.id);
    }
}

impl Watchers {
    /// Nobody watches the stock in this store yet.
    pub(crate) fn new(store: &Store) -> Self {
        Self(Arc::new(Inner { store: store.clone(), shared: Mutex::default() }))
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        // Nothing is left half done by a panic under this lock.
        self.0.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn join(&self, goods: Vec<GoodsId>, room: Room) -> Option<Watch> {
        let mut shared = self.shared();
        let (id, news) = shared.board.join(goods, room)?;
        if !shared.has_lookout {
            shared.has_lookout = true;
            self.0.store.writes().begin_to_tell();
            tokio::spawn(self.clone().keep_lookout());
        }
        Some(Watch { watchers: self.clone(), id, news })
    }

    /// Reads these goods and puts them onto the board.
    async fn look(&self, goods: &[GoodsId]) -> Result<(), StoreError> {
        let mut reader = self.0.store.read().await?;
        for part in goods.chunks(GOODS_MAX) {
            let (now, stocks) = reader.on().stocks(part).await?;
            self.shared().board.see(part, now, &stocks);
        }
        Ok(())
    }

    /// Keeps a lookout until nobody watches. One that falls over is replaced.
    async fn keep_lookout(self) {
        loop {
            let mut lookout = JoinSet::new();
            lookout.spawn(self.clone().look_out());
            let Some(Err(panicked)) = lookout.join_next().await else { return };
            tracing::error!(%panicked, "the lookout for watched stocks fell over; there is another");
            // One that falls over each time must not take a processor.
            sleep(LOOK_INTERVAL).await;
        }
    }

    async fn look_out(self) {
        let mut polled = Instant::now();
        let mut sight = Sight::default();
        while let Some((goods, is_whole)) = self.next(&mut polled).await {
            let begun = Instant::now();
            if !goods.is_empty() {
                let looked = timeout(LOOK_BOUND, self.look(&goods)).await;
                // That some goods can be read says nothing of the others.
                if is_whole && sight.is_lost_after(looked, Instant::now()) {
                    self.shared().board.lose_all();
                }
            }
            sleep_until(begun + LOOK_INTERVAL).await;
        }
    }

    /// Waits until it is time to look, and answers at which goods and whether these are all; none if nobody watches any
    /// more.
    async fn next(&self, polled: &mut Instant) -> Option<(Vec<GoodsId>, bool)> {
        let writes = self.0.store.writes();
        let written = tokio::select! {
            // First, or it would never come while somebody sells all the time.
            biased;
            () = sleep_until(*polled + POLL_INTERVAL) => None,
            written = writes.written() => Some(written),
        };
        let mut shared = self.shared();
        if shared.board.is_empty() {
            // Under the lock under which the next watcher joins, and finds that it needs another.
            shared.has_lookout = false;
            writes.end_telling();
            return None;
        }
        Some(match written {
            Some(written) => (shared.board.watched_among(written), false),
            None => {
                *polled = Instant::now();
                (shared.board.goods(), true)
            }
        })
    }
}
