//! Batches as large as a lane's: many orders, lines and goods in one write.

use super::world::{World, goods_id, on_both, order_of, sn};
use crate::act::{Needs, OrderAct, PartialReback};
use crate::decide::{Changes, Held, Round};
use crate::order::{Key, Line, Quantity};
use crate::record::{KnownOrder, OrderState, Shelf, Stock};
use std::collections::BTreeMap;
use std::time::Instant;

/// As many as a batch has at most.
const GOODS: i64 = 256;
const LINES: i64 = 4;
const ON_HAND: i64 = 1_000_000;

async fn stocked(world: &World) {
    let stock = Stock { on_hand: ON_HAND, reserved: 0, safety: 0, version: 1, update_time: 1 };
    let new_stocks = (1..=GOODS).map(|goods| (goods_id(goods), stock)).collect();
    world.write(&Changes { new_stocks, now: 1, ..Changes::default() }).await.unwrap();
}

fn lines_of(number: usize) -> Vec<(i64, i64)> {
    (0..LINES).map(|line| ((number as i64 * LINES + line) % GOODS + 1, 1 + line)).collect()
}

async fn held(world: &World, numbers: &[usize]) -> Held {
    let needs = Needs {
        goods: (1..=GOODS).map(goods_id).collect(),
        orders: numbers.iter().copied().map(sn).collect(),
        ..Needs::default()
    };
    let mut reader = world.reader().await;
    let shelf = reader.on().look_at_shelf(&needs.goods).await.unwrap();
    let records = reader.on().records(&needs).await.unwrap();
    Held { now: 1_000, goods: needs.goods, shelf, orders: records.orders, ..Held::default() }
}

/// Does one act for each order and answers what must be on record then.
async fn all(
    world: &World,
    numbers: &[usize],
    act: impl Fn(usize) -> OrderAct,
) -> (Shelf, BTreeMap<Key, KnownOrder>) {
    let mut round = Round::on(held(world, numbers).await);
    for number in numbers {
        round.order(&act(*number)).unwrap();
    }
    let after = round.held().clone();
    let changes = round.changes();
    let begun = Instant::now();
    world.write(&changes).await.unwrap();
    println!("{} orders: {:?}", numbers.len(), begun.elapsed());
    (after.shelf, after.orders)
}

async fn assert_on_record(
    world: &World,
    numbers: &[usize],
    after: (Shelf, BTreeMap<Key, KnownOrder>),
) {
    let held = held(world, numbers).await;
    assert!(
        held.shelf == after.0 && held.orders == after.1,
        "what was written is not what is read"
    );
    world.assert_reserved_is_what_is_held().await;
}

async fn batches_of_every_length_are_written_whole(world: World) {
    stocked(&world).await;
    let mut next = 0;
    for length in [1, 2, 3, 200, 1_023, 1_024] {
        let numbers: Vec<usize> = (next..next + length).collect();
        next += length;
        // Every second one holds.
        let ttl = |number| (number % 2 == 0).then_some(5_000);
        let sell = |number| OrderAct::Sell(order_of(number, &lines_of(number), ttl(number)));
        let after = all(&world, &numbers, sell).await;
        assert_on_record(&world, &numbers, after).await;
        let confirm = |number| OrderAct::Confirm { sn: sn(number), reacquire: false };
        let after = all(&world, &numbers, confirm).await;
        assert!(after.1.values().all(|order| order.state == OrderState::Confirmed));
        assert_on_record(&world, &numbers, after).await;
        // Another number of pieces of another line each.
        let give_some_back = |number: usize| {
            let (goods, pieces) = lines_of(number)[number % LINES as usize];
            let quantity = Quantity::new(pieces.min(2)).unwrap();
            let lines = vec![Line { goods: goods_id(goods), quantity }];
            let request = Key::from_record("r".into());
            OrderAct::PartialReback(PartialReback { sn: sn(number), lines, request })
        };
        let after = all(&world, &numbers, give_some_back).await;
        assert_on_record(&world, &numbers, after).await;
        let after = all(&world, &numbers, |number| OrderAct::Reback(sn(number))).await;
        assert!(after.1.values().all(|order| order.state == OrderState::Returned));
        assert_on_record(&world, &numbers, after).await;
    }
    assert_eq!(world.number("SELECT COUNT(*) FROM hold").await, 0);
    assert_eq!(world.number("SELECT COUNT(*) FROM orders").await, next as i64);
    assert_eq!(world.number("SELECT COUNT(*) FROM order_return").await, next as i64);
    let untouched = world.number("SELECT COUNT(*) FROM stock WHERE on_hand = 1000000").await;
    assert_eq!(untouched, GOODS, "all came back");
}

async fn a_batch_that_holds_lets_go_and_extends_is_written_whole(world: World) {
    stocked(&world).await;
    let numbers: Vec<usize> = (0..1_024).collect();
    let sell = |number| OrderAct::Sell(order_of(number, &lines_of(number), Some(5_000)));
    let after = all(&world, &numbers, sell).await;
    assert_on_record(&world, &numbers, after).await;
    let ttl = |number: usize| crate::order::Ttl::new(6_000 + number as i64 % 3).unwrap();
    let go_on = |number: usize| match number % 4 {
        0 => OrderAct::Cancel(sn(number)),
        1 => OrderAct::Confirm { sn: sn(number), reacquire: true },
        _ => OrderAct::Extend { sn: sn(number), ttl: ttl(number) },
    };
    let after = all(&world, &numbers, go_on).await;
    assert_on_record(&world, &numbers, after).await;
    assert_eq!(world.number("SELECT COUNT(DISTINCT expire_time) FROM hold").await, 3);
}

on_both!(
    batches_of_every_length_are_written_whole,
    a_batch_that_holds_lets_go_and_extends_is_written_whole,
);
