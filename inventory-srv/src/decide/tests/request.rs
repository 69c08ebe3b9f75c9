//! Request ids of changes of stock: a repeat is answered as the first was, whatever happened since.

use super::acts::{adjust, hold, sell, set, set_safety};
use super::books::Books;
use super::{goods, key};
use crate::decide::Refusal;

#[test]
fn a_repeat_gets_the_first_answer_though_the_stock_moved_on() {
    let mut books = Books::with(&[(1, 5)]);
    for (act, id) in [
        (set(1, 7), "r-1"),
        (adjust(1, -2, "lost"), "r-2"),
        (set_safety(1, 1), "r-3"),
        (set(2, 3), "r-4"),
    ] {
        let first = books.changed(act.clone().under(id));
        assert!(!first.replayed);
        books.changed(set(1, 100));
        books.changed(set(2, 100));
        let again = books.changed(act.under(id));
        assert_eq!((again.stock, again.replayed), (first.stock, true));
        assert_eq!((books.on_hand(1), books.on_hand(2)), (100, 100));
    }
    assert_eq!(books.requests[&key("r-4")].goods, goods(2));
}

#[test]
fn a_repeat_is_known_before_what_it_expects_is_looked_at() {
    let mut books = Books::with(&[(1, 5)]);
    let act = set(1, 7).if_on_hand(5).under("r");
    books.changed(act.clone());
    assert!(books.changed(act).replayed);
    assert_eq!(books.refused(set(1, 7).if_on_hand(5)), Refusal::Stale(7));
}

#[test]
fn anything_else_under_a_request_id_is_refused() {
    let mut books = Books::with(&[(1, 5), (2, 5)]);
    books.changed(adjust(1, 1, "found").under("r"));
    let mismatch = Refusal::RequestMismatch(key("r"));
    for act in [
        adjust(1, 2, "found"),
        adjust(1, -1, "found"),
        adjust(1, 1, "lost"),
        adjust(2, 1, "found"),
        adjust(1, 1, "found").if_on_hand(5),
        adjust(1, 1, "found").if_version(1),
        set(1, 1),
        set_safety(1, 1),
        set(9, 1),
    ] {
        assert_eq!(books.refused(act.under("r")), mismatch);
    }
    books.changed(set(1, 1).under("s"));
    let mismatch = Refusal::RequestMismatch(key("s"));
    assert_eq!(books.refused(set_safety(1, 1).under("s")), mismatch);
    assert_eq!(books.refused(set(1, 1).if_on_hand(0).under("s")), mismatch);
    assert_eq!(books.refused(set(1, 1).if_version(0).under("s")), mismatch);
}

#[test]
fn a_change_that_is_refused_leaves_its_request_id_free() {
    let mut books = Books::with(&[(1, 5)]);
    books.done(hold("o", &[(1, 5)], 1_000));
    assert_eq!(books.refused(set(1, 4).under("r")), Refusal::BelowReserved(5));
    assert_eq!(books.refused(set(1, 9).if_on_hand(4).under("r")), Refusal::Stale(5));
    books.refused(adjust(1, -1, "lost").under("r"));
    books.refused(adjust(9, 1, "found").under("r"));
    assert!(books.requests.is_empty());
    assert!(!books.changed(set(1, 9).under("r")).replayed);
}

#[test]
fn changes_without_a_request_id_are_no_repeats_of_each_other() {
    let mut books = Books::with(&[(1, 5)]);
    books.changed(adjust(1, 1, "found"));
    assert!(!books.changed(adjust(1, 1, "found")).replayed);
    assert_eq!(books.on_hand(1), 7);
}

#[test]
fn orders_and_changes_of_stock_do_not_share_their_keys() {
    let mut books = Books::with(&[(1, 5)]);
    books.done(sell("k", &[(1, 1)]));
    assert!(!books.changed(adjust(1, 1, "found").under("k")).replayed);
}
