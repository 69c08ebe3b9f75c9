//! Cancel: lets go of a live hold, and closes a number that was never seen.

use super::acts::{cancel, confirm, give_back, hold, reback, sell};
use super::books::{Books, START};
use super::key;
use crate::decide::Refusal;
use crate::record::{KnownOrder, OrderState};

#[test]
fn a_live_hold_is_let_go_of_and_its_number_closed() {
    let mut books = Books::with(&[(1, 5), (2, 5)]);
    books.done(hold("o", &[(1, 5), (2, 1)], 1_000));
    books.pass(999);
    let receipt = books.done(cancel("o"));
    assert_eq!((receipt.state, receipt.replayed), (OrderState::Cancelled, false));
    assert_eq!(receipt.order.update_time, START + 999);
    assert_eq!((books.on_hand(1), books.reserved(1), books.reserved(2)), (5, 0, 0));
    assert_eq!(books.ledger.len(), 2);
    let closed = Refusal::AlreadyClosed(OrderState::Cancelled);
    assert_eq!(books.refused(confirm("o")), closed);
    books.done(sell("rival", &[(1, 5)]));
}

#[test]
fn a_hold_that_is_dead_is_not_cancelled_any_more() {
    let mut books = Books::with(&[(1, 5)]);
    books.done(hold("o", &[(1, 5)], 1_000));
    books.pass(1_000);
    let receipt = books.done(cancel("o"));
    assert_eq!((receipt.state, receipt.replayed), (OrderState::Expired, true));
    assert_eq!(books.orders[&key("o")].state, OrderState::Reserved);
}

#[test]
fn a_number_that_was_never_seen_is_closed_so_that_a_late_order_takes_nothing() {
    let mut books = Books::with(&[(1, 5)]);
    let receipt = books.done(cancel("o"));
    assert_eq!((receipt.state, receipt.replayed), (OrderState::Cancelled, false));
    assert_eq!(receipt.order, KnownOrder::tombstone(key("o"), START));
    let closed = Refusal::AlreadyClosed(OrderState::Cancelled);
    assert_eq!(books.refused(sell("o", &[(1, 1)])), closed);
    assert_eq!(books.refused(hold("o", &[(1, 1)], 1_000)), closed);
    books.pass(1);
    let again = books.done(cancel("o"));
    assert_eq!((again.state, again.replayed), (OrderState::Cancelled, true));
    assert_eq!(again.order, receipt.order);
}

#[test]
fn what_is_sold_is_not_cancelled() {
    let mut books = Books::with(&[(1, 5)]);
    books.done(sell("sold", &[(1, 2)]));
    books.done(hold("confirmed", &[(1, 2)], 1_000));
    books.done(confirm("confirmed"));
    books.pass(1_000);
    assert_eq!(books.refused(cancel("sold")), Refusal::AlreadyConfirmed);
    assert_eq!(books.refused(cancel("confirmed")), Refusal::AlreadyConfirmed);
    books.done(give_back("sold", "r", &[(1, 1)]));
    assert_eq!(books.refused(cancel("sold")), Refusal::AlreadyConfirmed);
}

#[test]
fn what_is_closed_stays_as_it_is() {
    let mut books = Books::with(&[(1, 5)]);
    books.done(hold("cancelled", &[(1, 1)], 1_000));
    books.done(cancel("cancelled"));
    books.done(sell("returned", &[(1, 1)]));
    books.done(reback("returned"));
    books.pass(1_000);
    for (sn, state) in [("cancelled", OrderState::Cancelled), ("returned", OrderState::Returned)] {
        let receipt = books.done(cancel(sn));
        assert_eq!((receipt.state, receipt.replayed), (state, true));
    }
}
