//! Dead holds: dead exactly at their expiry, released by whoever falls short without them, and revived by no clock.

use super::acts::{
    adjust, cancel, confirm, extend, hold, reacquire, reback, sell, set, set_safety,
};
use super::books::{Books, START};
use super::{goods, key, short, short_line};
use crate::decide::{Refusal, Round, Shortage, Undone};
use crate::record::OrderState;

#[test]
fn a_hold_is_dead_exactly_at_its_expiry() {
    let mut books = Books::with(&[(1, 3)]);
    books.done(hold("o", &[(1, 3)], 1_000));
    books.pass(999);
    assert_eq!(books.state("o"), OrderState::Reserved);
    assert_eq!(books.refused(sell("rival", &[(1, 1)])), short([(1, 1, 0)]));
    books.pass(1);
    assert_eq!(books.state("o"), OrderState::Expired);
    books.done(sell("rival", &[(1, 1)]));
    assert_eq!((books.on_hand(1), books.reserved(1)), (2, 0));
}

#[test]
fn dead_holds_are_released_only_of_goods_that_fall_short() {
    let mut books = Books::with(&[(1, 3), (2, 9)]);
    books.done(hold("o", &[(1, 3), (2, 3)], 1_000));
    books.pass(1_000);
    books.done(sell("rival", &[(1, 1), (2, 1)]));
    assert_eq!((books.reserved(1), books.reserved(2)), (0, 3));
    let held: Vec<_> = books.order(&key("o")).unwrap().lines.iter().map(|line| line.held).collect();
    assert_eq!(held, [false, true]);
    assert_eq!(books.orders[&key("o")].state, OrderState::Reserved);
}

#[test]
fn dead_holds_are_left_alone_by_whoever_has_enough_without_them() {
    let mut books = Books::with(&[(1, 5)]);
    books.done(hold("o", &[(1, 3)], 1_000));
    books.pass(1_000);
    let act = sell("rival", &[(1, 2)]);
    let mut round = Round::on(books.held(std::slice::from_ref(&act)));
    act.ask(&mut round).expect("nobody has to look at dead holds");
    assert!(round.changes().released.is_empty());
    books.done(act);
    assert_eq!((books.on_hand(1), books.reserved(1)), (3, 3));
}

#[test]
fn live_holds_are_released_by_nobody() {
    let mut books = Books::with(&[(1, 5)]);
    books.done(hold("dead", &[(1, 2)], 1_000));
    books.done(hold("live", &[(1, 2)], 1_001));
    books.pass(1_000);
    assert_eq!(books.refused(sell("rival", &[(1, 4)])), short([(1, 4, 3)]));
    books.done(sell("rival", &[(1, 3)]));
    assert_eq!((books.on_hand(1), books.reserved(1)), (2, 2));
    books.done(confirm("live"));
}

#[test]
fn whoever_falls_short_asks_for_dead_holds_only_where_something_is_reserved() {
    let mut books = Books::with(&[(1, 5), (2, 5)]);
    books.done(hold("o", &[(1, 1)], 9_000));
    let look = |act: super::acts::Act| {
        let mut round = Round::on(books.held(std::slice::from_ref(&act)));
        let undone = act.ask(&mut round).expect_err("it falls short");
        assert!(round.changes().is_empty(), "who asks to look has moved nothing");
        undone == Undone::LookAtExpired
    };
    assert!(look(sell("rival", &[(1, 5)])));
    assert!(look(hold("rival", &[(1, 5)], 1_000)));
    assert!(look(sell("rival", &[(1, 5), (9, 1)])));
    assert!(look(set(1, 0)));
    assert!(look(adjust(1, -5, "lost")));
    assert!(!look(sell("rival", &[(2, 6)])));
    assert!(!look(sell("rival", &[(1, 4), (2, 6)])), "the goods that are held do not fall short");
    assert!(!look(sell("rival", &[(1, 4), (9, 1)])));
    assert!(!look(sell("rival", &[(9, 1)])));
    assert!(!look(adjust(2, -6, "lost")));
}

#[test]
fn who_is_refused_is_told_what_is_available_without_dead_holds_and_releases_none() {
    let mut books = Books::with(&[(1, 5)]);
    books.done(hold("dead", &[(1, 2)], 1_000));
    books.done(hold("live", &[(1, 2)], 9_000));
    books.pass(1_000);
    let version = books.stocks[&goods(1)].version;
    assert_eq!(books.refused(sell("rival", &[(1, 4)])), short([(1, 4, 3)]));
    assert_eq!((books.reserved(1), books.stocks[&goods(1)].version), (4, version));
    let shortage =
        Shortage { not_stocked: vec![short_line((9, 1, 0))], short: vec![short_line((1, 4, 3))] };
    let refusal = books.refused(sell("rival", &[(1, 4), (9, 1)]));
    assert_eq!(refusal, Refusal::Unobtainable(shortage));
}

#[test]
fn safety_is_kept_back_from_dead_holds_as_well() {
    let mut books = Books::with(&[(1, 5)]);
    books.done(hold("dead", &[(1, 5)], 1_000));
    books.changed(set_safety(1, 2));
    books.pass(1_000);
    assert_eq!(books.refused(sell("rival", &[(1, 4)])), short([(1, 4, 3)]));
    books.done(sell("rival", &[(1, 3)]));
}

/// So many orders that hold a piece of goods 1 each, all dead.
fn dead_holds(books: &mut Books, count: usize) {
    for number in 0..count {
        books.done(hold(&format!("dead-{number}"), &[(1, 1)], 1_000));
    }
    books.pass(1_000);
}

#[test]
fn more_dead_holds_than_one_look_shows_are_released_bit_by_bit() {
    let mut books = Books::with(&[(1, 5)]);
    dead_holds(&mut books, 5);
    books.look_max = 2;
    let act = sell("rival", &[(1, 4)]);
    let mut round = Round::on(books.held(std::slice::from_ref(&act)));
    assert_eq!(books.ask(&mut round, &act), Err(Undone::MoreExpired));
    let changes = round.changes();
    assert_eq!((changes.released.len(), changes.new_orders.len()), (2, 0));
    books.write(&changes);
    books.audit();
    assert_eq!(books.reserved(1), 3);
    // Two more that are seen are enough; the last one is left.
    books.done(act);
    assert_eq!((books.on_hand(1), books.reserved(1)), (1, 1));
}

#[test]
fn who_has_enough_with_what_one_look_shows_does_not_wait_for_the_rest() {
    let mut books = Books::with(&[(1, 5)]);
    dead_holds(&mut books, 5);
    books.look_max = 2;
    let act = sell("rival", &[(1, 2)]);
    let mut round = Round::on(books.held(std::slice::from_ref(&act)));
    books.ask(&mut round, &act).expect("two dead holds are enough");
    books.write(&round.changes());
    books.audit();
    assert_eq!((books.on_hand(1), books.reserved(1)), (3, 3));
}

#[test]
fn goods_that_nobody_stocks_are_refused_without_waiting_for_more_dead_holds() {
    let mut books = Books::with(&[(1, 5)]);
    dead_holds(&mut books, 5);
    books.look_max = 2;
    let act = sell("rival", &[(1, 1), (9, 1)]);
    let mut round = Round::on(books.held(std::slice::from_ref(&act)));
    let shortage = Shortage { not_stocked: vec![short_line((9, 1, 0))], short: vec![] };
    let refused = Err(Undone::Refused(Refusal::Unobtainable(shortage)));
    assert_eq!(books.ask(&mut round, &act), refused);
}

/// The first look shows dead holds of goods 1 alone: unless they go, every further look shows the same.
#[test]
fn dead_holds_of_other_goods_that_fill_the_look_do_not_stand_in_the_way_for_ever() {
    let mut books = Books::with(&[(1, 9), (2, 1)]);
    books.done(hold("o", &[(2, 1)], 1_000));
    dead_holds(&mut books, 4);
    books.look_max = 2;
    books.done(sell("rival", &[(1, 1), (2, 1)]));
    assert_eq!((books.on_hand(1), books.on_hand(2), books.reserved(2)), (8, 0, 0));
}

#[test]
fn nor_do_they_stand_in_the_way_of_a_stock_that_is_set() {
    let mut books = Books::with(&[(1, 9), (2, 1)]);
    books.done(hold("o", &[(2, 1)], 1_000));
    dead_holds(&mut books, 4);
    books.look_max = 2;
    // One round for both: the look is filled by the holds of goods 1.
    let answers = books.batch(&[set(2, 0), sell("rival", &[(1, 1)])]);
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    assert_eq!((books.on_hand(1), books.on_hand(2)), (8, 0));
}

#[test]
fn a_dead_hold_is_released_in_the_record_of_its_order_where_that_is_at_hand() {
    let mut books = Books::with(&[(1, 3)]);
    books.done(hold("o", &[(1, 2)], 1_000));
    books.done(hold("p", &[(1, 1)], 1_000));
    books.pass(1_000);
    let acts = [confirm("o"), sell("rival", &[(1, 3)])];
    let mut round = Round::on(books.held(&acts));
    let expired = Undone::Refused(Refusal::ReservationExpired(START + 1_000));
    assert_eq!(books.ask(&mut round, &acts[0]), Err(expired));
    books.ask(&mut round, &acts[1]).expect("both holds are dead");
    let changes = round.changes();
    assert_eq!(changes.released, [(key("p"), goods(1))]);
    assert_eq!(changes.orders.len(), 1);
    assert_eq!(changes.stocks.len(), 1);
    books.write(&changes);
    books.audit();
}

#[test]
fn a_hold_that_lost_a_line_stays_dead_though_the_clock_goes_back() {
    let mut books = Books::with(&[(1, 3), (2, 3)]);
    books.done(hold("o", &[(1, 3), (2, 3)], 5_000));
    books.pass(5_000);
    books.done(sell("rival", &[(1, 1)]));
    books.pass(-4_000);
    let expired = Refusal::ReservationExpired(START + 5_000);
    assert_eq!(books.state("o"), OrderState::Expired);
    assert_eq!(books.refused(confirm("o")), expired);
    assert_eq!(books.refused(extend("o", 9_000)), expired);
    for act in [cancel("o"), reback("o")] {
        let receipt = books.done(act);
        assert_eq!((receipt.state, receipt.replayed), (OrderState::Expired, true));
    }
    let closed = Refusal::AlreadyClosed(OrderState::Expired);
    assert_eq!(books.refused(hold("o", &[(1, 3), (2, 3)], 5_000)), closed);
    assert_eq!(books.refused(reacquire("o")), expired);
    books.changed(adjust(1, 1, "found"));
    assert!(books.done(reacquire("o")).reacquired);
    assert_eq!((books.on_hand(1), books.on_hand(2)), (0, 0));
    assert_eq!((books.reserved(1), books.reserved(2)), (0, 0));
}

#[test]
fn a_hold_that_nobody_released_lives_on_when_the_clock_goes_back() {
    let mut books = Books::with(&[(1, 3)]);
    books.done(hold("o", &[(1, 3)], 1_000));
    books.pass(2_000);
    assert!(matches!(books.refused(confirm("o")), Refusal::ReservationExpired(_)));
    books.pass(-1_500);
    assert!(!books.done(confirm("o")).reacquired);
}

#[test]
fn no_update_time_goes_back_with_the_clock() {
    let mut books = Books::with(&[(1, 3)]);
    books.done(hold("o", &[(1, 1)], 5_000));
    books.pass(-1_000);
    let receipt = books.done(confirm("o"));
    assert_eq!((receipt.order.create_time, receipt.order.update_time), (START, START));
    assert_eq!(books.stocks[&goods(1)].update_time, START);
    books.pass(3_000);
    let receipt = books.done(reback("o"));
    assert_eq!((receipt.order.create_time, receipt.order.update_time), (START, START + 2_000));
    assert_eq!(books.stocks[&goods(1)].update_time, START + 2_000);
}
