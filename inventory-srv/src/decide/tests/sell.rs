//! Sell: all lines or none, once per order number, never more than is available.

use super::acts::{cancel, confirm, give_back, hold, reback, sale, sell, set, set_safety};
use super::books::{Books, START};
use super::{goods, key, short, short_line};
use crate::decide::{Refusal, Shortage};
use crate::record::{Entry, Kind, OrderState};

#[test]
fn an_order_takes_all_of_its_lines() {
    let mut books = Books::with(&[(1, 5), (2, 5)]);
    let receipt = books.done(sell("o", &[(2, 5), (1, 1)]));
    assert_eq!((books.on_hand(1), books.on_hand(2)), (4, 0));
    assert_eq!((receipt.state, receipt.replayed), (OrderState::Confirmed, false));
    assert!(!receipt.reacquired);
    assert_eq!(receipt.order.state, OrderState::Confirmed);
    assert_eq!((receipt.order.create_time, receipt.order.expire_time), (START, None));
    assert_eq!(receipt.order.payload, Some(sale("o", &[(1, 1), (2, 5)]).payload()));
    let taken = |goods, delta, balance| Entry {
        goods,
        order: Some(key("o")),
        kind: Kind::Sell,
        delta,
        balance,
        reason: None,
    };
    assert_eq!(books.ledger[2..], [taken(goods(1), -1, 4), taken(goods(2), -5, 0)]);
}

#[test]
fn an_order_with_a_ttl_holds_its_pieces_and_moves_none() {
    let mut books = Books::with(&[(1, 5)]);
    let receipt = books.done(hold("o", &[(1, 2)], 1_000));
    assert_eq!((receipt.state, receipt.replayed), (OrderState::Reserved, false));
    assert_eq!(receipt.order.expire_time, Some(START + 1_000));
    assert!(receipt.order.lines.iter().all(|line| line.held));
    assert_eq!((books.on_hand(1), books.reserved(1), books.ledger.len()), (5, 2, 1));
}

#[test]
fn reserved_and_safety_pieces_are_neither_sold_nor_held() {
    let mut books = Books::with(&[(1, 10)]);
    books.done(hold("h", &[(1, 3)], 1_000));
    books.changed(set_safety(1, 2));
    assert_eq!(books.refused(sell("o", &[(1, 6)])), short([(1, 6, 5)]));
    assert_eq!(books.refused(hold("o", &[(1, 6)], 1_000)), short([(1, 6, 5)]));
    books.done(sell("o", &[(1, 5)]));
    assert_eq!((books.on_hand(1), books.reserved(1)), (5, 3));
}

#[test]
fn every_line_that_cannot_be_had_is_named_and_nothing_moves() {
    let mut books = Books::with(&[(1, 1), (2, 9), (4, 0)]);
    books.changed(set_safety(4, 3));
    let shortage = Shortage {
        not_stocked: [(3, 1, 0), (5, 2, 0)].map(short_line).into(),
        short: [(1, 2, 1), (4, 1, 0)].map(short_line).into(),
    };
    let refusal = books.refused(sell("o", &[(5, 2), (4, 1), (3, 1), (2, 9), (1, 2)]));
    assert_eq!(refusal, Refusal::Unobtainable(shortage));
    assert_eq!((books.on_hand(1), books.on_hand(2)), (1, 9));
    assert!(books.orders.is_empty());
}

#[test]
fn an_order_for_goods_of_which_nothing_is_left_is_refused_for_all_of_its_lines() {
    let mut books = Books::with(&[(1, 0), (2, 0)]);
    books.changed(set(2, 3));
    books.changed(set_safety(2, 3));
    let order = sale("o", &[(2, 7), (1, 1), (2, 1)]);
    let expected = short([(1, 1, 0), (2, 8, 0)]);
    assert_eq!(Refusal::Unobtainable(Shortage::of_all(&order)), expected);
    assert_eq!(books.refused(sell("o", &[(2, 7), (1, 1), (2, 1)])), expected);
}

#[test]
fn goods_that_are_not_stocked_are_refused_though_nothing_falls_short() {
    let mut books = Books::with(&[(1, 1)]);
    let shortage = Shortage { not_stocked: vec![short_line((3, 1, 0))], short: vec![] };
    let refusal = books.refused(sell("o", &[(1, 1), (3, 1)]));
    assert_eq!(refusal, Refusal::Unobtainable(shortage));
}

#[test]
fn a_refused_order_may_try_again_under_its_number() {
    let mut books = Books::with(&[(1, 1)]);
    books.refused(sell("o", &[(1, 2)]));
    books.changed(set(1, 2));
    assert!(!books.done(sell("o", &[(1, 2)])).replayed);
}

#[test]
fn a_replay_is_answered_with_the_present_state_though_everything_is_sold_out() {
    let mut books = Books::with(&[(1, 4)]);
    let order = sell("o", &[(1, 4)]);
    let first = books.done(order.clone());
    let again = books.done(order.clone());
    assert!(again.replayed);
    assert_eq!((&again.order, again.state), (&first.order, OrderState::Confirmed));
    books.done(give_back("o", "r", &[(1, 1)]));
    let again = books.done(order);
    assert_eq!((again.replayed, again.state), (true, OrderState::PartlyReturned));
}

#[test]
fn a_replay_of_a_reservation_does_not_hold_for_longer_and_may_come_with_another_ttl() {
    let mut books = Books::with(&[(1, 4)]);
    books.done(hold("o", &[(1, 4)], 5_000));
    books.pass(1_000);
    let again = books.done(hold("o", &[(1, 4)], 9_000));
    assert_eq!((again.replayed, again.state), (true, OrderState::Reserved));
    assert_eq!(again.order.expire_time, Some(START + 5_000));
    books.done(confirm("o"));
    let again = books.done(hold("o", &[(1, 4)], 9_000));
    assert_eq!((again.replayed, again.state), (true, OrderState::Confirmed));
}

#[test]
fn another_payload_under_the_number_is_refused_with_the_hash_that_stands_there() {
    let mut books = Books::with(&[(1, 4), (2, 4)]);
    books.done(sell("o", &[(1, 1)]));
    let mismatch = Refusal::PayloadMismatch(sale("o", &[(1, 1)]).payload());
    for other in [
        sell("o", &[(1, 2)]),
        sell("o", &[(2, 1)]),
        sell("o", &[(1, 1), (2, 1)]),
        sell("o", &[(9, 1)]),
        hold("o", &[(1, 1)], 1_000),
    ] {
        assert_eq!(books.refused(other), mismatch);
    }
}

#[test]
fn a_mismatch_wins_over_a_replay_in_every_open_state() {
    let mut books = Books::with(&[(1, 9)]);
    books.done(hold("o", &[(1, 2)], 5_000));
    let other = hold("o", &[(1, 3)], 5_000);
    assert!(matches!(books.refused(other.clone()), Refusal::PayloadMismatch(_)));
    books.done(confirm("o"));
    assert!(matches!(books.refused(other.clone()), Refusal::PayloadMismatch(_)));
    books.done(give_back("o", "r", &[(1, 1)]));
    assert!(matches!(books.refused(other), Refusal::PayloadMismatch(_)));
}

/// A number that is closed in this state sells no more: neither what it asked for nor anything else.
#[track_caller]
fn is_closed(books: &mut Books, sn: &str, state: OrderState) {
    let closed = Refusal::AlreadyClosed(state);
    for lines in [&[(1, 1)][..], &[(1, 2)], &[(9, 1)]] {
        assert_eq!(books.refused(sell(sn, lines)), closed);
        assert_eq!(books.refused(hold(sn, lines, 1_000)), closed);
    }
}

#[test]
fn closed_wins_over_a_mismatch_and_over_a_replay() {
    let mut books = Books::with(&[(1, 9)]);
    books.done(sell("returned", &[(1, 1)]));
    books.done(reback("returned"));
    is_closed(&mut books, "returned", OrderState::Returned);
    books.done(hold("cancelled", &[(1, 1)], 1_000));
    books.done(cancel("cancelled"));
    is_closed(&mut books, "cancelled", OrderState::Cancelled);
    books.done(reback("unseen"));
    is_closed(&mut books, "unseen", OrderState::Cancelled);
    books.done(hold("expired", &[(1, 1)], 1_000));
    books.pass(1_000);
    is_closed(&mut books, "expired", OrderState::Expired);
}
