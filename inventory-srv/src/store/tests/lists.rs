//! Pages of orders and of the ledger.

use super::world::{World, entry, goods_id, on_both, order_on_record, sn};
use crate::decide::Changes;
use crate::order::OrderSn;
use crate::record::{KnownOrder, LedgerFilter, Milliseconds, OrderCursor, OrderFilter, OrderState};
use crate::store::{PAGE_MAX, SCANNED_MAX};

async fn put(world: &World, new_orders: Vec<KnownOrder>) {
    world.write(&Changes { new_orders, now: 1, ..Changes::default() }).await.unwrap();
}

fn confirmed(number: usize, goods: i64, create_time: Milliseconds) -> KnownOrder {
    order_on_record(number, goods, create_time, OrderState::Confirmed, None)
}

/// All pages, each with what was done before it.
async fn listed(world: &World, filter: &OrderFilter, limit: u32) -> Vec<OrderSn> {
    let (mut all, mut after): (Vec<OrderSn>, Option<OrderCursor>) = (Vec::new(), None);
    loop {
        let page = world.reader().await.on().orders(filter, after.as_ref(), limit).await.unwrap();
        assert!(page.orders.len() <= limit as usize);
        all.extend(page.orders.into_iter().map(|order| order.sn));
        if page.next.is_none() {
            return all;
        }
        assert_ne!(page.next, after, "a page goes on");
        after = page.next;
    }
}

fn sns(numbers: impl IntoIterator<Item = usize>) -> Vec<OrderSn> {
    numbers.into_iter().map(sn).collect()
}

async fn orders_are_listed_by_time_whatever_the_page(world: World) {
    // Four to a moment, so that pages end within one.
    put(&world, (0..20).map(|n| confirmed(n, 1, 100 + n as i64 / 4)).collect()).await;
    for limit in [1, 3, 4, 19, 20, 21] {
        let all = listed(&world, &OrderFilter::default(), limit).await;
        assert_eq!(all, sns((0..20).rev()), "{limit} to a page");
    }
    let page = world.reader().await.on().orders(&OrderFilter::default(), None, 20).await.unwrap();
    assert_eq!(page.next, None, "nothing follows a page that is just full");
    assert_eq!(page.orders[19], confirmed(0, 1, 100));
    // From inclusive, until exclusive.
    let filter = OrderFilter { from: Some(101), until: Some(103), ..OrderFilter::default() };
    assert_eq!(listed(&world, &filter, 3).await, sns((4..12).rev()));
    let nothing = OrderFilter { from: Some(200), ..OrderFilter::default() };
    assert!(listed(&world, &nothing, 3).await.is_empty());
}

async fn orders_are_listed_by_goods(world: World) {
    put(&world, (0..30).map(|n| confirmed(n, n as i64 % 3 + 1, 100 + n as i64 / 6)).collect())
        .await;
    let of = |goods| OrderFilter { goods: Some(goods_id(goods)), ..OrderFilter::default() };
    for limit in [1, 4, 10, 11] {
        assert_eq!(listed(&world, &of(2), limit).await, sns((0..30).rev().filter(|n| n % 3 == 1)));
    }
    assert!(listed(&world, &of(9), 4).await.is_empty());
    let late = OrderFilter { from: Some(102), state: Some(OrderState::Confirmed), ..of(1) };
    assert_eq!(listed(&world, &late, 2).await, sns((12..30).rev().filter(|n| n % 3 == 0)));
}

async fn orders_are_listed_by_their_state_at_the_moment(world: World) {
    let now = world.clock().await;
    let (past, future) = (now - 1, now + 600_000);
    let order = |n: usize| {
        let (state, end) = match n % 4 {
            0 => (OrderState::Reserved, Some(past)),
            1 => (OrderState::Reserved, Some(future)),
            // Sold before its end came.
            2 => (OrderState::Confirmed, Some(past)),
            _ => (OrderState::Cancelled, None),
        };
        order_on_record(n, 1, n as i64, state, end)
    };
    put(&world, (0..40).map(order).collect()).await;
    for (state, rest) in [
        (OrderState::Expired, 0),
        (OrderState::Reserved, 1),
        (OrderState::Confirmed, 2),
        (OrderState::Cancelled, 3),
        (OrderState::Returned, 9),
    ] {
        let wanted = sns((0..40).rev().filter(|n| n % 4 == rest));
        let filter = OrderFilter { state: Some(state), ..OrderFilter::default() };
        assert_eq!(listed(&world, &filter, 3).await, wanted, "{state:?}");
        let filter = OrderFilter { goods: Some(goods_id(1)), ..filter };
        assert_eq!(listed(&world, &filter, 10).await, wanted, "{state:?}");
    }
}

async fn a_page_looks_at_a_bounded_number_of_orders(world: World) {
    let mut orders: Vec<_> = (1..=SCANNED_MAX).map(|n| confirmed(n, 1, n as i64)).collect();
    orders.insert(0, order_on_record(0, 1, 0, OrderState::Cancelled, None));
    put(&world, orders).await;
    let filter = OrderFilter { state: Some(OrderState::Cancelled), ..OrderFilter::default() };
    let page = world.reader().await.on().orders(&filter, None, 10).await.unwrap();
    assert!(page.orders.is_empty());
    assert_eq!(page.next, Some(OrderCursor { create_time: 1, sn: sn(1) }));
    assert_eq!(listed(&world, &filter, 10).await, sns([0]));
    let all = OrderFilter::default();
    let page = world.reader().await.on().orders(&all, None, u32::MAX).await.unwrap();
    assert_eq!(page.orders.len(), PAGE_MAX as usize);
}

async fn what_is_inserted_meanwhile_neither_doubles_nor_hides_an_order(world: World) {
    put(&world, (0..10).map(|n| confirmed(n, 1, 100)).collect()).await;
    let filter = OrderFilter::default();
    let first = world.reader().await.on().orders(&filter, None, 4).await.unwrap();
    put(&world, (50..60).map(|n| confirmed(n, 1, 200)).collect()).await;
    let second = world.reader().await.on().orders(&filter, first.next.as_ref(), 6).await.unwrap();
    let all = first.orders.into_iter().chain(second.orders).map(|order| order.sn);
    assert_eq!(all.collect::<Vec<_>>(), sns((0..10).rev()));
    assert_eq!(second.next, None);
}

async fn the_ledger_is_listed_by_goods_and_by_order(world: World) {
    let world = world.stocked(1, 10).await.stocked(2, 10).await;
    let mut written = Vec::new();
    for number in 0..12 {
        let mut row = entry(number as i64 % 2 + 1, number / 4, -1, 100 - number as i64);
        row.reason = (number == 5).then(|| "gezählt".to_owned());
        written.push(row);
    }
    // Two writes, so that pages span them.
    for (part, now) in [(&written[..7], 1_000), (&written[7..], 2_000)] {
        let changes = Changes { ledger: part.to_vec(), now, ..Changes::default() };
        world.write(&changes).await.unwrap();
    }
    for filter in [LedgerFilter::Goods(goods_id(2)), LedgerFilter::Order(sn(1))] {
        let (mut rows, mut after) = (Vec::new(), None);
        loop {
            let page = world.reader().await.on().ledger(&filter, after, 3).await.unwrap();
            rows.extend(page.rows);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        let is_wanted = |row: &&crate::record::Entry| match &filter {
            LedgerFilter::Goods(goods) => row.goods == *goods,
            LedgerFilter::Order(sn) => row.order.as_ref() == Some(sn),
        };
        let wanted: Vec<_> = written.iter().rev().filter(is_wanted).cloned().collect();
        assert!(rows.is_sorted_by(|newer, older| newer.id > older.id));
        assert!(rows.iter().all(|row| row.time == 1_000 || row.time == 2_000));
        assert_eq!(rows.into_iter().map(|row| row.entry).collect::<Vec<_>>(), wanted);
    }
}

on_both!(
    orders_are_listed_by_time_whatever_the_page,
    orders_are_listed_by_goods,
    orders_are_listed_by_their_state_at_the_moment,
    a_page_looks_at_a_bounded_number_of_orders,
    what_is_inserted_meanwhile_neither_doubles_nor_hides_an_order,
    the_ledger_is_listed_by_goods_and_by_order,
);
