//! Random histories of all acts, a round at a time, against the naive model; and others whose clock goes back, which no
//! naive model follows, against the audit alone. A failure prints the history and its seed.

use super::acts::{
    Act, Answer, adjust, cancel, confirm, extend, give_back, hold, reacquire, reback, sell, set,
    set_safety,
};
use super::books::{Books, START};
use super::key;
use super::model::{Model, Told};
use crate::act::Expected;
use crate::decide::{Receipt, Refusal, Setting};
use crate::order::{QUANTITY_MAX, TTL_MAX};
use crate::record::OrderState;
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

/// Few numbers, few goods (one of them stocked late or never), small quantities: collisions are the point.
const ORDERS: [&str; 6] = ["a", "b", "c", "d", "e", "f"];
const REQUESTS: [&str; 3] = ["r", "s", "t"];
const GOODS: std::ops::RangeInclusive<i64> = 1..=4;
/// Few lengths of time, so that moments of expiry are met exactly.
const TTLS: [i64; 4] = [1_000, 2_000, 5_000, 86_400_000];

fn lines() -> impl Strategy<Value = Vec<(i64, i64)>> {
    btree_map(GOODS, 1..=5_i64, 1..4).prop_map(|lines| lines.into_iter().collect())
}

fn about_an_order() -> impl Strategy<Value = Act> {
    let (sn, ttl) = (select(&ORDERS[..]), select(&TTLS[..]));
    prop_oneof![
        3 => (sn.clone(), lines()).prop_map(|(sn, lines)| sell(sn, &lines)),
        5 => (sn.clone(), lines(), ttl.clone()).prop_map(|(sn, lines, ttl)| hold(sn, &lines, ttl)),
        2 => sn.clone().prop_map(confirm),
        2 => sn.clone().prop_map(reacquire),
        1 => sn.clone().prop_map(cancel),
        2 => (sn.clone(), ttl).prop_map(|(sn, ttl)| extend(sn, ttl)),
        1 => sn.clone().prop_map(reback),
        3 => (sn, select(&REQUESTS[..]), lines())
            .prop_map(|(sn, request, lines)| give_back(sn, request, &lines)),
    ]
}

fn about_a_stock() -> impl Strategy<Value = Act> {
    let on_hand = prop_oneof![9 => 0..=20_i64, 1 => Just(QUANTITY_MAX)];
    let delta = prop_oneof![9 => -6..=6_i64, 1 => Just(QUANTITY_MAX)];
    let change = prop_oneof![
        3 => (GOODS, on_hand.clone()).prop_map(|(id, on_hand)| set(id, on_hand)),
        3 => (GOODS, delta).prop_map(|(id, delta)| adjust(id, delta, "counted")),
        1 => (GOODS, 0..=3_i64).prop_map(|(id, safety)| set_safety(id, safety)),
    ];
    let expected = prop_oneof![
        8 => Just(Expected::default()),
        1 => on_hand.prop_map(|pieces| Expected { on_hand: Some(pieces), version: None }),
        1 => Just(Expected { on_hand: None, version: Some(-1) }),
    ];
    let request = option::weighted(0.3, select(&REQUESTS[..]));
    (change, expected, request).prop_map(|(act, expected, request)| {
        let act = act.expecting(expected);
        request.map_or(act.clone(), |request| act.under(request))
    })
}

/// How long it takes until the next round, and what is to be done in it.
fn round() -> impl Strategy<Value = (i64, Vec<Act>)> {
    let pass = prop_oneof![
        8 => select(&[0, 1, 500, 999, 1_000, 2_000][..]),
        1 => select(vec![TTL_MAX.milliseconds() - 5_000, TTL_MAX.milliseconds()]),
    ];
    (pass, vec(prop_oneof![4 => about_an_order(), 1 => about_a_stock()], 1..6))
}

fn told(answer: &Answer) -> Told {
    match answer {
        Answer::Receipt(Receipt { order, state, replayed, reacquired }) => Told::Order {
            state: *state,
            ends: order.expire_time,
            replayed: *replayed,
            reacquired: *reacquired,
        },
        Answer::Setting(Setting { stock, replayed }) => {
            Told::Stock { on_hand: stock.on_hand, safety: stock.safety, replayed: *replayed }
        }
    }
}

/// The books say of every stock and every order what the model says.
fn agree(books: &Books, model: &Model) {
    assert!(books.stocks.keys().eq(model.stocks.keys()));
    for (goods, stock) in &books.stocks {
        let live = books
            .holds
            .iter()
            .filter(|((held, _), hold)| held == goods && hold.expire_time > books.now);
        let live: i64 = live.map(|(_, hold)| hold.pieces).sum();
        assert_eq!((stock.on_hand, stock.safety), model.stocks[goods], "{goods}");
        assert_eq!(live, model.held(*goods), "{goods}");
    }
    assert!(books.orders.keys().eq(model.orders.keys()));
    for (sn, known) in &model.orders {
        let state = books.order(sn).expect("an order on record").state_at(books.now);
        assert_eq!(state, known.state(model.now), "{sn}");
    }
}

/// A repeat of a change of stock is answered with the whole of the first answer.
fn repeats_are_answered_alike(books: &Books, act: &Act, answer: &Result<Answer, Refusal>) {
    if let (Act::Stock(act), Ok(Answer::Setting(setting))) = (act, answer)
        && let Some(id) = &act.request
    {
        assert_eq!(books.requests[id].stock, setting.stock);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn the_rules_agree_with_the_model(
        look_max in 1..5_usize,
        rounds in vec(round(), 1..40),
    ) {
        let mut books = Books::with(&[]);
        let mut model = Model::new(START);
        for act in [set(1, 10), set(2, 10), set(3, 10)] {
            books.changed(act.clone());
            model.act(&act).expect("goods are stocked");
        }
        books.look_max = look_max;
        for (pass, acts) in rounds {
            books.pass(pass);
            model.now = books.now;
            let answers = books.batch(&acts);
            for (act, answer) in acts.iter().zip(&answers) {
                let expected = model.act(act);
                let answered = answer.as_ref().map(told).map_err(Clone::clone);
                assert_eq!(answered, expected, "{act:?} at {}", books.now);
                repeats_are_answered_alike(&books, act, answer);
            }
            agree(&books, &model);
        }
    }

    /// The audit after every round and every look of the books is all that is asked for here.
    #[test]
    fn the_books_stay_in_order_when_the_clock_goes_back(
        look_max in 1..5_usize,
        rounds in vec((-3_000..3_000_i64, round()), 1..40),
    ) {
        let mut books = Books::with(&[(1, 10), (2, 10), (3, 10)]);
        books.look_max = look_max;
        for (jump, (_, acts)) in rounds {
            books.pass(jump);
            let dead: Vec<_> = ORDERS.into_iter().filter(|sn| has_lost_a_line(&books, sn)).collect();
            books.batch(&acts);
            for sn in dead {
                assert_ne!(books.state(sn), OrderState::Reserved, "{sn} came to life again");
            }
        }
    }
}

fn has_lost_a_line(books: &Books, sn: &str) -> bool {
    books.order(&key(sn)).is_some_and(|order| {
        order.state == OrderState::Reserved && order.lines.iter().any(|line| !line.held)
    })
}
