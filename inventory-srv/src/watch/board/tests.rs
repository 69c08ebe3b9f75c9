//! What is shown, to whom, and in which order.

use super::*;
use futures::FutureExt;

const ROOM: Room = Room { watchers: 3, goods: 5 };

fn ids(ids: &[i64]) -> Vec<GoodsId> {
    ids.iter().map(|id| GoodsId::new(*id).unwrap()).collect()
}

fn stock(version: i64, reserved: i64) -> Stock {
    Stock { on_hand: 10 + version, reserved, safety: 0, version, update_time: version }
}

/// A board, and one who looks at goods.
#[derive(Default)]
struct Play {
    board: Board,
}

impl Play {
    fn join(&mut self, goods: &[i64]) -> (WatcherId, Arc<Notify>) {
        self.board.join(ids(goods), ROOM).expect("there is room")
    }

    /// One goods is seen with this stock at this moment.
    fn see(&mut self, goods: i64, now: Milliseconds, stock: Option<Stock>) {
        let goods = ids(&[goods]);
        let stocks = stock.map(|stock| (goods[0], stock)).into_iter().collect();
        self.board.see(&goods, now, &stocks);
    }

    fn changes(&mut self, id: WatcherId) -> Vec<(i64, Stock)> {
        let changes = self.board.changes(id).expect("it is not lost");
        changes.into_iter().map(|(goods, stock)| (goods.get(), stock)).collect()
    }
}

#[test]
fn a_watcher_is_shown_all_that_it_watches_in_its_order_and_then_only_what_changes() {
    let mut play = Play::default();
    let (id, _) = play.join(&[3, 1, 2]);
    play.see(1, 10, Some(stock(1, 0)));
    play.see(3, 10, Some(stock(4, 0)));
    play.see(2, 10, None);
    let whole = play.board.whole(id);
    let expected = [Some(stock(4, 0)), Some(stock(1, 0)), None];
    assert_eq!(whole, ids(&[3, 1, 2]).into_iter().zip(expected).collect::<Vec<_>>());
    assert_eq!(play.changes(id), []);
    play.see(3, 11, Some(stock(4, 0)));
    assert_eq!(play.changes(id), [], "nothing changed");
    play.see(3, 12, Some(stock(5, 0)));
    play.see(2, 12, Some(stock(1, 0)));
    assert_eq!(play.changes(id), [(2, stock(1, 0)), (3, stock(5, 0))]);
    assert_eq!(play.changes(id), [], "shown twice");
}

#[test]
fn a_watcher_that_is_slow_is_shown_the_newest_stock_once() {
    let mut play = Play::default();
    let (slow, _) = play.join(&[1, 2]);
    let (quick, _) = play.join(&[1]);
    for version in 1..=100 {
        play.see(1, 10, Some(stock(version, 0)));
        assert_eq!(play.changes(quick), [(1, stock(version, 0))]);
    }
    assert_eq!(play.changes(slow), [(1, stock(100, 0))]);
}

#[test]
fn nothing_older_is_shown_after_something_newer() {
    let mut play = Play::default();
    let (id, _) = play.join(&[1]);
    play.see(1, 10, Some(stock(5, 2)));
    assert_eq!(play.changes(id), [(1, stock(5, 2))]);
    // A look that began earlier ends later.
    play.see(1, 11, Some(stock(4, 0)));
    play.see(1, 9, Some(stock(5, 3)));
    play.see(1, 12, None);
    assert_eq!(play.changes(id), []);
    assert_eq!(play.board.whole(id)[0].1, Some(stock(5, 2)));
    // A hold died without a write.
    play.see(1, 11, Some(stock(5, 1)));
    assert_eq!(play.changes(id), [(1, stock(5, 1))]);
    // A higher version is newer whatever the clock says, which may go back.
    play.see(1, 3, Some(stock(6, 0)));
    assert_eq!(play.changes(id), [(1, stock(6, 0))]);
}

#[test]
fn whoever_watches_a_goods_is_rung_for_when_it_changes_and_nobody_else() {
    let mut play = Play::default();
    let (_, first) = play.join(&[1]);
    let (_, both) = play.join(&[1, 2]);
    play.see(2, 10, Some(stock(1, 0)));
    play.see(9, 10, Some(stock(1, 0)));
    assert_eq!(first.notified().now_or_never(), None);
    assert_eq!(both.notified().now_or_never(), Some(()));
    play.see(2, 11, Some(stock(1, 0)));
    assert_eq!(both.notified().now_or_never(), None, "nothing changed");
    play.see(1, 11, Some(stock(1, 0)));
    assert_eq!(first.notified().now_or_never(), Some(()));
    assert_eq!(both.notified().now_or_never(), Some(()));
}

#[test]
fn there_is_room_for_so_many_watchers_and_goods_and_whoever_leaves_makes_some() {
    let mut play = Play::default();
    let (first, _) = play.join(&[1, 2, 3]);
    assert!(play.board.join(ids(&[1, 4, 5, 6]), ROOM).is_none(), "six goods");
    let (second, _) = play.join(&[3, 4, 5]);
    play.join(&[1]);
    assert!(play.board.join(ids(&[1]), ROOM).is_none(), "four watchers");
    assert_eq!(play.board.goods(), ids(&[1, 2, 3, 4, 5]));
    assert_eq!(play.board.watched_among(ids(&[0x99, 5, 2]).into_iter().collect()), ids(&[2, 5]));
    play.board.leave(first);
    assert_eq!(play.board.goods(), ids(&[1, 3, 4, 5]));
    let (third, _) = play.join(&[3, 2]);
    play.board.leave(second);
    play.board.leave(third);
    play.board.leave(2);
    assert!(play.board.is_empty() && play.board.goods().is_empty());
}

#[test]
fn what_was_seen_is_forgotten_with_the_last_who_watches_it() {
    let mut play = Play::default();
    let (first, _) = play.join(&[1]);
    play.see(1, 10, Some(stock(5, 0)));
    let (second, _) = play.join(&[1]);
    assert_eq!(play.board.whole(second)[0].1, Some(stock(5, 0)));
    play.board.leave(first);
    play.board.leave(second);
    // As after a restore of the database: nobody was shown anything newer.
    let (third, _) = play.join(&[1]);
    play.see(1, 11, Some(stock(2, 0)));
    assert_eq!(play.board.whole(third)[0].1, Some(stock(2, 0)));
}

#[test]
fn all_who_watch_learn_that_nothing_can_be_seen_and_who_comes_later_is_shown_again() {
    let mut play = Play::default();
    let (first, news) = play.join(&[1]);
    play.see(1, 10, Some(stock(1, 0)));
    play.board.whole(first);
    let _ = news.notified().now_or_never();
    play.board.lose_all();
    assert_eq!(news.notified().now_or_never(), Some(()));
    assert_eq!(play.board.changes(first), Err(Lost));
    let (later, _) = play.join(&[1]);
    play.see(1, 11, Some(stock(2, 0)));
    assert_eq!(play.changes(later), [(1, stock(2, 0))]);
    assert_eq!(play.board.changes(first), Err(Lost), "it must call again");
}
