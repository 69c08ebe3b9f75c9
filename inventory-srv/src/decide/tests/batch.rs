//! Several acts in one round: each sees what those before it did, and what is written is the difference of all.

use super::acts::{
    Act, adjust, cancel, confirm, extend, give_back, hold, reacquire, reback, sell, set, set_safety,
};
use super::books::{Books, START};
use super::{goods, key, short};
use crate::decide::{Changes, Expired, Held, Refusal, Round, Undone};
use crate::order::GoodsId;
use crate::record::{Entry, OrderState};
use std::collections::{BTreeMap, BTreeSet};

/// Decides about acts in one round; each of them is done.
#[track_caller]
fn decided(books: &mut Books, acts: &[Act]) -> Changes {
    let mut round = Round::on(books.held(acts));
    for act in acts {
        books.ask(&mut round, act).expect("an act that is done");
    }
    let changes = round.changes();
    books.write(&changes);
    books.audit();
    changes
}

fn deltas(ledger: &[Entry]) -> Vec<(i64, i64, i64)> {
    ledger.iter().map(|entry| (entry.goods.get(), entry.delta, entry.balance)).collect()
}

#[test]
fn the_same_order_twice_is_sold_once() {
    let mut books = Books::with(&[(1, 5)]);
    let order = sell("o", &[(1, 2)]);
    let answers = books.batch(&[order.clone(), order, sell("o", &[(1, 3)])]);
    let replayed = |index: usize| answers[index].clone().expect("it is sold").receipt().replayed;
    assert_eq!((replayed(0), replayed(1)), (false, true));
    assert!(matches!(answers[2], Err(Refusal::PayloadMismatch(_))));
    assert_eq!(books.on_hand(1), 3);
}

#[test]
fn the_last_pieces_go_to_whoever_comes_first() {
    let mut books = Books::with(&[(1, 5)]);
    let answers = books.batch(&[sell("a", &[(1, 3)]), sell("b", &[(1, 3)]), sell("c", &[(1, 2)])]);
    assert!(answers[0].is_ok());
    assert_eq!(answers[1], Err(short([(1, 3, 2)])));
    assert!(answers[2].is_ok());
}

#[test]
fn an_order_lives_its_whole_life_in_one_round() {
    let mut books = Books::with(&[(1, 5)]);
    let acts = [hold("o", &[(1, 2)], 1_000), extend("o", 2_000), confirm("o"), reback("o")];
    let changes = decided(&mut books, &acts);
    assert_eq!(changes.new_orders.len(), 1);
    let order = &changes.new_orders[0];
    assert_eq!((order.state, order.expire_time), (OrderState::Returned, Some(START + 2_000)));
    assert!(order.lines.iter().all(|line| !line.held && line.returned == 2));
    assert_eq!(deltas(&changes.ledger), [(1, -2, 3), (1, 2, 5)]);
    assert!(changes.orders.is_empty() && changes.released.is_empty());
    assert_eq!((books.on_hand(1), books.reserved(1)), (5, 0));
}

#[test]
fn an_order_that_is_given_back_in_parts_in_one_round_is_written_once() {
    let mut books = Books::with(&[(1, 5)]);
    books.done(sell("o", &[(1, 3)]));
    let part = give_back("o", "r-1", &[(1, 1)]);
    let acts = [part.clone(), part.clone(), give_back("o", "r-2", &[(1, 2)])];
    let changes = decided(&mut books, &acts);
    assert_eq!((changes.orders.len(), changes.returns.len()), (1, 2));
    assert_eq!(changes.orders[0].1.state, OrderState::Returned);
    assert_eq!(deltas(&changes.ledger), [(1, 1, 3), (1, 2, 5)]);
    let answers = books.batch(&[part, give_back("o", "r-1", &[(1, 2)])]);
    assert!(answers[0].clone().expect("a repeat").receipt().replayed);
    assert_eq!(answers[1], Err(Refusal::RequestMismatch(key("r-1"))));
}

#[test]
fn what_is_cancelled_in_a_round_is_sold_to_the_next() {
    let mut books = Books::with(&[(1, 5)]);
    let acts = [hold("o", &[(1, 5)], 1_000), cancel("o"), sell("rival", &[(1, 5)])];
    let changes = decided(&mut books, &acts);
    let states: Vec<_> = changes.new_orders.iter().map(|order| order.state).collect();
    assert_eq!(states, [OrderState::Cancelled, OrderState::Confirmed]);
    assert_eq!(deltas(&changes.ledger), [(1, -5, 0)]);
    assert_eq!(changes.stocks.len(), 1);
    assert_eq!(books.reserved(1), 0);
}

#[test]
fn a_number_that_is_closed_in_a_round_sells_no_more_in_it() {
    let mut books = Books::with(&[(1, 5)]);
    let answers = books.batch(&[reback("o"), sell("o", &[(1, 1)])]);
    assert!(answers[0].is_ok());
    assert_eq!(answers[1], Err(Refusal::AlreadyClosed(OrderState::Cancelled)));
}

#[test]
fn goods_that_are_stocked_in_a_round_are_sold_in_it() {
    let mut books = Books::with(&[]);
    let acts = [set(1, 5), set_safety(1, 1), sell("o", &[(1, 4)]), adjust(1, 2, "found")];
    let changes = decided(&mut books, &acts);
    assert_eq!(changes.new_stocks.len(), 1);
    assert!(changes.stocks.is_empty());
    assert_eq!(deltas(&changes.ledger), [(1, 5, 5), (1, -4, 1), (1, 2, 3)]);
    assert_eq!(books.stocks[&goods(1)].version, 4);
}

#[test]
fn the_ledger_is_in_the_order_of_the_acts_and_within_an_act_in_that_of_the_goods() {
    let mut books = Books::with(&[(1, 9), (2, 9)]);
    let acts = [
        sell("a", &[(2, 1), (1, 1)]),
        adjust(2, -2, "lost"),
        sell("b", &[(1, 3), (2, 3)]),
        reback("a"),
    ];
    let changes = decided(&mut books, &acts);
    let rows = [(1, -1, 8), (2, -1, 8), (2, -2, 6), (1, -3, 5), (2, -3, 3), (1, 1, 6), (2, 1, 4)];
    assert_eq!(deltas(&changes.ledger), rows);
}

#[test]
fn a_stock_is_written_as_it_was_and_as_it_is_after_all() {
    let mut books = Books::with(&[(1, 9), (2, 9), (3, 9)]);
    let before = books.stocks.clone();
    let acts = [sell("a", &[(1, 1)]), hold("b", &[(1, 2), (3, 1)], 1_000), cancel("unseen")];
    let changes = decided(&mut books, &acts);
    let stocks: Vec<GoodsId> = changes.stocks.iter().map(|(goods, ..)| *goods).collect();
    assert_eq!(stocks, [goods(1), goods(3)]);
    for (goods, was, is) in &changes.stocks {
        assert_eq!((*was, *is), (before[goods], books.stocks[goods]));
    }
    assert_eq!(changes.now, START);
}

#[test]
fn a_request_id_is_known_within_its_round() {
    let mut books = Books::with(&[(1, 5)]);
    let act = adjust(1, 1, "found").under("r");
    let answers = books.batch(&[act.clone(), adjust(1, 5, "found"), act, set(1, 0).under("r")]);
    let settings: Vec<_> =
        answers.iter().flatten().cloned().map(super::acts::Answer::setting).collect();
    assert_eq!(settings[0].stock, settings[2].stock);
    assert_eq!((settings[0].replayed, settings[2].replayed), (false, true));
    assert_eq!(answers[3], Err(Refusal::RequestMismatch(key("r"))));
    assert_eq!(books.on_hand(1), 11);
}

#[test]
fn nothing_is_written_about_what_is_refused_or_replayed() {
    let mut books = Books::with(&[(1, 5)]);
    books.done(sell("o", &[(1, 1)]));
    books.done(cancel("closed"));
    let acts = [
        sell("o", &[(1, 1)]),
        sell("o", &[(1, 2)]),
        sell("p", &[(1, 9)]),
        sell("closed", &[(1, 1)]),
        confirm("unknown"),
        cancel("closed"),
        cancel("o"),
        give_back("o", "r", &[(1, 9)]),
        set(1, 0).if_on_hand(9),
    ];
    let mut round = Round::on(books.held(&acts));
    for act in &acts {
        let answer = books.ask(&mut round, act);
        assert!(answer.map_or(true, |answer| answer.replayed()));
    }
    assert!(round.changes().is_empty());
}

#[test]
fn changes_of_every_sort_are_something_to_write() {
    let mut books = Books::with(&[(1, 5), (2, 5)]);
    books.done(hold("h", &[(1, 5)], 1_000));
    books.pass(1_000);
    let acts = [sell("a", &[(1, 1)])];
    let one = decided(&mut books, &acts);
    let acts =
        [set(3, 1).under("r"), give_back("a", "r", &[(1, 1)]), sell("b", &[(2, 1)]), cancel("c")];
    let two = decided(&mut books, &acts);
    let none = Changes::default();
    assert!(none.is_empty());
    for some in [
        Changes { new_stocks: two.new_stocks, ..none.clone() },
        Changes { stocks: two.stocks, ..none.clone() },
        Changes { new_orders: two.new_orders, ..none.clone() },
        Changes { orders: two.orders, ..none.clone() },
        Changes { released: one.released, ..none.clone() },
        Changes { ledger: two.ledger, ..none.clone() },
        Changes { requests: two.requests, ..none.clone() },
        Changes { returns: two.returns, ..none.clone() },
    ] {
        assert!(!some.is_empty(), "{some:?}");
    }
}

#[test]
fn a_round_knows_which_stocks_it_leaves_as_they_were_and_which_it_changes() {
    let books = Books::with(&[(1, 5), (2, 5), (3, 0), (4, 9)]);
    let acts = [sell("a", &[(1, 2)]), hold("b", &[(2, 1)], 1_000), sell("c", &[(3, 1)]), set(5, 4)];
    let mut round = Round::on(books.held(&acts));
    let left = |round: &Round| [1, 2, 3, 4, 5].map(|id| round.unchanged(goods(id)).is_some());
    assert_eq!(left(&round), [true, true, true, false, false], "what is not held is not known");
    let answers = acts.map(|act| books.ask(&mut round, &act).is_ok());
    assert_eq!(answers, [true, true, false, true]);
    assert_eq!(left(&round), [false, false, true, false, false]);
    assert_eq!(round.unchanged(goods(3)).map(|stock| stock.available()), Some(0));
    assert_eq!(round.changes().goods().collect::<BTreeSet<_>>(), [1, 2, 5].map(goods).into());
}

/// What is held for acts, but for the rows of these goods.
fn held_without(books: &Books, act: &Act, id: i64) -> Held {
    let mut held = books.held(std::slice::from_ref(act));
    held.goods.remove(&goods(id));
    held.shelf.0.remove(&goods(id));
    held
}

#[test]
fn acts_on_goods_whose_rows_are_not_held_are_not_decided() {
    let mut books = Books::with(&[(1, 5), (2, 5)]);
    books.done(hold("o", &[(1, 2), (2, 2)], 1_000));
    books.done(sell("s", &[(1, 1), (2, 1)]));
    for act in [
        sell("new", &[(1, 1), (2, 1)]),
        sell("s", &[(1, 1), (2, 1)]),
        confirm("o"),
        reacquire("o"),
        cancel("o"),
        extend("o", 2_000),
        reback("s"),
        give_back("s", "r", &[(1, 1)]),
        set(2, 3),
        adjust(2, 1, "found"),
        set_safety(2, 1),
    ] {
        let mut round = Round::on(held_without(&books, &act, 2));
        assert_eq!(act.ask(&mut round), Err(Undone::NotHeld), "{act:?}");
        assert!(round.changes().is_empty());
        let held = books.held(std::slice::from_ref(&act));
        let mut round = Round::on(Held { expired: Some(Expired::default()), ..held });
        act.ask(&mut round).expect("all rows are held");
    }
}

#[test]
fn what_is_not_on_record_needs_no_rows() {
    let books = Books::with(&[(1, 5)]);
    for act in [cancel("o"), reback("o")] {
        let held = books.held(std::slice::from_ref(&act));
        assert_eq!(held.goods, BTreeSet::new());
        act.ask(&mut Round::on(held)).expect("a tombstone");
    }
    // A Sell holds its own goods; what its number stands for may be others.
    let mut books = books;
    books.changed(set(2, 5));
    books.done(sell("o", &[(1, 1)]));
    assert!(matches!(books.refused(sell("o", &[(2, 1)])), Refusal::PayloadMismatch(_)));
}

#[test]
fn a_dead_hold_that_another_act_released_is_not_confirmed_later_in_the_round() {
    let mut books = Books::with(&[(1, 5)]);
    books.done(hold("o", &[(1, 5)], 1_000));
    books.pass(1_000);
    let answers =
        books.batch(&[sell("rival", &[(1, 1)]), confirm("o"), reacquire("o"), cancel("o")]);
    let expired = Refusal::ReservationExpired(START + 1_000);
    assert!(answers[0].is_ok());
    assert_eq!(answers[1..3], [Err(expired.clone()), Err(expired)]);
    let receipt = answers[3].clone().expect("it is closed already").receipt();
    assert_eq!((receipt.state, receipt.replayed), (OrderState::Expired, true));
    assert_eq!((books.on_hand(1), books.reserved(1)), (4, 0));
}

#[test]
fn a_dead_hold_that_its_order_let_go_of_in_the_round_is_not_released_twice() {
    let mut books = Books::with(&[(1, 5)]);
    books.done(hold("o", &[(1, 2)], 1_000));
    books.done(hold("p", &[(1, 2)], 1_000));
    books.pass(1_000);
    // The first lets go before anybody looked, the second looks, the third lets go of what was looked at.
    let answers = books.batch(&[reacquire("o"), sell("rival", &[(1, 9)]), reacquire("p")]);
    assert!(answers[0].is_ok() && answers[2].is_ok());
    assert_eq!(answers[1], Err(short([(1, 9, 3)])));
    assert_eq!((books.on_hand(1), books.reserved(1)), (1, 0));
}

#[test]
fn what_was_looked_at_and_let_go_of_is_not_counted_as_dead_any_more() {
    let mut books = Books::with(&[(1, 5)]);
    books.done(hold("o", &[(1, 2)], 1_000));
    books.done(hold("live", &[(1, 2)], 9_000));
    books.pass(1_000);
    let acts = [sell("a", &[(1, 9)]), reacquire("o"), sell("b", &[(1, 2)]), sell("c", &[(1, 1)])];
    let answers = books.batch(&acts);
    assert_eq!(answers[0], Err(short([(1, 9, 3)])));
    assert!(answers[1].is_ok());
    assert_eq!(answers[2], Err(short([(1, 2, 1)])));
    assert!(answers[3].is_ok());
    assert_eq!((books.on_hand(1), books.reserved(1)), (2, 2));
}

#[test]
fn a_hold_that_is_extended_in_the_round_is_not_released_in_it() {
    let mut books = Books::with(&[(1, 5)]);
    books.done(hold("o", &[(1, 3)], 1_001));
    books.done(hold("dead", &[(1, 2)], 1_000));
    books.pass(1_000);
    let answers =
        books.batch(&[extend("o", 5_000), sell("rival", &[(1, 3)]), sell("q", &[(1, 2)])]);
    assert!(answers[0].is_ok() && answers[2].is_ok());
    assert_eq!(answers[1], Err(short([(1, 3, 2)])));
    assert_eq!((books.on_hand(1), books.reserved(1)), (3, 3));
}

/// A round that takes all orders for new, as a lane does.
fn presuming(books: &Books, acts: &[Act]) -> Round {
    Round::on(Held { orders: BTreeMap::new(), ..books.held(acts) })
}

#[test]
fn an_order_that_is_looked_up_after_its_refusal_is_known_again() {
    let mut books = Books::with(&[(1, 3)]);
    let order = sell("o", &[(1, 3)]);
    books.done(order.clone());
    let mut round = presuming(&books, std::slice::from_ref(&order));
    let refused = order.ask(&mut round).unwrap_err();
    assert_eq!(refused, Undone::Refused(short([(1, 3, 0)])));
    round.look_at_orders(books.orders.clone());
    assert!(order.ask(&mut round).unwrap().receipt().replayed);
    assert!(round.changes().is_empty());
}

#[test]
fn an_order_that_was_put_on_record_stays_new_and_will_meet_the_older_one() {
    let mut books = Books::with(&[(1, 9)]);
    let order = sell("o", &[(1, 3)]);
    books.done(order.clone());
    let mut round = presuming(&books, std::slice::from_ref(&order));
    assert!(!order.ask(&mut round).unwrap().receipt().replayed);
    round.look_at_orders(books.orders.clone());
    let changes = round.changes();
    assert_eq!((changes.new_orders.len(), changes.orders.len()), (1, 0));
}
