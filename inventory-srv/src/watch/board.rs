//! Who watches which goods, what was last seen of them, and what each watcher has still to be shown. Pure: it is told
//! what was read, and asked what to show.

use crate::order::GoodsId;
use crate::record::{Milliseconds, Stock};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tokio::sync::Notify;

/// Tells watchers apart.
pub(super) type WatcherId = u64;

/// The watchers of one process, and the goods that they watch.
#[derive(Debug, Default)]
pub(super) struct Board {
    watchers: BTreeMap<WatcherId, Watcher>,
    goods: BTreeMap<GoodsId, Watched>,
    next: WatcherId,
}

#[derive(Debug)]
struct Watcher {
    goods: Vec<GoodsId>,
    /// What was seen of these is newer than what it was shown. A goods that changes again before it looks stands here
    /// once, so that a watcher that is slow finds the newest stock and no queue.
    changed: BTreeSet<GoodsId>,
    is_lost: bool,
    news: Arc<Notify>,
}

#[derive(Debug, Default)]
struct Watched {
    watchers: BTreeSet<WatcherId>,
    seen: Option<Seen>,
}

/// A look at a stock.
#[derive(Clone, Copy, Debug)]
struct Seen {
    stock: Option<Stock>,
    now: Milliseconds,
}

/// How many watchers there may be, and how many goods they may watch in all.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    pub(super) watchers: usize,
    pub(super) goods: usize,
}

/// What was seen may be wrong by now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lost;

impl Seen {
    /// Grows from look to look. Goods that are not stocked are as old as can be; of two looks at one version, the later
    /// one knows better which holds are dead.
    fn age(&self) -> (i64, Milliseconds) {
        (self.stock.map_or(0, |stock| stock.version), self.now)
    }
}

impl Board {
    /// One more watcher of these goods, each of which stands once, and what rings when it has to be shown something;
    /// none if there is no room for it.
    pub(super) fn join(
        &mut self,
        goods: Vec<GoodsId>,
        room: Room,
    ) -> Option<(WatcherId, Arc<Notify>)> {
        let more = goods.iter().filter(|goods| !self.goods.contains_key(goods)).count();
        if self.watchers.len() >= room.watchers || self.goods.len() + more > room.goods {
            return None;
        }
        let id = self.next;
        self.next += 1;
        for goods in &goods {
            self.goods.entry(*goods).or_default().watchers.insert(id);
        }
        let news = Arc::new(Notify::new());
        let changed = BTreeSet::new();
        self.watchers
            .insert(id, Watcher { goods, changed, is_lost: false, news: Arc::clone(&news) });
        Some((id, news))
    }

    /// A watcher goes, and with the last watcher of a goods what was seen of it.
    pub(super) fn leave(&mut self, id: WatcherId) {
        for goods in self.watchers.remove(&id).into_iter().flat_map(|watcher| watcher.goods) {
            if let Some(watched) = self.goods.get_mut(&goods) {
                watched.watchers.remove(&id);
                if watched.watchers.is_empty() {
                    self.goods.remove(&goods);
                }
            }
        }
    }

    /// Nobody watches.
    pub(super) fn is_empty(&self) -> bool {
        self.watchers.is_empty()
    }

    /// All goods that somebody watches.
    pub(super) fn goods(&self) -> Vec<GoodsId> {
        self.goods.keys().copied().collect()
    }

    /// Those of these goods that somebody watches.
    pub(super) fn watched_among(&self, goods: BTreeSet<GoodsId>) -> Vec<GoodsId> {
        goods.into_iter().filter(|goods| self.goods.contains_key(goods)).collect()
    }

    /// Of these goods `stocks` were read at the moment `now`; those that are not there are not stocked. What is older
    /// than what was seen already is passed over.
    pub(super) fn see(
        &mut self,
        goods: &[GoodsId],
        now: Milliseconds,
        stocks: &BTreeMap<GoodsId, Stock>,
    ) {
        for goods in goods {
            let Some(watched) = self.goods.get_mut(goods) else { continue };
            let seen = Seen { stock: stocks.get(goods).copied(), now };
            let before = watched.seen;
            if before.is_some_and(|before| before.age() >= seen.age()) {
                continue;
            }
            watched.seen = Some(seen);
            if before.map(|before| before.stock) == Some(seen.stock) {
                continue;
            }
            for id in &watched.watchers {
                let watcher = self.watchers.get_mut(id).expect("who watches goods is a watcher");
                watcher.changed.insert(*goods);
                watcher.news.notify_one();
            }
        }
    }

    /// All that a watcher watches as it was last seen, in the order asked for, to be shown now. None is not stocked.
    pub(super) fn whole(&mut self, id: WatcherId) -> Vec<(GoodsId, Option<Stock>)> {
        let watcher = self.watchers.get_mut(&id).expect("who has not left is a watcher");
        watcher.changed.clear();
        let stock = |goods: &GoodsId| self.goods[goods].seen.and_then(|seen| seen.stock);
        watcher.goods.iter().map(|goods| (*goods, stock(goods))).collect()
    }

    /// What a watcher has not been shown yet, to be shown now.
    pub(super) fn changes(&mut self, id: WatcherId) -> Result<Vec<(GoodsId, Stock)>, Lost> {
        let watcher = self.watchers.get_mut(&id).expect("who has not left is a watcher");
        if watcher.is_lost {
            return Err(Lost);
        }
        let changed = std::mem::take(&mut watcher.changed).into_iter();
        let stock = |goods| Some((goods, self.goods[&goods].seen?.stock?));
        Ok(changed.filter_map(stock).collect())
    }

    /// Nobody can be shown any more what is so.
    pub(super) fn lose_all(&mut self) {
        for watcher in self.watchers.values_mut() {
            watcher.is_lost = true;
            watcher.news.notify_one();
        }
    }
}

#[cfg(test)]
mod tests;
