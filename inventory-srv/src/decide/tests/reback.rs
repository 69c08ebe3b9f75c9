//! Reback of a whole order, by our own record: pieces come back once, however often and however early it is asked for.

use super::acts::{cancel, confirm, give_back, hold, reback, sell, set};
use super::books::{Books, START};
use super::{goods, key};
use crate::decide::Refusal;
use crate::order::QUANTITY_MAX;
use crate::record::{Entry, Kind, KnownOrder, OrderState};

fn given_back(id: i64, delta: i64, balance: i64) -> Entry {
    let (goods, order) = (goods(id), Some(key("o")));
    Entry { goods, order, kind: Kind::Reback, delta, balance, reason: None }
}

#[test]
fn all_that_an_order_took_comes_back() {
    let mut books = Books::with(&[(1, 5), (2, 5)]);
    books.done(sell("o", &[(1, 5), (2, 2)]));
    books.pass(10);
    let receipt = books.done(reback("o"));
    assert_eq!((receipt.state, receipt.replayed), (OrderState::Returned, false));
    assert_eq!(receipt.order.update_time, START + 10);
    assert!(receipt.order.lines.iter().all(|line| line.returned == line.quantity.get()));
    assert_eq!((books.on_hand(1), books.on_hand(2)), (5, 5));
    assert_eq!(books.ledger[4..], [given_back(1, 5, 5), given_back(2, 2, 5)]);
}

#[test]
fn a_reservation_that_was_confirmed_comes_back_as_well() {
    let mut books = Books::with(&[(1, 5)]);
    books.done(hold("o", &[(1, 5)], 1_000));
    books.done(confirm("o"));
    books.pass(1_000);
    assert_eq!(books.done(reback("o")).state, OrderState::Returned);
    assert_eq!((books.on_hand(1), books.reserved(1)), (5, 0));
}

#[test]
fn what_is_closed_comes_back_no_more() {
    let mut books = Books::with(&[(1, 5)]);
    books.done(sell("returned", &[(1, 1)]));
    books.done(reback("returned"));
    books.done(hold("cancelled", &[(1, 1)], 1_000));
    books.done(cancel("cancelled"));
    books.done(hold("expired", &[(1, 1)], 1_000));
    books.pass(1_000);
    for (sn, state) in [
        ("returned", OrderState::Returned),
        ("cancelled", OrderState::Cancelled),
        ("expired", OrderState::Expired),
    ] {
        let receipt = books.done(reback(sn));
        assert_eq!((receipt.state, receipt.replayed), (state, true));
    }
    assert_eq!(books.on_hand(1), 5);
}

#[test]
fn a_live_hold_is_cancelled() {
    let mut books = Books::with(&[(1, 5)]);
    books.done(hold("o", &[(1, 5)], 1_000));
    books.pass(999);
    let receipt = books.done(reback("o"));
    assert_eq!((receipt.state, receipt.replayed), (OrderState::Cancelled, false));
    assert!(receipt.order.lines.iter().all(|line| line.returned == 0));
    assert_eq!((books.on_hand(1), books.reserved(1), books.ledger.len()), (5, 0, 1));
}

#[test]
fn a_number_that_was_never_seen_is_closed_so_that_a_late_order_takes_nothing() {
    let mut books = Books::with(&[(1, 5)]);
    let receipt = books.done(reback("o"));
    assert_eq!((receipt.state, receipt.replayed), (OrderState::Cancelled, false));
    assert_eq!(receipt.order, KnownOrder::tombstone(key("o"), START));
    let closed = Refusal::AlreadyClosed(OrderState::Cancelled);
    assert_eq!(books.refused(sell("o", &[(1, 1)])), closed);
    assert_eq!(books.refused(sell("o", &[(1, 9)])), closed);
    assert!(books.done(reback("o")).replayed);
    assert_eq!(books.on_hand(1), 5);
}

#[test]
fn what_was_given_back_in_part_comes_back_but_for_that_part() {
    let mut books = Books::with(&[(1, 5), (2, 5)]);
    books.done(sell("o", &[(1, 5), (2, 2)]));
    books.done(give_back("o", "r", &[(1, 2), (2, 2)]));
    let receipt = books.done(reback("o"));
    assert_eq!((receipt.state, receipt.replayed), (OrderState::Returned, false));
    assert_eq!((books.on_hand(1), books.on_hand(2)), (5, 5));
    // Nothing is written about goods of which nothing comes back.
    let rows = [given_back(1, 2, 2), given_back(2, 2, 5), given_back(1, 3, 5)];
    assert_eq!(books.ledger[4..], rows);
}

#[test]
fn a_return_over_the_cap_is_refused_whole() {
    let mut books = Books::with(&[(1, 5), (2, 5), (3, 5)]);
    books.done(sell("o", &[(1, 1), (2, 2), (3, 1)]));
    books.changed(set(2, QUANTITY_MAX - 1));
    books.changed(set(3, QUANTITY_MAX));
    let refusal = Refusal::Overflows(vec![goods(2), goods(3)]);
    assert_eq!(books.refused(reback("o")), refusal);
    assert_eq!((books.on_hand(1), books.state("o")), (4, OrderState::Confirmed));
    books.changed(set(2, QUANTITY_MAX - 2));
    books.changed(set(3, QUANTITY_MAX - 1));
    books.done(reback("o"));
    assert_eq!((books.on_hand(2), books.on_hand(3)), (QUANTITY_MAX, QUANTITY_MAX));
}

#[test]
fn goods_that_came_back_before_do_not_count_against_the_cap() {
    let mut books = Books::with(&[(1, 5), (2, 5)]);
    books.done(sell("o", &[(1, 1), (2, 1)]));
    books.done(give_back("o", "r", &[(2, 1)]));
    books.changed(set(2, QUANTITY_MAX));
    assert_eq!(books.done(reback("o")).state, OrderState::Returned);
}
