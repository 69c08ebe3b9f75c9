//! Reback of some of an order: under a request id that is unique within the order, never more than was sold.

use super::acts::{cancel, confirm, give_back, hold, reback, sell, set};
use super::books::{Books, START};
use super::{goods, key};
use crate::decide::{ExcessLine, Refusal};
use crate::order::QUANTITY_MAX;
use crate::record::{Entry, Kind, OrderState};

/// The books of a shop that sold 5 of goods 1 and 2 of goods 2 to order `o`.
fn sold() -> Books {
    let mut books = Books::with(&[(1, 5), (2, 5), (3, 5)]);
    books.done(sell("o", &[(1, 5), (2, 2)]));
    books
}

fn excess(id: i64, requested: i64, returnable: i64) -> ExcessLine {
    ExcessLine { goods: goods(id), requested, returnable }
}

#[test]
fn some_pieces_come_back_and_then_the_rest() {
    let mut books = sold();
    books.pass(10);
    let receipt = books.done(give_back("o", "r-1", &[(1, 2)]));
    assert_eq!((receipt.state, receipt.replayed), (OrderState::PartlyReturned, false));
    assert_eq!(receipt.order.update_time, START + 10);
    assert_eq!(receipt.order.lines.iter().map(|line| line.returned).collect::<Vec<_>>(), [2, 0]);
    assert_eq!((books.on_hand(1), books.on_hand(2)), (2, 3));
    let row = Entry {
        goods: goods(1),
        order: Some(key("o")),
        kind: Kind::Reback,
        delta: 2,
        balance: 2,
        reason: None,
    };
    assert_eq!(books.ledger[5..], [row]);
    let receipt = books.done(give_back("o", "r-2", &[(1, 3)]));
    assert_eq!(receipt.state, OrderState::PartlyReturned);
    let receipt = books.done(give_back("o", "r-3", &[(2, 2)]));
    assert_eq!((receipt.state, receipt.replayed), (OrderState::Returned, false));
    assert_eq!((books.on_hand(1), books.on_hand(2)), (5, 5));
}

#[test]
fn all_pieces_at_once_return_the_order() {
    let mut books = sold();
    let receipt = books.done(give_back("o", "r", &[(1, 5), (2, 2)]));
    assert_eq!(receipt.state, OrderState::Returned);
}

#[test]
fn a_repeat_is_known_by_its_request_id_whatever_became_of_the_order() {
    let mut books = sold();
    let act = give_back("o", "r", &[(1, 2)]);
    books.done(act.clone());
    let again = books.done(act.clone());
    assert_eq!((again.state, again.replayed), (OrderState::PartlyReturned, true));
    assert_eq!(books.on_hand(1), 2);
    books.done(reback("o"));
    let again = books.done(act);
    assert_eq!((again.state, again.replayed), (OrderState::Returned, true));
    assert_eq!(books.on_hand(1), 5);
}

#[test]
fn other_lines_under_a_request_id_are_refused_before_anything_else_is_looked_at() {
    let mut books = sold();
    books.done(give_back("o", "r", &[(1, 2)]));
    let mismatch = Refusal::RequestMismatch(key("r"));
    let others = [&[(1, 1)][..], &[(2, 2)], &[(1, 2), (2, 1)], &[(9, 1)], &[(1, 99)]];
    for lines in others {
        assert_eq!(books.refused(give_back("o", "r", lines)), mismatch);
    }
    books.done(reback("o"));
    for lines in others {
        assert_eq!(books.refused(give_back("o", "r", lines)), mismatch);
    }
}

#[test]
fn a_request_id_is_unique_within_its_order_only() {
    let mut books = sold();
    books.done(sell("p", &[(3, 2)]));
    books.done(give_back("o", "r", &[(1, 2)]));
    assert!(!books.done(give_back("p", "r", &[(3, 1)])).replayed);
}

#[test]
fn no_more_comes_back_than_was_sold_and_every_excess_is_named() {
    let mut books = sold();
    let refusal = Refusal::ReturnExceedsSold(vec![excess(1, 6, 5), excess(2, 3, 2)]);
    assert_eq!(books.refused(give_back("o", "r", &[(1, 6), (2, 3)])), refusal);
    let refusal = Refusal::ReturnExceedsSold(vec![excess(2, 3, 2)]);
    assert_eq!(books.refused(give_back("o", "r", &[(1, 5), (2, 3)])), refusal);
    assert_eq!((books.on_hand(1), books.state("o")), (0, OrderState::Confirmed));
    // A refused return leaves its request id free.
    books.done(give_back("o", "r", &[(1, 5)]));
}

#[test]
fn no_more_comes_back_than_is_not_back_yet() {
    let mut books = sold();
    books.done(give_back("o", "r-1", &[(1, 2)]));
    let refusal = Refusal::ReturnExceedsSold(vec![excess(1, 4, 3)]);
    assert_eq!(books.refused(give_back("o", "r-2", &[(1, 4)])), refusal);
    books.done(give_back("o", "r-2", &[(1, 3)]));
    let refusal = Refusal::ReturnExceedsSold(vec![excess(1, 1, 0)]);
    assert_eq!(books.refused(give_back("o", "r-3", &[(1, 1), (2, 1)])), refusal);
    books.done(reback("o"));
    let refusal = Refusal::ReturnExceedsSold(vec![excess(2, 1, 0)]);
    assert_eq!(books.refused(give_back("o", "r-4", &[(2, 1)])), refusal);
}

#[test]
fn goods_that_the_order_did_not_take_are_refused_all_of_them_and_first() {
    let mut books = sold();
    let refusal = Refusal::GoodsNotInOrder(vec![goods(3), goods(9)]);
    assert_eq!(books.refused(give_back("o", "r", &[(1, 99), (3, 1), (9, 1)])), refusal);
    assert_eq!(books.on_hand(3), 5);
}

#[test]
fn what_is_not_sold_yet_is_not_given_back_in_part() {
    let mut books = Books::with(&[(1, 5)]);
    books.done(hold("o", &[(1, 5)], 1_000));
    books.pass(999);
    assert_eq!(books.refused(give_back("o", "r", &[(1, 1)])), Refusal::NotConfirmed);
    assert_eq!(books.refused(give_back("o", "r", &[(9, 1)])), Refusal::NotConfirmed);
    assert_eq!(books.reserved(1), 5);
    books.done(confirm("o"));
    books.done(give_back("o", "r", &[(1, 1)]));
}

#[test]
fn an_unknown_order_is_not_given_back_in_part_and_its_number_stays_open() {
    let mut books = Books::with(&[(1, 5)]);
    assert_eq!(books.refused(give_back("o", "r", &[(1, 1)])), Refusal::OrderNotFound);
    assert!(books.orders.is_empty());
    books.done(sell("o", &[(1, 1)]));
}

#[test]
fn what_was_never_sold_and_is_closed_is_not_given_back_in_part() {
    let mut books = Books::with(&[(1, 5)]);
    books.done(hold("cancelled", &[(1, 1)], 1_000));
    books.done(cancel("cancelled"));
    books.done(cancel("unseen"));
    books.done(hold("expired", &[(1, 1)], 1_000));
    books.pass(1_000);
    for (sn, state) in [
        ("cancelled", OrderState::Cancelled),
        ("unseen", OrderState::Cancelled),
        ("expired", OrderState::Expired),
    ] {
        let refusal = books.refused(give_back(sn, "r", &[(1, 1)]));
        assert_eq!(refusal, Refusal::AlreadyClosed(state));
    }
}

#[test]
fn a_return_over_the_cap_is_refused_whole_and_leaves_its_request_id_free() {
    let mut books = sold();
    books.changed(set(2, QUANTITY_MAX - 1));
    let act = give_back("o", "r", &[(1, 1), (2, 2)]);
    assert_eq!(books.refused(act.clone()), Refusal::Overflows(vec![goods(2)]));
    assert_eq!((books.on_hand(1), books.state("o")), (0, OrderState::Confirmed));
    books.changed(set(2, QUANTITY_MAX - 2));
    assert!(!books.done(act).replayed);
    assert_eq!(books.on_hand(2), QUANTITY_MAX);
}
