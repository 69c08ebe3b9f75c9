//! Extend: a live hold lasts longer, never shorter, and a day in all.

use super::acts::{cancel, confirm, extend, give_back, hold, reback, sell};
use super::books::{Books, START};
use super::{goods, short};
use crate::decide::Refusal;
use crate::order::TTL_MAX;
use crate::record::OrderState;

#[test]
fn a_live_hold_lasts_from_now_on() {
    let mut books = Books::with(&[(1, 5)]);
    books.done(hold("o", &[(1, 5)], 1_000));
    let version = books.stocks[&goods(1)].version;
    books.pass(999);
    let receipt = books.done(extend("o", 2_000));
    assert_eq!((receipt.state, receipt.replayed), (OrderState::Reserved, false));
    assert_eq!(receipt.order.expire_time, Some(START + 2_999));
    assert_eq!((receipt.order.create_time, receipt.order.update_time), (START, START + 999));
    assert_eq!((books.reserved(1), books.stocks[&goods(1)].version), (5, version));
    books.pass(1_999);
    assert_eq!(books.refused(sell("rival", &[(1, 1)])), short([(1, 1, 0)]));
    books.pass(1);
    books.done(sell("rival", &[(1, 1)]));
}

#[test]
fn a_hold_never_ends_sooner_than_before() {
    let mut books = Books::with(&[(1, 5)]);
    books.done(hold("o", &[(1, 5)], 5_000));
    for milliseconds in [1_000, 4_999, 5_000] {
        let receipt = books.done(extend("o", milliseconds));
        assert_eq!((receipt.state, receipt.replayed), (OrderState::Reserved, true));
        assert_eq!(receipt.order.expire_time, Some(START + 5_000));
    }
    let receipt = books.done(extend("o", 5_001));
    assert_eq!((receipt.replayed, receipt.order.expire_time), (false, Some(START + 5_001)));
}

#[test]
fn a_hold_lasts_a_day_in_all_however_often_it_is_extended() {
    let mut books = Books::with(&[(1, 5)]);
    let day = TTL_MAX.milliseconds();
    books.done(hold("o", &[(1, 5)], 5_000));
    books.pass(4_000);
    let receipt = books.done(extend("o", day));
    assert_eq!((receipt.replayed, receipt.order.expire_time), (false, Some(START + day)));
    books.pass(day - 4_001);
    let receipt = books.done(extend("o", 1_000));
    assert_eq!((receipt.replayed, receipt.order.expire_time), (true, Some(START + day)));
    books.pass(1);
    assert_eq!(books.refused(extend("o", 1_000)), Refusal::ReservationExpired(START + day));
}

#[test]
fn a_hold_that_is_dead_is_not_extended() {
    let mut books = Books::with(&[(1, 5)]);
    books.done(hold("o", &[(1, 5)], 1_000));
    books.pass(1_000);
    assert_eq!(books.refused(extend("o", 5_000)), Refusal::ReservationExpired(START + 1_000));
}

#[test]
fn only_what_is_held_is_extended() {
    let mut books = Books::with(&[(1, 9)]);
    assert_eq!(books.refused(extend("unseen", 5_000)), Refusal::OrderNotFound);
    books.done(hold("confirmed", &[(1, 2)], 1_000));
    books.done(confirm("confirmed"));
    books.done(sell("sold", &[(1, 2)]));
    books.done(hold("cancelled", &[(1, 1)], 1_000));
    books.done(cancel("cancelled"));
    books.done(cancel("unseen"));
    books.pass(1_000);
    assert_eq!(books.refused(extend("confirmed", 5_000)), Refusal::AlreadyConfirmed);
    assert_eq!(books.refused(extend("sold", 5_000)), Refusal::AlreadyConfirmed);
    books.done(give_back("sold", "r", &[(1, 1)]));
    assert_eq!(books.refused(extend("sold", 5_000)), Refusal::AlreadyConfirmed);
    books.done(reback("sold"));
    for (sn, state) in [
        ("sold", OrderState::Returned),
        ("cancelled", OrderState::Cancelled),
        ("unseen", OrderState::Cancelled),
    ] {
        assert_eq!(books.refused(extend(sn, 5_000)), Refusal::AlreadyClosed(state));
    }
}
