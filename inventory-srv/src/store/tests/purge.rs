//! What is found to be old, and what is deleted of it.

use super::world::{World, entry, goods_id, new_stock, on_both, order_on_record, sn};
use crate::decide::Changes;
use crate::order::Key;
use crate::record::{FirstAnswer, KnownOrder, OrderState, Stock};
use crate::store::{DELETED_MAX, Opening, StoreError};

fn key(number: usize) -> Key {
    Key::from_record(format!("r-{number}"))
}

async fn put(world: &World, new_orders: Vec<KnownOrder>) {
    let returns = new_orders.iter().map(|order| ((order.sn.clone(), key(1)), [1; 32])).collect();
    let changes = Changes { new_orders, returns, now: 1, ..Changes::default() };
    world.write(&changes).await.unwrap();
}

/// An order first seen at this moment that changed at that.
fn changed_at(number: usize, create_time: i64, update_time: i64) -> KnownOrder {
    let order = order_on_record(number, 1, create_time, OrderState::Confirmed, None);
    KnownOrder { update_time, ..order }
}

async fn orders_are_found_by_age_and_those_that_changed_or_hold_are_told_apart(world: World) {
    let held = order_on_record(5, 1, 30, OrderState::Reserved, Some(31));
    put(
        &world,
        vec![
            changed_at(1, 10, 99),
            changed_at(2, 10, 100),
            changed_at(3, 99, 99),
            changed_at(4, 100, 100),
            held,
        ],
    )
    .await;
    let found = world.reader().await.on().old_orders(None, 100).await.unwrap();
    let told: Vec<_> = found.iter().map(|(cursor, ended)| (cursor.sn.clone(), *ended)).collect();
    let expected = [(sn(1), true), (sn(2), false), (sn(5), false), (sn(3), true)];
    assert_eq!(told, expected);
    for (at, (cursor, _)) in found.iter().enumerate() {
        let rest = world.reader().await.on().old_orders(Some(cursor), 100).await.unwrap();
        assert_eq!(rest, found[at + 1..]);
    }
}

async fn orders_are_deleted_whole_or_not_at_all(world: World) {
    put(&world, (1..=4).map(|number| changed_at(number, 10, 10 * number as i64)).collect()).await;
    // The last one changed after it was found; another is gone.
    for refused in [vec![sn(1), sn(2), sn(4)], vec![sn(1), sn(9)]] {
        let mut transaction = world.store.begin().await.unwrap();
        let deleted = transaction.on().delete_orders(&refused, 40).await;
        assert!(matches!(deleted, Err(StoreError::Moved)), "{deleted:?}");
        transaction.rollback().await;
    }
    assert_eq!(world.number("SELECT COUNT(*) FROM orders").await, 4);
    let mut transaction = world.store.begin().await.unwrap();
    transaction.on().delete_orders(&[sn(1), sn(3)], 40).await.unwrap();
    transaction.commit(&Changes::default()).await.unwrap();
    for left in [
        "SELECT COUNT(*) FROM orders",
        "SELECT COUNT(*) FROM order_line",
        "SELECT COUNT(*) FROM order_return",
    ] {
        assert_eq!(world.number(left).await, 2, "{left}");
    }
    assert!(world.reader().await.on().order(&sn(3)).await.unwrap().1.is_none());
    assert_eq!(world.known(4).await, changed_at(4, 10, 40));
}

async fn an_opening_row_stands_for_the_rows_before_it_if_they_are_all_there(world: World) {
    let entries = [(1, 10, 10), (2, 5, 5), (1, -1, 9), (1, -2, 7), (2, -1, 4), (1, -3, 4)];
    let ledger = entries.map(|(goods, delta, balance)| entry(goods, 1, delta, balance)).into();
    world.write(&Changes { ledger, now: 1, ..Changes::default() }).await.unwrap();
    let rows = world.reader().await.on().oldest_entries(0).await.unwrap();
    assert_eq!(rows.len(), 6);
    assert_eq!(world.reader().await.on().oldest_entries(rows[3].id).await.unwrap(), rows[4..]);
    let opening = Opening { id: rows[3].id, delta: 7, rows: 3 };
    for refused in [Opening { rows: 4, ..opening }, Opening { id: i64::MAX, ..opening }] {
        let mut transaction = world.store.begin().await.unwrap();
        let opened = transaction.on().open_ledger(goods_id(1), refused).await;
        assert!(matches!(opened, Err(StoreError::Moved)), "{opened:?}");
        transaction.rollback().await;
    }
    let mut transaction = world.store.begin().await.unwrap();
    let held = transaction.on().lock_oldest_entries(goods_id(1)).await.unwrap();
    assert_eq!(held.iter().map(|row| row.entry.delta).collect::<Vec<_>>(), [10, -1, -2, -3]);
    transaction.on().open_ledger(goods_id(1), opening).await.unwrap();
    transaction.commit(&Changes::default()).await.unwrap();
    let left = world.reader().await.on().oldest_entries(0).await.unwrap();
    let mut opened = rows[3].clone();
    opened.entry.kind = crate::record::Kind::Opening;
    (opened.entry.order, opened.entry.delta) = (None, 7);
    assert_eq!(left, [rows[1].clone(), opened, rows[4].clone(), rows[5].clone()]);
}

async fn answers_to_requests_are_deleted_by_age(world: World) {
    let answer = |update_time| {
        let stock = Stock { on_hand: 1, reserved: 0, safety: 0, version: 1, update_time };
        FirstAnswer { payload: [1; 32], goods: goods_id(1), stock }
    };
    let count = DELETED_MAX + 3;
    let requests = (0..count).map(|number| (key(number), answer(number as i64))).collect();
    world.write(&Changes { requests, ..new_stock(1, 1) }).await.unwrap();
    let bound = count as i64 - 1;
    let found = world.reader().await.on().old_requests(bound).await.unwrap();
    assert_eq!(found, (0..DELETED_MAX).map(key).collect::<Vec<_>>());
    for (ids, deleted) in [(&found[..], DELETED_MAX), (&[key(count - 1), key(count - 2)], 1)] {
        let mut transaction = world.store.begin().await.unwrap();
        assert_eq!(transaction.on().delete_requests(ids, bound).await.unwrap(), deleted);
        transaction.commit(&Changes::default()).await.unwrap();
    }
    assert_eq!(world.number("SELECT COUNT(*) FROM stock_request").await, 2);
}

on_both!(
    orders_are_found_by_age_and_those_that_changed_or_hold_are_told_apart,
    orders_are_deleted_whole_or_not_at_all,
    an_opening_row_stands_for_the_rows_before_it_if_they_are_all_there,
    answers_to_requests_are_deleted_by_age,
);
