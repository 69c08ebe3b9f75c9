//! What ledger and holds come to, span by span and part by part.

use super::world::{World, changed, entry, goods_id, on_both, order_on_record, reserved, sold};
use crate::decide::Changes;
use crate::record::{OrderState, Span};
use crate::store::{SUMMED_MAX, Summed};
use std::collections::BTreeMap;

fn ledger(rows: impl Iterator<Item = (i64, i64, i64)>) -> Changes {
    let entries = rows.map(|(goods, delta, balance)| entry(goods, 1, delta, balance));
    Changes { ledger: entries.collect(), now: 1, ..Changes::default() }
}

/// Adds the ledger of a span up, part by part: sum, newest balance and rows by goods; and how many parts there were.
async fn added_up(world: &World, span: Span) -> (BTreeMap<i64, (i64, i64, usize)>, usize) {
    let (mut figures, mut parts) = (BTreeMap::<i64, (i64, i64, usize)>::new(), 0);
    let mut behind = (span.after, i64::MAX);
    loop {
        parts += 1;
        let summed = world.reader().await.on().summed(behind, span.through).await.unwrap();
        assert!(summed.is_sorted_by_key(|summed| summed.goods));
        for Summed { goods, sum, newest, balance, rows } in &summed {
            let before = figures.get(&goods.get()).copied().unwrap_or_default();
            figures.insert(goods.get(), (before.0 + sum, *balance, before.2 + rows));
            behind = (goods.get(), *newest);
        }
        if summed.iter().map(|summed| summed.rows).sum::<usize>() < SUMMED_MAX {
            return (figures, parts);
        }
    }
}

async fn a_ledger_longer_than_a_part_is_added_up_whole(world: World) {
    let rows = SUMMED_MAX as i64;
    // Goods 2 has as many rows as go into a part, and one more.
    world.write(&ledger((1..=rows + 1).map(|row| (2, 3, row)))).await.unwrap();
    world.write(&ledger([(3, 7, 7), (1, -5, -5), (3, -2, 5)].into_iter())).await.unwrap();
    let whole = BTreeMap::from([
        (1, (-5, -5, 1)),
        (2, (3 * (rows + 1), rows + 1, SUMMED_MAX + 1)),
        (3, (5, 5, 2)),
    ]);
    assert_eq!(added_up(&world, Span::ALL).await, (whole.clone(), 2));
    for goods in 1..=4 {
        let of_one = whole.clone().into_iter().filter(|(id, _)| *id == goods).collect();
        assert_eq!(added_up(&world, Span::of(goods_id(goods))).await.0, of_one);
    }
    let span = Span { after: 1, through: 2 };
    assert_eq!(added_up(&world, span).await.0.into_keys().collect::<Vec<_>>(), [2]);
}

async fn stock_and_holds_are_read_span_by_span(world: World) {
    let mut world = world;
    for goods in [1, 2, 5] {
        world = world.stocked(goods, 10).await;
        let stock = world.stock(goods).await;
        let mut changes = changed(goods, stock, reserved(stock, 2));
        changes.new_orders = [2 * goods, 2 * goods + 1]
            .map(|n| order_on_record(n as usize, goods, 1, OrderState::Reserved, Some(n)))
            .into();
        world.write(&changes).await.unwrap();
    }
    let mut reader = world.reader().await;
    for (after, through, expected) in
        [(0, i64::MAX, vec![1, 2, 5]), (1, 5, vec![2, 5]), (1, 4, vec![2]), (5, i64::MAX, vec![])]
    {
        let span = Span { after, through };
        let shelf = reader.on().shelf_of(span, 9).await.unwrap();
        assert_eq!(shelf.0.keys().map(|goods| goods.get()).collect::<Vec<_>>(), expected);
        let held = reader.on().held(span).await.unwrap();
        let held: Vec<_> = held.into_iter().map(|(goods, pieces)| (goods.get(), pieces)).collect();
        assert_eq!(held, expected.into_iter().map(|goods| (goods, 2)).collect::<Vec<_>>());
    }
    let shelf = reader.on().shelf_of(Span::ALL, 2).await.unwrap();
    assert_eq!(shelf.0.keys().map(|goods| goods.get()).collect::<Vec<_>>(), [1, 2]);
}

async fn a_snapshot_sees_nothing_of_what_is_written_later(world: World) {
    let world = world.stocked(1, 10).await;
    world.write(&ledger([(1, 10, 10)].into_iter())).await.unwrap();
    let mut snapshot = world.store.snapshot().await.unwrap();
    // On SQLite it is taken by the first look.
    let before = snapshot.on().shelf_of(Span::ALL, 9).await.unwrap();
    let stock = world.stock(1).await;
    let mut changes = changed(1, stock, sold(stock, 4));
    changes.ledger = vec![entry(1, 1, -4, 6)];
    changes.new_orders = vec![order_on_record(1, 1, 1, OrderState::Reserved, Some(9))];
    world.write(&changes).await.unwrap();
    assert_eq!(snapshot.on().shelf_of(Span::ALL, 9).await.unwrap(), before);
    let summed = snapshot.on().summed((0, 0), i64::MAX).await.unwrap();
    assert_eq!((summed.len(), summed[0].sum, summed[0].balance, summed[0].rows), (1, 10, 10, 1));
    assert!(snapshot.on().held(Span::ALL).await.unwrap().is_empty());
    drop(snapshot);
    assert_eq!(world.stock(1).await.on_hand, 6);
    let since = world.reader().await.on().summed((1, summed[0].newest), 1).await.unwrap();
    assert_eq!((since[0].sum, since[0].balance, since[0].rows), (-4, 6, 1));
}

on_both!(
    a_ledger_longer_than_a_part_is_added_up_whole,
    stock_and_holds_are_read_span_by_span,
    a_snapshot_sees_nothing_of_what_is_written_later,
);
