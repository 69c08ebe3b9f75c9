//! Confirm: a live hold is sold; a dead one only if its pieces can be had once more.

use super::acts::{adjust, cancel, confirm, give_back, hold, reacquire, reback, sell, set_safety};
use super::books::{Books, START};
use super::{goods, key};
use crate::decide::{Refusal, Round, Undone};
use crate::record::{Entry, Kind, OrderState};

const EXPIRED: Refusal = Refusal::ReservationExpired(START + 1_000);

#[test]
fn what_is_held_is_sold() {
    let mut books = Books::with(&[(1, 5), (2, 5)]);
    books.done(hold("o", &[(1, 5), (2, 2)], 1_000));
    books.pass(10);
    let receipt = books.done(confirm("o"));
    assert_eq!(receipt.state, OrderState::Confirmed);
    assert_eq!((receipt.replayed, receipt.reacquired), (false, false));
    assert!(receipt.order.lines.iter().all(|line| !line.held && line.returned == 0));
    assert_eq!((receipt.order.create_time, receipt.order.update_time), (START, START + 10));
    assert_eq!((books.on_hand(1), books.reserved(1)), (0, 0));
    assert_eq!((books.on_hand(2), books.reserved(2)), (3, 0));
    let sold = |goods, delta, balance| Entry {
        goods,
        order: Some(key("o")),
        kind: Kind::Sell,
        delta,
        balance,
        reason: None,
    };
    assert_eq!(books.ledger[2..], [sold(goods(1), -5, 0), sold(goods(2), -2, 3)]);
}

#[test]
fn a_hold_is_sold_until_one_millisecond_before_its_expiry() {
    let mut books = Books::with(&[(1, 5)]);
    books.done(hold("last moment", &[(1, 1)], 1_000));
    books.done(hold("too late", &[(1, 1)], 1_000));
    books.pass(999);
    books.done(confirm("last moment"));
    books.pass(1);
    assert_eq!(books.refused(confirm("too late")), EXPIRED);
    assert_eq!((books.on_hand(1), books.reserved(1)), (4, 1));
    assert_eq!(books.done(confirm("last moment")).state, OrderState::Confirmed);
}

#[test]
fn an_unknown_order_is_not_confirmed_and_its_number_stays_open() {
    let mut books = Books::with(&[(1, 5)]);
    assert_eq!(books.refused(confirm("o")), Refusal::OrderNotFound);
    assert_eq!(books.refused(reacquire("o")), Refusal::OrderNotFound);
    books.done(hold("o", &[(1, 1)], 1_000));
}

#[test]
fn what_is_sold_already_is_confirmed_by_a_replay() {
    let mut books = Books::with(&[(1, 5)]);
    books.done(hold("held", &[(1, 2)], 1_000));
    books.done(confirm("held"));
    books.done(sell("sold", &[(1, 2)]));
    books.pass(1_000);
    for act in [confirm("held"), reacquire("held"), confirm("sold"), reacquire("sold")] {
        let receipt = books.done(act);
        assert_eq!((receipt.state, receipt.replayed), (OrderState::Confirmed, true));
        assert!(!receipt.reacquired);
    }
    books.done(give_back("held", "r", &[(1, 1)]));
    let receipt = books.done(confirm("held"));
    assert_eq!((receipt.state, receipt.replayed), (OrderState::PartlyReturned, true));
}

#[test]
fn what_is_closed_is_not_confirmed() {
    let mut books = Books::with(&[(1, 5)]);
    books.done(hold("cancelled", &[(1, 1)], 1_000));
    books.done(cancel("cancelled"));
    books.done(sell("returned", &[(1, 1)]));
    books.done(reback("returned"));
    books.done(cancel("unseen"));
    books.pass(1_000);
    for (sn, state) in [
        ("cancelled", OrderState::Cancelled),
        ("returned", OrderState::Returned),
        ("unseen", OrderState::Cancelled),
    ] {
        assert_eq!(books.refused(confirm(sn)), Refusal::AlreadyClosed(state));
        assert_eq!(books.refused(reacquire(sn)), Refusal::AlreadyClosed(state));
    }
}

#[test]
fn a_live_hold_is_sold_as_usual_where_it_might_be_acquired_again() {
    let mut books = Books::with(&[(1, 5)]);
    books.done(hold("o", &[(1, 5)], 1_000));
    books.changed(set_safety(1, 5));
    books.pass(999);
    let receipt = books.done(reacquire("o"));
    assert_eq!((receipt.reacquired, receipt.state), (false, OrderState::Confirmed));
}

#[test]
fn a_dead_hold_does_not_stand_in_its_own_way() {
    let mut books = Books::with(&[(1, 5)]);
    books.done(hold("o", &[(1, 5)], 1_000));
    books.pass(1_000);
    let act = reacquire("o");
    let mut round = Round::on(books.held(std::slice::from_ref(&act)));
    let receipt = act.ask(&mut round).expect("nobody has to look at dead holds").receipt();
    assert_eq!((receipt.reacquired, receipt.replayed), (true, false));
    assert_eq!(receipt.state, OrderState::Confirmed);
    books.write(&round.changes());
    books.audit();
    assert_eq!((books.on_hand(1), books.reserved(1)), (0, 0));
    let again = books.done(act);
    assert_eq!((again.replayed, again.reacquired), (true, false));
}

#[test]
fn a_dead_hold_whose_pieces_are_gone_is_let_go_of_and_stays_dead() {
    let mut books = Books::with(&[(1, 5), (2, 5)]);
    books.done(hold("o", &[(1, 5), (2, 5)], 1_000));
    books.pass(1_000);
    books.done(sell("rival", &[(1, 1)]));
    assert_eq!(books.refused(reacquire("o")), EXPIRED);
    assert_eq!((books.on_hand(1), books.on_hand(2)), (4, 5));
    assert_eq!((books.reserved(1), books.reserved(2)), (0, 0));
    assert_eq!(books.state("o"), OrderState::Expired);
    assert_eq!(books.refused(confirm("o")), EXPIRED);
}

#[test]
fn a_dead_hold_is_sold_again_when_the_lines_that_others_released_can_be_had_once_more() {
    let mut books = Books::with(&[(1, 5), (2, 5)]);
    books.done(hold("o", &[(1, 5), (2, 5)], 1_000));
    books.pass(1_000);
    books.done(sell("rival", &[(1, 1)]));
    books.done(reback("rival"));
    assert_eq!((books.reserved(1), books.reserved(2)), (0, 5));
    assert!(books.done(reacquire("o")).reacquired);
    assert_eq!((books.on_hand(1), books.on_hand(2)), (0, 0));
    assert_eq!((books.reserved(1), books.reserved(2)), (0, 0));
}

#[test]
fn what_is_acquired_again_leaves_the_safety_pieces() {
    let mut books = Books::with(&[(1, 5)]);
    books.done(hold("o", &[(1, 4)], 1_000));
    books.changed(set_safety(1, 2));
    books.pass(1_000);
    assert_eq!(books.refused(reacquire("o")), EXPIRED);
    books.changed(set_safety(1, 1));
    assert!(books.done(reacquire("o")).reacquired);
}

#[test]
fn dead_holds_of_others_are_looked_at_and_released_for_what_is_acquired_again() {
    let mut books = Books::with(&[(1, 5)]);
    books.done(hold("o", &[(1, 3)], 1_000));
    books.done(hold("p", &[(1, 2)], 1_000));
    books.changed(set_safety(1, 2));
    books.pass(1_000);
    let act = reacquire("o");
    let mut round = Round::on(books.held(std::slice::from_ref(&act)));
    // What it holds itself is let go of by now, and is on record still.
    assert_eq!(act.ask(&mut round), Err(Undone::LookAtExpired));
    round.look_at_expired(books.expired(round.held()));
    assert!(act.ask(&mut round).expect("p is dead").receipt().reacquired);
    books.write(&round.changes());
    books.audit();
    assert_eq!((books.on_hand(1), books.reserved(1)), (2, 0));
}

#[test]
fn live_holds_of_others_are_not_released_for_what_is_acquired_again() {
    let mut books = Books::with(&[(1, 5)]);
    books.done(hold("o", &[(1, 3)], 1_000));
    books.done(hold("p", &[(1, 2)], 9_000));
    books.changed(set_safety(1, 1));
    books.pass(1_000);
    assert_eq!(books.refused(reacquire("o")), EXPIRED);
    assert_eq!(books.reserved(1), 2);
}

#[test]
fn what_is_acquired_again_waits_for_more_dead_holds_than_one_look_shows() {
    let mut books = Books::with(&[(1, 5)]);
    for sn in ["o", "a", "b", "c"] {
        books.done(hold(sn, &[(1, 1)], 1_000));
    }
    books.changed(adjust(1, -1, "lost"));
    books.changed(set_safety(1, 3));
    books.pass(1_000);
    books.look_max = 1;
    assert!(books.done(reacquire("o")).reacquired);
    assert_eq!((books.on_hand(1), books.reserved(1)), (3, 0));
}
