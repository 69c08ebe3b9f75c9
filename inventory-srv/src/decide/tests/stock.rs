//! Setting and adjusting stock.

use super::acts::{adjust, cancel, confirm, hold, reback, sell, set, set_safety};
use super::books::{Books, START};
use super::{goods, short};
use crate::act::Expected;
use crate::decide::{Refusal, Round, Undone};
use crate::order::QUANTITY_MAX;
use crate::record::{Entry, Kind, Stock};

fn entry(kind: Kind, delta: i64, balance: i64, reason: Option<&str>) -> Entry {
    Entry { goods: goods(1), order: None, kind, delta, balance, reason: reason.map(str::to_owned) }
}

#[test]
fn goods_are_stocked_by_setting_them() {
    let mut books = Books::with(&[]);
    let setting = books.changed(set(1, 5));
    let stock = Stock { on_hand: 5, reserved: 0, safety: 0, version: 1, update_time: START };
    assert_eq!((setting.stock, setting.replayed), (stock, false));
    assert_eq!(books.stocks[&goods(1)], stock);
    assert_eq!(books.ledger, [entry(Kind::Set, 5, 5, None)]);
    assert_eq!(books.changed(set(2, 0)).stock.on_hand, 0);
    assert_eq!(books.refused(sell("o", &[(2, 1)])), short([(2, 1, 0)]));
}

#[test]
fn a_stock_is_set_up_and_down_and_to_what_it_is() {
    let mut books = Books::with(&[(1, 5)]);
    books.changed(set_safety(1, 2));
    books.pass(10);
    let setting = books.changed(set(1, 3));
    let stock = Stock { on_hand: 3, reserved: 0, safety: 2, version: 3, update_time: START + 10 };
    assert_eq!((setting.stock, setting.replayed), (stock, false));
    assert_eq!(books.changed(set(1, QUANTITY_MAX)).stock.version, 4);
    assert_eq!(books.changed(set(1, QUANTITY_MAX)).stock.version, 5);
    let rows = [
        entry(Kind::Set, -2, 3, None),
        entry(Kind::Set, QUANTITY_MAX - 3, QUANTITY_MAX, None),
        entry(Kind::Set, 0, QUANTITY_MAX, None),
    ];
    assert_eq!(books.ledger[1..], rows);
}

#[test]
fn a_stock_changes_only_if_as_many_pieces_are_on_hand_as_expected() {
    let mut books = Books::with(&[(1, 5)]);
    for act in [set(1, 9), adjust(1, 1, "found"), set_safety(1, 1)] {
        assert_eq!(books.refused(act.clone().if_on_hand(4)), Refusal::Stale(5));
        assert_eq!(books.refused(act.clone().if_on_hand(6)), Refusal::Stale(5));
    }
    books.changed(set_safety(1, 1).if_on_hand(5));
    books.changed(adjust(1, 1, "found").if_on_hand(5));
    books.changed(set(1, 9).if_on_hand(6));
}

#[test]
fn a_stock_changes_only_if_its_version_is_as_expected() {
    let mut books = Books::with(&[(1, 5)]);
    books.changed(set(1, 5));
    for act in [set(1, 9), adjust(1, 1, "found"), set_safety(1, 1)] {
        for version in [-1, 0, 1, 3] {
            assert_eq!(books.refused(act.clone().if_version(version)), Refusal::Stale(5));
        }
    }
    books.changed(set_safety(1, 1).if_version(2));
    books.changed(adjust(1, 1, "found").if_version(3));
    books.changed(set(1, 9).if_version(4));
    let half = Expected { on_hand: Some(9), version: Some(4) };
    assert_eq!(books.refused(set(1, 1).expecting(half)), Refusal::Stale(9));
    let half = Expected { on_hand: Some(8), version: Some(5) };
    assert_eq!(books.refused(set(1, 1).expecting(half)), Refusal::Stale(9));
    let both = Expected { on_hand: Some(9), version: Some(5) };
    books.changed(set(1, 1).expecting(both));
}

#[test]
fn goods_that_are_not_stocked_have_no_pieces_and_no_version() {
    let mut books = Books::with(&[]);
    assert_eq!(books.refused(set(1, 5).if_on_hand(1)), Refusal::Stale(0));
    assert_eq!(books.refused(set(1, 5).if_version(1)), Refusal::Stale(0));
    assert_eq!(books.refused(set(1, 5).if_version(-1)), Refusal::Stale(0));
    assert_eq!(books.refused(adjust(1, 5, "found").if_on_hand(1)), Refusal::Stale(0));
    books.changed(set(1, 5).if_on_hand(0));
    assert_eq!(books.refused(set(2, 5).if_version(0)), Refusal::Stale(0));
}

#[test]
fn goods_that_are_not_stocked_are_not_adjusted() {
    let mut books = Books::with(&[]);
    assert_eq!(books.refused(adjust(1, 5, "found")), Refusal::GoodsNotStocked);
    assert_eq!(books.refused(adjust(1, -5, "lost")), Refusal::GoodsNotStocked);
    assert_eq!(books.refused(set_safety(1, 0)), Refusal::GoodsNotStocked);
}

#[test]
fn a_stock_is_not_set_below_what_is_reserved() {
    let mut books = Books::with(&[(1, 10)]);
    books.done(hold("o", &[(1, 4)], 1_000));
    assert_eq!(books.refused(set(1, 3)), Refusal::BelowReserved(4));
    assert_eq!(books.refused(set(1, 0)), Refusal::BelowReserved(4));
    assert_eq!(books.refused(set(1, 3).if_on_hand(9)), Refusal::Stale(10));
    let setting = books.changed(set(1, 4));
    assert_eq!((setting.stock.on_hand, setting.stock.reserved), (4, 4));
    books.done(confirm("o"));
    books.changed(set(1, 0));
}

#[test]
fn dead_holds_are_released_for_a_stock_that_is_set() {
    let mut books = Books::with(&[(1, 10)]);
    books.done(hold("dead", &[(1, 4)], 1_000));
    books.done(hold("live", &[(1, 3)], 1_001));
    books.pass(1_000);
    assert_eq!(books.refused(set(1, 2)), Refusal::BelowReserved(3));
    assert_eq!(books.reserved(1), 7);
    books.changed(set(1, 7));
    assert_eq!(books.reserved(1), 7, "nobody fell short");
    let setting = books.changed(set(1, 3));
    assert_eq!((setting.stock.on_hand, setting.stock.reserved), (3, 3));
    assert_eq!(books.reserved(1), 3);
}

#[test]
fn a_stock_waits_for_more_dead_holds_than_one_look_shows() {
    let mut books = Books::with(&[(1, 5)]);
    for sn in ["a", "b", "c", "d"] {
        books.done(hold(sn, &[(1, 1)], 1_000));
    }
    books.pass(1_000);
    books.look_max = 1;
    let act = set(1, 1);
    let mut round = Round::on(books.held(std::slice::from_ref(&act)));
    assert_eq!(books.ask(&mut round, &act), Err(Undone::MoreExpired));
    assert_eq!(round.changes().released.len(), 1);
    // Three dead holds go for this, so one is left.
    books.changed(act);
    assert_eq!((books.on_hand(1), books.reserved(1)), (1, 1));
    books.changed(adjust(1, -1, "lost"));
    assert_eq!((books.on_hand(1), books.reserved(1)), (0, 0));
}

#[test]
fn the_answer_leaves_out_all_dead_holds_though_one_look_does_not_show_them_all() {
    let mut books = Books::with(&[(1, 50)]);
    for sn in ["a", "b", "c", "d"] {
        books.done(hold(sn, &[(1, 1)], 1_000));
    }
    books.pass(1_000);
    books.look_max = 1;
    let act = set(1, 40);
    let mut round = Round::on(books.held(std::slice::from_ref(&act)));
    assert_eq!(books.ask(&mut round, &act), Err(Undone::MoreExpired));
    assert_eq!(books.changed(act).stock.reserved, 0);
}

#[test]
fn a_stock_that_is_set_back_in_its_round_is_noted_as_set() {
    let books = Books::with(&[(1, 10)]);
    let acts = [set_safety(1, 3), sell("o", &[(1, 5)]), set_safety(1, 0)];
    let mut round = Round::on(books.held(&acts));
    for act in &acts {
        books.ask(&mut round, act).unwrap();
    }
    assert_eq!(round.changes().set, [goods(1)].into());
}

#[test]
fn what_has_lost_its_stock_is_told_and_left_as_it_is() {
    let mut books = Books::with(&[(1, 10)]);
    books.done(sell("sold", &[(1, 1)]));
    books.done(hold("held", &[(1, 1)], 1_000));
    books.pass(1_000);
    books.stocks.clear();
    for act in [reback("sold"), confirm("held"), cancel("held")] {
        let mut round = Round::on(books.held(std::slice::from_ref(&act)));
        assert_eq!(books.ask(&mut round, &act), Err(Undone::WithoutStock(goods(1))));
    }
    let mut round = Round::on(books.held(&[confirm("held")]));
    round.look_at_expired(books.expired(round.held()));
    assert_eq!(round.tidy(), 0);
    assert!(round.changes().is_empty());
}

#[test]
fn dead_holds_on_what_has_lost_its_stock_are_left_by_who_releases_others() {
    let mut books = Books::with(&[(1, 5), (2, 5)]);
    for (sn, id) in [("a", 1), ("b", 2), ("c", 2)] {
        books.done(hold(sn, &[(id, 1)], 1_000));
    }
    books.pass(1_000);
    books.look_max = 2;
    books.stocks.remove(&goods(2));
    let act = sell("o", &[(1, 9), (2, 1)]);
    let mut round = Round::on(books.held(std::slice::from_ref(&act)));
    assert_eq!(books.ask(&mut round, &act), Err(Undone::MoreExpired));
    assert_eq!(round.changes().released.len(), 1);
}

#[test]
fn a_stock_is_adjusted_up_and_down_with_the_reason_in_the_ledger() {
    let mut books = Books::with(&[(1, 5)]);
    books.pass(10);
    let setting = books.changed(adjust(1, 3, "found"));
    let stock = Stock { on_hand: 8, reserved: 0, safety: 0, version: 2, update_time: START + 10 };
    assert_eq!((setting.stock, setting.replayed), (stock, false));
    assert_eq!(books.changed(adjust(1, -8, "burnt")).stock.on_hand, 0);
    let rows =
        [entry(Kind::Adjust, 3, 8, Some("found")), entry(Kind::Adjust, -8, 0, Some("burnt"))];
    assert_eq!(books.ledger[1..], rows);
}

#[test]
fn a_stock_is_adjusted_neither_below_zero_nor_below_what_is_reserved() {
    let mut books = Books::with(&[(1, 10)]);
    assert_eq!(books.refused(adjust(1, -11, "lost")), short([(1, 11, 10)]));
    books.done(hold("o", &[(1, 4)], 1_000));
    assert_eq!(books.refused(adjust(1, -7, "lost")), short([(1, 7, 6)]));
    // Pieces kept back from sale are lost like others.
    books.changed(set_safety(1, 5));
    assert_eq!(books.refused(adjust(1, -7, "lost")), short([(1, 7, 6)]));
    books.changed(adjust(1, -6, "lost"));
    assert_eq!((books.on_hand(1), books.reserved(1)), (4, 4));
}

#[test]
fn dead_holds_are_released_for_a_stock_that_is_adjusted() {
    let mut books = Books::with(&[(1, 10)]);
    books.done(hold("dead", &[(1, 4)], 1_000));
    books.done(hold("live", &[(1, 3)], 1_001));
    books.pass(1_000);
    assert_eq!(books.refused(adjust(1, -8, "lost")), short([(1, 8, 7)]));
    assert_eq!(books.reserved(1), 7);
    books.changed(adjust(1, -3, "lost"));
    assert_eq!(books.reserved(1), 7, "nobody fell short");
    let setting = books.changed(adjust(1, -4, "lost"));
    assert_eq!((setting.stock.on_hand, setting.stock.reserved), (3, 3));
}

#[test]
fn a_stock_is_not_adjusted_over_the_cap_nor_does_it_wrap() {
    let mut books = Books::with(&[(1, 5)]);
    let over = Refusal::Overflows(vec![goods(1)]);
    assert_eq!(books.refused(adjust(1, QUANTITY_MAX - 4, "found")), over);
    assert_eq!(books.refused(adjust(1, i64::MAX, "found")), over);
    assert_eq!(books.refused(adjust(1, i64::MIN, "lost")), short([(1, i64::MAX, 5)]));
    assert_eq!(books.refused(adjust(1, -i64::MAX, "lost")), short([(1, i64::MAX, 5)]));
    assert_eq!(books.changed(adjust(1, QUANTITY_MAX - 5, "found")).stock.on_hand, QUANTITY_MAX);
}

#[test]
fn pieces_are_kept_back_from_sale_without_being_moved() {
    let mut books = Books::with(&[(1, 5)]);
    books.pass(10);
    let setting = books.changed(set_safety(1, 2));
    let stock = Stock { on_hand: 5, reserved: 0, safety: 2, version: 2, update_time: START + 10 };
    assert_eq!((setting.stock, setting.replayed), (stock, false));
    assert_eq!(books.ledger.len(), 1);
    assert_eq!(books.refused(sell("o", &[(1, 4)])), short([(1, 4, 3)]));
    books.done(hold("o", &[(1, 3)], 1_000));
    // More may be kept back than there are: then nothing can be had, and what is held stays held.
    books.changed(set_safety(1, 99));
    assert_eq!(books.refused(sell("p", &[(1, 1)])), short([(1, 1, 0)]));
    books.done(confirm("o"));
    books.changed(set_safety(1, 0));
    books.done(sell("p", &[(1, 2)]));
}

#[test]
fn the_answer_counts_no_dead_holds_that_were_looked_at() {
    let mut books = Books::with(&[(1, 5), (2, 1)]);
    books.done(hold("dead", &[(1, 4)], 1_000));
    books.pass(1_000);
    // The Sell that falls short looks, the change of stock after it knows.
    let answers = books.batch(&[sell("rival", &[(1, 9)]), set_safety(1, 1)]);
    assert_eq!(answers[0], Err(short([(1, 9, 5)])));
    let setting = answers[1].clone().expect("safety is set").setting();
    assert_eq!((setting.stock.reserved, books.reserved(1)), (0, 4));
    books.done(cancel("dead"));
}
