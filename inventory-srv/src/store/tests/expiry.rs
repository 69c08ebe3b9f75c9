//! Dead holds: found in bounded numbers, never counted for readers.

use super::world::{World, goods_id, on_both, order_on_record, sn};
use crate::decide::Changes;
use crate::record::{Milliseconds, OrderState, Stock};
use std::collections::BTreeSet;

/// Goods with as many pieces as holds on them, each of one piece and ending at this moment.
async fn holds(world: &World, goods: i64, numbers: std::ops::Range<usize>, end: Milliseconds) {
    let count = numbers.len() as i64;
    let stock = Stock { on_hand: count, reserved: count, safety: 0, version: 1, update_time: 1 };
    let order = |number| order_on_record(number, goods, 1, OrderState::Reserved, Some(end));
    let changes = Changes {
        new_stocks: vec![(goods_id(goods), stock)],
        new_orders: numbers.map(order).collect(),
        now: 1,
        ..Changes::default()
    };
    world.write(&changes).await.unwrap();
}

fn ids(goods: &[i64]) -> BTreeSet<crate::order::GoodsId> {
    goods.iter().copied().map(goods_id).collect()
}

/// How many dead holds one order releases at most, in figures: a test that asks the code agrees with any.
const PROMISED: usize = 500;

async fn dead_holds_are_found_up_to_a_bound(world: World) {
    holds(&world, 1, 0..PROMISED, 1_000).await;
    let mut reader = world.reader().await;
    let mut session = reader.on();
    // A hold is dead exactly at its end.
    let alive = session.expired(&ids(&[1]), 999).await.unwrap();
    assert!(alive.holds.is_empty() && !alive.more);
    let dead = session.expired(&ids(&[1, 2]), 1_000).await.unwrap();
    assert_eq!(dead.holds[&goods_id(1)].len(), PROMISED);
    assert_eq!(dead.holds[&goods_id(1)][&sn(7)], 1);
    assert!(!dead.more);
    drop(reader);
    holds(&world, 2, 1_000..1_001, 900).await;
    let dead = world.reader().await.on().expired(&ids(&[1, 2, 3]), 1_000).await.unwrap();
    let found: Vec<_> = dead.holds.values().map(|holds| holds.len()).collect();
    assert!(dead.more);
    // The one of goods 2 is not hidden by the many of goods 1.
    assert_eq!(found, [PROMISED / 3, 1]);
}

async fn readers_are_given_reserved_without_dead_holds(world: World) {
    let now = world.clock().await;
    holds(&world, 1, 0..3, now - 1).await;
    holds(&world, 2, 10..14, now + 600_000).await;
    let asked = [goods_id(1), goods_id(2), goods_id(3)];
    let (then, stocks) = world.reader().await.on().stocks(&asked).await.unwrap();
    assert!(then >= now);
    assert_eq!(stocks.len(), 2);
    assert_eq!((stocks[&goods_id(1)].reserved, stocks[&goods_id(2)].reserved), (0, 4));
    assert_eq!(stocks[&goods_id(1)].available(), 3);
    assert_eq!((world.stock(1).await.reserved, world.stock(2).await.reserved), (3, 4));
    let (_, none) = world.reader().await.on().stocks(&[]).await.unwrap();
    assert!(none.is_empty());
}

async fn a_sweeper_finds_goods_with_dead_holds(world: World) {
    let now = world.clock().await;
    let (_, none) = world.reader().await.on().goods_with_expired(10).await.unwrap();
    assert!(none.is_empty());
    for goods in 1..=4_usize {
        holds(&world, goods as i64, goods * 10..goods * 10 + 3, now - 1).await;
    }
    holds(&world, 5, 100..103, now + 600_000).await;
    let (then, goods) = world.reader().await.on().goods_with_expired(10).await.unwrap();
    assert!(then >= now);
    assert_eq!(goods, ids(&[1, 2, 3, 4]));
    let (_, goods) = world.reader().await.on().goods_with_expired(2).await.unwrap();
    assert_eq!(goods.len(), 2);
}

on_both!(
    dead_holds_are_found_up_to_a_bound,
    readers_are_given_reserved_without_dead_holds,
    a_sweeper_finds_goods_with_dead_holds,
);
