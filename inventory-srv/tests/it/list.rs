//! Rules of `ListOrders` and `ListLedger`.

use crate::shop::{bad_request, refusal};
use proto::inventory::v1::{
    LedgerKind, ListLedgerRequest, ListOrdersRequest, Order, OrderState,
    list_ledger_request::Filter,
};
use std::collections::BTreeSet;
use std::time::Duration;
use tonic::Code;

/// Longer than the clock of a stored moment takes to move on.
const MOMENT: Duration = Duration::from_millis(3);

fn milliseconds(time: prost_types::Timestamp) -> i64 {
    time.seconds * 1_000 + i64::from(time.nanos) / 1_000_000
}

fn created(order: &Order) -> i64 {
    milliseconds(order.create_time.unwrap())
}

/// The numbers of these orders, each of which must be there once.
#[track_caller]
fn numbers(orders: &[Order]) -> BTreeSet<&str> {
    let numbers: BTreeSet<_> = orders.iter().map(|order| order.order_sn.as_str()).collect();
    assert_eq!(numbers.len(), orders.len(), "an order is listed twice");
    numbers
}

fn of_goods(goods_id: i64) -> ListLedgerRequest {
    ListLedgerRequest { filter: Some(Filter::GoodsId(goods_id)), ..Default::default() }
}

fn of_order(sn: &str) -> ListLedgerRequest {
    ListLedgerRequest { filter: Some(Filter::OrderSn(sn.to_owned())), ..Default::default() }
}

contract! {
    async fn every_order_is_listed_once_the_newest_first(shop: &Shop) {
        shop.stock(&[(1, 100)]).await;
        for index in 0..11 {
            shop.sell(&format!("o-{index}"), &[(1, 1)]).await.unwrap();
        }
        let whole = shop.orders(ListOrdersRequest::default()).await;
        assert_eq!(numbers(&whole).len(), 11);
        assert!(whole.is_sorted_by_key(|order| std::cmp::Reverse(created(order))));
        for page_size in [1, 3, 11, 12] {
            let paged = shop.orders(ListOrdersRequest { page_size, ..Default::default() }).await;
            assert_eq!(paged, whole, "in pages of {page_size}");
        }
        assert_eq!(whole[0], shop.order(&whole[0].order_sn).await.unwrap());
    }

    async fn a_page_is_as_long_as_asked_for_50_by_default_and_200_at_most(shop: &Shop) {
        shop.stock(&[(1, 1_000)]).await;
        let orders: Vec<_> = (0..205).map(|index| crate::shop::request(&format!("o-{index}"), &[(1, 1)])).collect();
        shop.batch_sell(orders).await.unwrap();
        for (page_size, expected) in [(0, 50), (7, 7), (200, 200), (1_000, 200)] {
            let request = ListOrdersRequest { page_size, ..Default::default() };
            let page = shop.client().list_orders(request).await.unwrap().into_inner();
            assert_eq!((page.orders.len(), page.next_page_token.is_empty()), (expected, false));
        }
    }

    async fn orders_that_come_meanwhile_make_no_page_repeat_or_skip_others(shop: &Shop) {
        shop.stock(&[(1, 100)]).await;
        for index in 0..9 {
            shop.sell(&format!("o-{index}"), &[(1, 1)]).await.unwrap();
        }
        let mut seen = Vec::new();
        let mut request = ListOrdersRequest { page_size: 2, ..Default::default() };
        for index in 0..20 {
            // Newer than every page that is still to come.
            tokio::time::sleep(MOMENT).await;
            shop.sell(&format!("new-{index}"), &[(1, 1)]).await.unwrap();
            let page = shop.client().list_orders(request.clone()).await.unwrap().into_inner();
            seen.extend(page.orders);
            if page.next_page_token.is_empty() {
                break;
            }
            request.page_token = page.next_page_token;
        }
        let old: BTreeSet<_> = numbers(&seen).into_iter().filter(|sn| sn.starts_with("o-")).collect();
        assert_eq!(old.len(), 9);
    }

    async fn orders_are_listed_by_state_and_a_dead_hold_is_no_reservation(shop: &Shop) {
        shop.stock(&[(1, 100)]).await;
        shop.sell("sold", &[(1, 1)]).await.unwrap();
        shop.sell("back", &[(1, 1)]).await.unwrap();
        shop.reback("back").await.unwrap();
        shop.sell("partly", &[(1, 2)]).await.unwrap();
        shop.reback_lines("partly", &[(1, 1)], "r-1").await.unwrap();
        shop.cancel("never").await.unwrap();
        shop.hold("held", &[(1, 1)], 60).await.unwrap();
        shop.hold("dead", &[(1, 1)], 1).await.unwrap();
        shop.expire("dead").await;
        for (state, expected) in [
            (OrderState::Reserved, "held"),
            (OrderState::Confirmed, "sold"),
            (OrderState::PartlyReturned, "partly"),
            (OrderState::Returned, "back"),
            (OrderState::Cancelled, "never"),
            (OrderState::Expired, "dead"),
        ] {
            let request = ListOrdersRequest { state: state.into(), page_size: 1, ..Default::default() };
            let listed = shop.orders(request).await;
            assert_eq!(numbers(&listed), BTreeSet::from([expected]));
            assert_eq!(listed[0].state(), state);
            assert_eq!(listed[0], shop.order(expected).await.unwrap());
        }
    }

    async fn orders_are_listed_by_goods(shop: &Shop) {
        shop.stock(&[(1, 100), (2, 100), (3, 100)]).await;
        for index in 0..3 {
            shop.sell(&format!("a-{index}"), &[(1, 1)]).await.unwrap();
            shop.sell(&format!("b-{index}"), &[(1, 1), (2, 2)]).await.unwrap();
        }
        shop.hold("c", &[(2, 1)], 60).await.unwrap();
        for (goods_id, expected) in [(1, 6), (2, 4), (3, 0), (9, 0)] {
            for page_size in [1, 50] {
                let request = ListOrdersRequest { goods_id, page_size, ..Default::default() };
                let listed = shop.orders(request).await;
                assert_eq!(numbers(&listed).len(), expected);
                assert!(listed.iter().all(|order| order.lines.iter().any(|line| line.goods_id == goods_id)));
            }
        }
        // All that an order took is shown, not only what was asked for; and filters narrow each other.
        let request = ListOrdersRequest { goods_id: 2, state: OrderState::Confirmed.into(), ..Default::default() };
        let listed = shop.orders(request).await;
        assert_eq!(numbers(&listed).len(), 3);
        assert!(listed.iter().all(|order| order.lines.len() == 2));
    }

    async fn orders_are_listed_from_a_moment_until_before_another(shop: &Shop) {
        shop.stock(&[(1, 100)]).await;
        for index in 0..6 {
            shop.sell(&format!("o-{index}"), &[(1, 1)]).await.unwrap();
            tokio::time::sleep(MOMENT).await;
        }
        let whole = shop.orders(ListOrdersRequest::default()).await;
        let (from, until) = (whole[4].create_time, whole[1].create_time);
        for (create_time_from, create_time_until) in [(from, None), (None, until), (from, until), (from, from)] {
            let expected: Vec<_> = whole
                .iter()
                .filter(|order| create_time_from.is_none_or(|from| created(order) >= milliseconds(from)))
                .filter(|order| create_time_until.is_none_or(|until| created(order) < milliseconds(until)))
                .cloned()
                .collect();
            let request =
                ListOrdersRequest { create_time_from, create_time_until, page_size: 2, ..Default::default() };
            assert_eq!(shop.orders(request).await, expected);
        }
    }

    async fn a_list_that_cannot_be_is_refused_for_everything_that_is_wrong(shop: &Shop) {
        let time = |seconds| Some(prost_types::Timestamp { seconds, nanos: 0 });
        let request = ListOrdersRequest {
            state: 9,
            goods_id: -1,
            create_time_from: time(9),
            create_time_until: time(8),
            page_size: -1,
            page_token: "nonsense".into(),
        };
        let status = shop.client().list_orders(request).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument);
        let expected = [
            ("state", "INVALID_STATE"),
            ("goods_id", "INVALID_GOODS_ID"),
            ("create_time_until", "INVALID_TIME"),
            ("page_size", "INVALID_PAGE_SIZE"),
            ("page_token", "INVALID_PAGE_TOKEN"),
        ];
        assert_eq!(bad_request(&status), expected.map(|(field, reason)| (field.to_owned(), reason.to_owned())));
        for (request, expected) in [
            (ListLedgerRequest::default(), "EMPTY_FILTER"),
            (of_goods(0), "INVALID_GOODS_ID"),
            (of_order(""), "INVALID_ORDER_SN"),
            (ListLedgerRequest { page_size: -1, ..of_goods(1) }, "INVALID_PAGE_SIZE"),
            (ListLedgerRequest { page_token: "zz".into(), ..of_goods(1) }, "INVALID_PAGE_TOKEN"),
        ] {
            let listed = shop.client().list_ledger(request).await;
            assert_eq!(refusal(listed), (Code::InvalidArgument, expected.into()));
        }
    }

    async fn a_token_serves_its_own_list_only(shop: &Shop) {
        shop.stock(&[(1, 100), (2, 100)]).await;
        for index in 0..3 {
            shop.sell(&format!("o-{index}"), &[(1, 1), (2, 1)]).await.unwrap();
        }
        let request = ListOrdersRequest { goods_id: 1, page_size: 1, ..Default::default() };
        let page_token = shop.client().list_orders(request.clone()).await.unwrap().into_inner().next_page_token;
        let next = ListOrdersRequest { page_token: page_token.clone(), page_size: 9, ..request };
        assert_eq!(shop.client().list_orders(next.clone()).await.unwrap().into_inner().orders.len(), 2);
        let expected = (Code::InvalidArgument, "INVALID_PAGE_TOKEN".to_owned());
        for other in [
            ListOrdersRequest { goods_id: 2, ..next.clone() },
            ListOrdersRequest { state: OrderState::Confirmed.into(), ..next.clone() },
            ListOrdersRequest { page_token: page_token[..10].to_owned(), ..next },
        ] {
            assert_eq!(refusal(shop.client().list_orders(other).await), expected);
        }
        let ledger = ListLedgerRequest { page_token, ..of_goods(1) };
        assert_eq!(refusal(shop.client().list_ledger(ledger).await), expected);
        let first = ListLedgerRequest { page_size: 1, ..of_goods(1) };
        let page_token = shop.client().list_ledger(first).await.unwrap().into_inner().next_page_token;
        let other = ListLedgerRequest { page_token, ..of_goods(2) };
        assert_eq!(refusal(shop.client().list_ledger(other).await), expected);
    }

    async fn the_ledger_of_goods_is_a_chain_the_newest_first(shop: &Shop) {
        shop.stock(&[(1, 10), (2, 10)]).await;
        shop.sell("o-1", &[(1, 3), (2, 1)]).await.unwrap();
        shop.hold("o-2", &[(1, 2)], 60).await.unwrap();
        shop.confirm("o-2").await.unwrap();
        shop.hold("o-3", &[(1, 1)], 60).await.unwrap();
        shop.cancel("o-3").await.unwrap();
        shop.reback_lines("o-1", &[(1, 1)], "r-1").await.unwrap();
        shop.adjust(1, -4, "r-2").await.unwrap();
        shop.reback("o-1").await.unwrap();
        let rows = shop.ledger(of_goods(1)).await;
        let seen: Vec<_> = rows
            .iter()
            .map(|row| (row.kind(), row.order_sn.as_str(), row.delta, row.balance, row.reason.as_str()))
            .collect();
        assert_eq!(seen, [
            (LedgerKind::Reback, "o-1", 2, 4, ""),
            (LedgerKind::Adjust, "", -4, 2, "counted"),
            (LedgerKind::Reback, "o-1", 1, 6, ""),
            (LedgerKind::Sell, "o-2", -2, 5, ""),
            (LedgerKind::Sell, "o-1", -3, 7, ""),
            (LedgerKind::Set, "", 10, 10, ""),
        ]);
        assert!(rows.is_sorted_by_key(|row| std::cmp::Reverse(row.id)));
        assert!(rows.iter().all(|row| row.goods_id == 1 && row.time.is_some()));
        for page_size in [1, 2, 6, 7] {
            assert_eq!(shop.ledger(ListLedgerRequest { page_size, ..of_goods(1) }).await, rows);
        }
    }

    async fn the_ledger_of_an_order_is_what_it_moved(shop: &Shop) {
        shop.stock(&[(1, 10), (2, 10)]).await;
        shop.sell("o-1", &[(1, 3), (2, 1)]).await.unwrap();
        shop.sell("o-2", &[(1, 1)]).await.unwrap();
        shop.reback_lines("o-1", &[(1, 1)], "r-1").await.unwrap();
        let rows = shop.ledger(ListLedgerRequest { page_size: 2, ..of_order("o-1") }).await;
        assert!(rows.iter().all(|row| row.order_sn == "o-1"));
        let moved: BTreeSet<_> = rows.iter().map(|row| (row.goods_id, row.delta)).collect();
        assert_eq!((rows.len(), moved), (3, BTreeSet::from([(1, -3), (2, -1), (1, 1)])));
        assert!(shop.ledger(of_order("o-9")).await.is_empty());
        assert!(shop.ledger(of_goods(9)).await.is_empty());
    }
}
