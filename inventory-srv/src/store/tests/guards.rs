//! What each statement refuses to write.

use super::world::{
    World, changed, goods_id, new_stock, on_both, order_on_record, reserved, sn, sold,
};
use crate::decide::Changes;
use crate::order::{Key, Line, QUANTITY_MAX, Quantity};
use crate::record::{FirstAnswer, KnownOrder, OrderState, Stock};
use crate::store::StoreError;

#[track_caller]
fn assert_moved(result: Result<(), StoreError>) {
    assert!(matches!(result, Err(StoreError::Moved)), "{result:?}");
}

#[track_caller]
fn assert_broken(result: Result<(), StoreError>) {
    assert!(matches!(result, Err(StoreError::Broken(_))), "{result:?}");
}

/// A stock that was changed for its own sake.
fn set(goods: i64, before: Stock, after: Stock) -> Changes {
    Changes { set: [goods_id(goods)].into(), ..changed(goods, before, after) }
}

async fn a_stock_that_moved_since_it_was_read_is_left_as_it_is(world: World) {
    let world = world.stocked(1, 100).await.stocked(2, 100).await;
    let (first, second) = (world.stock(1).await, world.stock(2).await);
    world.write(&changed(1, first, sold(first, 1))).await.unwrap();
    let moved = world.stock(1).await;
    assert_moved(world.write(&changed(1, first, sold(first, 1))).await);
    // One of many is enough.
    let mut both = changed(2, second, sold(second, 1));
    both.stocks.push((goods_id(1), first, sold(first, 1)));
    assert_moved(world.write(&both).await);
    let gone = Stock { version: 7, ..second };
    assert_moved(world.write(&changed(3, gone, sold(gone, 1))).await);
    assert_eq!((world.stock(1).await, world.stock(2).await), (moved, second));
}

async fn what_is_not_available_is_not_taken_even_if_the_version_is_right(world: World) {
    let world = world.stocked(1, 10).await;
    let stock = world.stock(1).await;
    let safety = Stock { safety: 4, version: 2, ..stock };
    // More is kept back than there is: nothing is taken by that.
    let too_safe = Stock { safety: 400, version: 3, ..safety };
    world.write(&set(1, stock, safety)).await.unwrap();
    world.write(&set(1, safety, too_safe)).await.unwrap();
    let stock = Stock { version: 4, ..safety };
    world.write(&set(1, too_safe, stock)).await.unwrap();
    // A decision that believes in more than there is.
    let believed = Stock { on_hand: 1_000, ..stock };
    assert_moved(world.write(&changed(1, believed, sold(believed, 7))).await);
    assert_moved(world.write(&changed(1, believed, reserved(believed, 7))).await);
    assert_eq!(world.stock(1).await, stock);
    world.write(&changed(1, stock, sold(stock, 6))).await.unwrap();
    assert_eq!(world.stock(1).await.on_hand, 4);
}

async fn a_stock_may_be_set_below_what_was_available(world: World) {
    let world = world.stocked(1, 10).await;
    let stock = world.stock(1).await;
    let safe = Stock { safety: 8, version: 2, ..stock };
    world.write(&set(1, stock, safe)).await.unwrap();
    let low = Stock { on_hand: 1, version: 3, ..safe };
    assert_moved(world.write(&changed(1, safe, low)).await);
    world.write(&set(1, safe, low)).await.unwrap();
    assert_eq!(world.stock(1).await.on_hand, 1);
}

async fn a_younger_lease_keeps_an_older_one_out(world: World) {
    let world = world.stocked(1, 100).await;
    for (fence, is_kept_out) in
        [(7, false), (7, false), (6, true), (0, false), (6, true), (8, false), (7, true)]
    {
        let stock = world.stock(1).await;
        let written = world.write_fenced(&changed(1, stock, sold(stock, 1)), fence).await;
        if is_kept_out { assert_moved(written) } else { written.unwrap() }
    }
    assert_eq!(world.stock(1).await.on_hand, 96);
}

async fn no_stock_goes_over_the_cap_or_below_what_is_reserved(world: World) {
    let world = world.stocked(1, 10).await;
    assert_broken(world.write(&new_stock(2, QUANTITY_MAX + 1)).await);
    world.write(&new_stock(2, QUANTITY_MAX)).await.unwrap();
    let stock = world.stock(1).await;
    let over = Stock { on_hand: QUANTITY_MAX + 1, version: 2, ..stock };
    assert_broken(world.write(&changed(1, stock, over)).await);
    let hollow = Stock { reserved: 11, safety: -1, version: 2, ..stock };
    assert_broken(world.write(&changed(1, stock, hollow)).await);
    assert_eq!(world.stock(1).await, stock);
}

async fn a_key_is_written_once(world: World) {
    let world = world.stocked(1, 10).await;
    let orders = |orders: Vec<KnownOrder>| Changes { new_orders: orders, ..Changes::default() };
    let order = order_on_record(1, 1, 5, OrderState::Confirmed, None);
    world.write(&orders(vec![order.clone()])).await.unwrap();
    let answer = FirstAnswer { payload: [1; 32], goods: goods_id(1), stock: world.stock(1).await };
    let keys = Changes {
        requests: vec![(Key::from_record("a".into()), answer)],
        returns: vec![((sn(1), Key::from_record("a".into())), [1; 32])],
        ..Changes::default()
    };
    world.write(&keys).await.unwrap();
    let fresh = order_on_record(2, 1, 5, OrderState::Confirmed, None);
    for twice in [
        orders(vec![fresh, order]),
        Changes { returns: vec![], ..keys.clone() },
        Changes { requests: vec![], ..keys },
    ] {
        let written = world.write(&twice).await;
        assert!(matches!(written, Err(StoreError::Duplicate(_))), "{written:?}");
    }
    assert_eq!(world.number("SELECT COUNT(*) FROM orders").await, 1);
}

/// One order that holds a piece of goods 1 until 1,000.
async fn holding(world: World) -> (World, KnownOrder) {
    let world = world.stocked(1, 10).await;
    let stock = world.stock(1).await;
    let order = order_on_record(1, 1, 5, OrderState::Reserved, Some(1_000));
    let mut changes = changed(1, stock, reserved(stock, 1));
    changes.new_orders.push(order.clone());
    world.write(&changes).await.unwrap();
    (world, order)
}

fn moved_to(before: &KnownOrder, state: OrderState) -> KnownOrder {
    let mut after = KnownOrder { state, update_time: 10, ..before.clone() };
    after.lines[0].held = false;
    after
}

fn step(before: &KnownOrder, after: KnownOrder) -> Changes {
    Changes { orders: vec![(before.clone(), after)], now: 10, ..Changes::default() }
}

async fn an_order_moves_on_from_the_state_it_was_read_in(world: World) {
    let (world, order) = holding(world).await;
    world.write(&step(&order, moved_to(&order, OrderState::Cancelled))).await.unwrap();
    assert_moved(world.write(&step(&order, moved_to(&order, OrderState::Confirmed))).await);
    assert_eq!(world.known(1).await.state, OrderState::Cancelled);
}

async fn a_hold_ends_once_and_is_never_shortened(world: World) {
    let (world, order) = holding(world).await;
    let extended = |end| KnownOrder { expire_time: Some(end), update_time: 10, ..order.clone() };
    assert_moved(world.write(&step(&order, extended(900))).await);
    world.write(&step(&order, extended(2_000))).await.unwrap();
    assert_eq!(world.known(1).await, extended(2_000));
    assert_eq!(world.number("SELECT expire_time FROM hold").await, 2_000);
    // It was seen dead at 1,500, but was extended since.
    let released =
        |now| Changes { released: vec![(sn(1), goods_id(1))], now, ..Changes::default() };
    assert_moved(world.write(&released(1_500)).await);
    world.write(&released(2_000)).await.unwrap();
    assert_moved(world.write(&released(2_000)).await);
    let known = world.known(1).await;
    assert_moved(world.write(&step(&order, moved_to(&order, OrderState::Confirmed))).await);
    assert_moved(
        world.write(&step(&known, KnownOrder { expire_time: Some(2_500), ..order })).await,
    );
    assert_eq!(world.known(1).await, known);
    assert!(!known.lines[0].held);
}

async fn take_takes_what_is_available_and_no_more(world: World) {
    let world = world.stocked(1, 10).await;
    let stock = world.stock(1).await;
    let less = Stock { safety: 2, reserved: 5, version: 2, ..stock };
    world.write(&changed(1, stock, less)).await.unwrap();
    let line =
        |goods, pieces| Line { goods: goods_id(goods), quantity: Quantity::new(pieces).unwrap() };
    for (goods, pieces, is_taken) in [(1, 4, false), (1, 3, true), (1, 1, false), (2, 1, false)] {
        let mut transaction = world.store.begin().await.unwrap();
        let taken = transaction.on().take(line(goods, pieces)).await.unwrap();
        transaction.commit(&Changes::default()).await.unwrap();
        assert_eq!(taken, is_taken, "{pieces} of {goods}");
    }
    let left = world.stock(1).await;
    assert_eq!((left.on_hand, left.reserved, left.version), (7, 5, 3));
}

on_both!(
    a_stock_that_moved_since_it_was_read_is_left_as_it_is,
    what_is_not_available_is_not_taken_even_if_the_version_is_right,
    a_stock_may_be_set_below_what_was_available,
    a_younger_lease_keeps_an_older_one_out,
    no_stock_goes_over_the_cap_or_below_what_is_reserved,
    a_key_is_written_once,
    an_order_moves_on_from_the_state_it_was_read_in,
    a_hold_ends_once_and_is_never_shortened,
    take_takes_what_is_available_and_no_more,
);
