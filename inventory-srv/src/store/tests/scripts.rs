//! Statements that go together.

use super::world::{World, changed, entry, goods_id, new_stock, on_both, sn, sold};
use crate::decide::Changes;
use crate::record::Entry;
use crate::store::StoreError;

/// Rows of three texts as long as MySQL gets them, each with the longest reason.
const ROWS: usize = 2_500;

async fn what_does_not_fit_into_one_text_is_written_all_the_same(world: World) {
    let world = world.stocked(1, 10).await;
    let row = |n| Entry { reason: Some("r".repeat(800)), ..entry(1, n, 1, 1) };
    let ledger = (0..ROWS).map(row).collect();
    world.write(&Changes { ledger, now: 1, ..Changes::default() }).await.unwrap();
    let written = "SELECT COUNT(*) FROM ledger WHERE LENGTH(reason) = 800";
    assert_eq!(world.number(written).await, ROWS as i64);
}

async fn a_statement_in_the_middle_that_misses_a_row_undoes_those_before_and_behind_it(
    world: World,
) {
    let world = world.stocked(1, 10).await;
    let stock = world.stock(1).await;
    let mut changes = changed(1, stock, sold(stock, 1));
    changes.new_stocks = new_stock(2, 5).new_stocks;
    changes.ledger.push(entry(1, 1, -1, 9));
    // Nobody has this hold.
    changes.released.push((sn(7), goods_id(1)));
    let result = world.write(&changes).await;
    assert!(matches!(result, Err(StoreError::Moved)), "{result:?}");
    assert_eq!(world.stock(1).await, stock);
    assert_eq!(world.number("SELECT COUNT(*) FROM ledger").await, 0);
    assert_eq!(world.number("SELECT COUNT(*) FROM stock").await, 1);
}

on_both!(
    what_does_not_fit_into_one_text_is_written_all_the_same,
    a_statement_in_the_middle_that_misses_a_row_undoes_those_before_and_behind_it,
);
