//! Rules of reservations: `Sell` with a ttl, `Confirm`, `Cancel`, `Extend`, and what a dead hold means to others.

use crate::calls::seconds;
use crate::shop::{bad_request, info, preconditions, reason, refusal, request, stock_lines};
use proto::inventory::v1::{ExtendRequest, Order, OrderState, SellRequest, SetStockRequest};
use tonic::{Code, Status};

/// On hand, reserved, available.
async fn counts(shop: &crate::shop::Shop, goods: i64) -> (i64, i64, i64) {
    let stock = shop.get(goods).await;
    (stock.on_hand, stock.reserved, stock.available)
}

/// How many milliseconds after it was first seen the hold of an order ends.
fn lasts(order: &Order) -> i64 {
    let milliseconds =
        |time: prost_types::Timestamp| time.seconds * 1_000 + i64::from(time.nanos) / 1_000_000;
    milliseconds(order.expire_time.unwrap()) - milliseconds(order.create_time.unwrap())
}

#[track_caller]
fn is_closed<T: std::fmt::Debug>(answer: Result<T, Status>, state: &str) {
    let status = answer.expect_err("a closed order");
    let expected = (Code::FailedPrecondition, "ORDER_ALREADY_CLOSED".to_owned());
    assert_eq!((status.code(), reason(&status)), expected);
    assert_eq!(info(&status).metadata["state"], state);
    assert_eq!(preconditions(&status)[0].0, "ORDER_ALREADY_CLOSED");
}

#[track_caller]
fn has_expired<T: std::fmt::Debug>(answer: Result<T, Status>) {
    let status = answer.expect_err("a dead hold");
    let expected = (Code::FailedPrecondition, "RESERVATION_EXPIRED".to_owned());
    assert_eq!((status.code(), reason(&status)), expected);
    assert!(info(&status).metadata.contains_key("expireTime"));
}

contract! {
    async fn an_order_with_a_ttl_reserves_its_pieces(shop: &Shop) {
        shop.stock(&[(1, 10), (2, 5)]).await;
        let held = shop.hold("o-1", &[(2, 5), (1, 3)], 60).await.unwrap();
        assert!(!held.replayed);
        let order = held.order.unwrap();
        assert_eq!((order.state(), lasts(&order)), (OrderState::Reserved, 60_000));
        assert_eq!(shop.order("o-1").await.unwrap(), order);
        assert_eq!((counts(shop, 1).await, counts(shop, 2).await), ((10, 3, 7), (5, 5, 0)));
        assert_eq!(refusal(shop.sell("o-2", &[(2, 1)]).await).1, "INSUFFICIENT_STOCK");
    }

    async fn a_ttl_out_of_bounds_is_refused(shop: &Shop) {
        shop.stock(&[(1, 10)]).await;
        for ttl in [0, -1, 86_401, i64::MAX] {
            let status = shop.hold("o-1", &[(1, 1)], ttl).await.unwrap_err();
            assert_eq!((status.code(), reason(&status)), (Code::InvalidArgument, "INVALID_TTL".into()));
            assert_eq!(bad_request(&status), [("ttl".to_owned(), "INVALID_TTL".to_owned())]);
        }
        let short = prost_types::Duration { seconds: 0, nanos: 999_999_999 };
        let request = SellRequest { ttl: Some(short), ..request("o-1", &[(1, 1)]) };
        assert_eq!(refusal(shop.client().sell(request).await).1, "INVALID_TTL");
        assert_eq!(counts(shop, 1).await, (10, 0, 10));
        shop.hold("o-1", &[(1, 1)], 1).await.unwrap();
        shop.hold("o-2", &[(1, 1)], 86_400).await.unwrap();
    }

    async fn a_repeat_of_a_hold_is_known_whatever_the_length_of_its_ttl(shop: &Shop) {
        shop.stock(&[(1, 10)]).await;
        let first = shop.hold("o-1", &[(1, 3)], 60).await.unwrap();
        let again = shop.hold("o-1", &[(1, 1), (1, 2)], 7).await.unwrap();
        assert!(again.replayed);
        assert_eq!(again.order, first.order);
        assert_eq!(counts(shop, 1).await, (10, 3, 7));
    }

    async fn a_hold_and_a_sale_are_not_the_same_order(shop: &Shop) {
        shop.stock(&[(1, 10)]).await;
        shop.hold("o-1", &[(1, 3)], 60).await.unwrap();
        shop.sell("o-2", &[(1, 3)]).await.unwrap();
        let expected = (Code::AlreadyExists, "ORDER_PAYLOAD_MISMATCH".to_owned());
        assert_eq!(refusal(shop.sell("o-1", &[(1, 3)]).await), expected);
        assert_eq!(refusal(shop.hold("o-1", &[(1, 4)], 60).await), expected);
        assert_eq!(refusal(shop.hold("o-2", &[(1, 3)], 60).await), expected);
        assert_eq!(counts(shop, 1).await, (7, 3, 4));
    }

    async fn a_hold_that_falls_short_holds_nothing_and_names_every_line(shop: &Shop) {
        shop.stock(&[(1, 10), (2, 1)]).await;
        let status = shop.hold("o-1", &[(1, 3), (2, 2)], 60).await.unwrap_err();
        assert_eq!((status.code(), reason(&status)), (Code::FailedPrecondition, "INSUFFICIENT_STOCK".into()));
        let lines = stock_lines(&status).lines;
        assert_eq!((lines[0].goods_id, lines[0].requested, lines[0].available), (2, 2, 1));
        let status = shop.hold("o-1", &[(1, 3), (9, 2)], 60).await.unwrap_err();
        assert_eq!((status.code(), reason(&status)), (Code::NotFound, "GOODS_NOT_STOCKED".into()));
        assert_eq!(counts(shop, 1).await, (10, 0, 10));
        assert_eq!(refusal(shop.order("o-1").await).1, "ORDER_NOT_FOUND");
    }

    async fn a_confirmed_order_is_sold(shop: &Shop) {
        shop.stock(&[(1, 10), (2, 5)]).await;
        shop.hold("o-1", &[(1, 3), (2, 5)], 60).await.unwrap();
        let sold = shop.confirm("o-1").await.unwrap();
        assert!(!sold.replayed && !sold.reacquired);
        let order = sold.order.unwrap();
        assert_eq!(order.state(), OrderState::Confirmed);
        assert_eq!((counts(shop, 1).await, counts(shop, 2).await), ((7, 0, 7), (0, 0, 0)));
        assert_eq!(shop.order("o-1").await.unwrap(), order);
        // A late repeat of the call that reserved it.
        let again = shop.hold("o-1", &[(1, 3), (2, 5)], 60).await.unwrap();
        assert!(again.replayed && again.order.unwrap().state() == OrderState::Confirmed);
    }

    async fn an_order_is_confirmed_once(shop: &Shop) {
        shop.stock(&[(1, 10)]).await;
        shop.hold("o-1", &[(1, 3)], 60).await.unwrap();
        let first = shop.confirm("o-1").await.unwrap();
        for again in [shop.confirm("o-1").await.unwrap(), shop.reacquire("o-1").await.unwrap()] {
            assert!(again.replayed && !again.reacquired);
            assert_eq!(again.order, first.order);
        }
        assert_eq!(counts(shop, 1).await, (7, 0, 7));
        // What was sold at once needs no confirmation.
        shop.sell("o-2", &[(1, 1)]).await.unwrap();
        assert!(shop.confirm("o-2").await.unwrap().replayed);
        assert_eq!(counts(shop, 1).await, (6, 0, 6));
    }

    async fn an_unknown_order_is_neither_confirmed_nor_extended(shop: &Shop) {
        shop.stock(&[(1, 10)]).await;
        let expected = (Code::NotFound, "ORDER_NOT_FOUND".to_owned());
        assert_eq!(refusal(shop.confirm("o-1").await), expected);
        assert_eq!(refusal(shop.reacquire("o-1").await), expected);
        assert_eq!(refusal(shop.extend("o-1", 60).await), expected);
        // Its number stays open.
        assert!(!shop.hold("o-1", &[(1, 1)], 60).await.unwrap().replayed);
    }

    async fn a_cancelled_order_lets_go_of_its_pieces_once(shop: &Shop) {
        shop.stock(&[(1, 10)]).await;
        shop.hold("o-1", &[(1, 3)], 60).await.unwrap();
        let cancelled = shop.cancel("o-1").await.unwrap();
        assert!(cancelled.existed && !cancelled.replayed);
        let order = cancelled.order.unwrap();
        assert_eq!(order.state(), OrderState::Cancelled);
        assert_eq!(counts(shop, 1).await, (10, 0, 10));
        let again = shop.cancel("o-1").await.unwrap();
        assert!(again.existed && again.replayed);
        assert_eq!(again.order.unwrap(), order);
        let back = shop.reback("o-1").await.unwrap();
        assert!(back.existed && back.replayed);
        assert_eq!(counts(shop, 1).await, (10, 0, 10));
    }

    async fn giving_a_reservation_back_cancels_it(shop: &Shop) {
        shop.stock(&[(1, 10)]).await;
        shop.hold("o-1", &[(1, 3)], 60).await.unwrap();
        let back = shop.reback("o-1").await.unwrap();
        assert!(back.existed && !back.replayed);
        assert_eq!(back.order.unwrap().state(), OrderState::Cancelled);
        assert_eq!(counts(shop, 1).await, (10, 0, 10));
        assert!(shop.cancel("o-1").await.unwrap().replayed);
    }

    async fn an_order_that_is_cancelled_before_it_arrives_takes_nothing(shop: &Shop) {
        shop.stock(&[(1, 10)]).await;
        let cancelled = shop.cancel("o-1").await.unwrap();
        assert!(!cancelled.existed && !cancelled.replayed);
        assert_eq!(cancelled.order.unwrap().state(), OrderState::Cancelled);
        assert!(shop.cancel("o-1").await.unwrap().replayed);
        is_closed(shop.hold("o-1", &[(1, 3)], 60).await, "CANCELLED");
        is_closed(shop.sell("o-1", &[(1, 3)]).await, "CANCELLED");
        assert_eq!(counts(shop, 1).await, (10, 0, 10));
    }

    async fn a_sold_order_is_not_cancelled(shop: &Shop) {
        shop.stock(&[(1, 10)]).await;
        shop.sell("o-1", &[(1, 3)]).await.unwrap();
        shop.hold("o-2", &[(1, 3)], 60).await.unwrap();
        shop.confirm("o-2").await.unwrap();
        for sn in ["o-1", "o-2"] {
            let status = shop.cancel(sn).await.unwrap_err();
            assert_eq!((status.code(), reason(&status)), (Code::FailedPrecondition, "ALREADY_CONFIRMED".into()));
            assert_eq!(preconditions(&status), [("ALREADY_CONFIRMED".to_owned(), format!("orders/{sn}"))]);
        }
        shop.reback_lines("o-1", &[(1, 1)], "r-1").await.unwrap();
        assert_eq!(refusal(shop.cancel("o-1").await).1, "ALREADY_CONFIRMED");
        assert_eq!(counts(shop, 1).await, (5, 0, 5));
    }

    async fn a_closed_order_is_not_confirmed_extended_or_sold(shop: &Shop) {
        shop.stock(&[(1, 10)]).await;
        shop.hold("o-1", &[(1, 3)], 60).await.unwrap();
        shop.cancel("o-1").await.unwrap();
        shop.sell("o-2", &[(1, 3)]).await.unwrap();
        shop.reback("o-2").await.unwrap();
        for (sn, state) in [("o-1", "CANCELLED"), ("o-2", "RETURNED")] {
            is_closed(shop.confirm(sn).await, state);
            is_closed(shop.reacquire(sn).await, state);
            is_closed(shop.extend(sn, 60).await, state);
            // Closed wins over another payload.
            is_closed(shop.hold(sn, &[(1, 3)], 60).await, state);
            is_closed(shop.hold(sn, &[(1, 9)], 60).await, state);
        }
        assert_eq!(counts(shop, 1).await, (10, 0, 10));
    }

    async fn a_hold_is_extended_and_never_ends_sooner_than_before(shop: &Shop) {
        shop.stock(&[(1, 10)]).await;
        shop.hold("o-1", &[(1, 3)], 60).await.unwrap();
        let longer = shop.extend("o-1", 600).await.unwrap();
        assert!(!longer.replayed);
        let order = longer.order.unwrap();
        assert_eq!(order.state(), OrderState::Reserved);
        assert!((600_000..660_000).contains(&lasts(&order)), "{}", lasts(&order));
        assert_eq!(shop.order("o-1").await.unwrap(), order);
        let shorter = shop.extend("o-1", 5).await.unwrap();
        assert!(shorter.replayed);
        assert_eq!(shorter.order.unwrap(), order);
        // A day in all, however often it is asked for.
        for _ in 0..2 {
            let order = shop.extend("o-1", 86_400).await.unwrap().order.unwrap();
            assert_eq!(lasts(&order), 86_400_000);
        }
        assert_eq!(counts(shop, 1).await, (10, 3, 7));
    }

    async fn a_hold_is_not_extended_by_nothing_or_beyond_a_day(shop: &Shop) {
        shop.stock(&[(1, 10)]).await;
        shop.hold("o-1", &[(1, 3)], 60).await.unwrap();
        for ttl in [None, seconds(0), seconds(-5), seconds(86_401)] {
            let request = ExtendRequest { order_sn: "o-1".into(), ttl };
            let extended = shop.client().extend(request).await;
            assert_eq!(refusal(extended), (Code::InvalidArgument, "INVALID_TTL".into()));
        }
        let status = shop.client().extend(ExtendRequest::default()).await.unwrap_err();
        let expected = [("order_sn", "INVALID_ORDER_SN"), ("ttl", "INVALID_TTL")];
        assert_eq!(bad_request(&status), expected.map(|(field, reason)| (field.to_owned(), reason.to_owned())));
    }

    async fn a_sold_order_is_not_extended(shop: &Shop) {
        shop.stock(&[(1, 10)]).await;
        shop.sell("o-1", &[(1, 3)]).await.unwrap();
        let expected = (Code::FailedPrecondition, "ALREADY_CONFIRMED".to_owned());
        assert_eq!(refusal(shop.extend("o-1", 60).await), expected);
    }

    async fn a_dead_hold_is_not_confirmed_extended_or_sold(shop: &Shop) {
        shop.stock(&[(1, 10)]).await;
        shop.hold("o-1", &[(1, 3)], 1).await.unwrap();
        shop.expire("o-1").await;
        has_expired(shop.confirm("o-1").await);
        has_expired(shop.extend("o-1", 60).await);
        is_closed(shop.hold("o-1", &[(1, 3)], 60).await, "EXPIRED");
        is_closed(shop.sell("o-1", &[(1, 3)]).await, "EXPIRED");
        assert_eq!(shop.order("o-1").await.unwrap().state(), OrderState::Expired);
        assert_eq!(counts(shop, 1).await, (10, 0, 10));
    }

    async fn a_dead_hold_is_cancelled_and_given_back_already(shop: &Shop) {
        shop.stock(&[(1, 10)]).await;
        shop.hold("o-1", &[(1, 3)], 1).await.unwrap();
        shop.expire("o-1").await;
        let cancelled = shop.cancel("o-1").await.unwrap();
        assert!(cancelled.existed && cancelled.replayed);
        assert_eq!(cancelled.order.unwrap().state(), OrderState::Expired);
        let back = shop.reback("o-1").await.unwrap();
        assert!(back.existed && back.replayed);
        assert_eq!(counts(shop, 1).await, (10, 0, 10));
    }

    async fn the_pieces_of_a_dead_hold_can_be_sold_at_once(shop: &Shop) {
        shop.stock(&[(1, 3), (2, 3)]).await;
        shop.hold("o-1", &[(1, 3), (2, 3)], 1).await.unwrap();
        assert_eq!(refusal(shop.sell("o-2", &[(1, 1)]).await).1, "INSUFFICIENT_STOCK");
        shop.expire("o-1").await;
        assert_eq!(counts(shop, 1).await, (3, 0, 3));
        shop.sell("o-2", &[(1, 2)]).await.unwrap();
        shop.hold("o-3", &[(1, 1), (2, 3)], 60).await.unwrap();
        assert_eq!((counts(shop, 1).await, counts(shop, 2).await), ((1, 1, 0), (3, 3, 0)));
    }

    async fn a_dead_hold_revives_only_if_all_of_its_pieces_can_be_had_again(shop: &Shop) {
        shop.stock(&[(1, 10), (2, 3)]).await;
        shop.hold("o-1", &[(1, 3), (2, 2)], 1).await.unwrap();
        shop.hold("o-2", &[(1, 3), (2, 2)], 1).await.unwrap_err();
        shop.expire("o-1").await;
        shop.sell("o-3", &[(2, 2)]).await.unwrap();
        has_expired(shop.reacquire("o-1").await);
        assert_eq!((counts(shop, 1).await, counts(shop, 2).await), ((10, 0, 10), (1, 0, 1)));
        shop.reback("o-3").await.unwrap();
        let late = shop.reacquire("o-1").await.unwrap();
        assert!(late.reacquired && !late.replayed);
        assert_eq!(late.order.unwrap().state(), OrderState::Confirmed);
        assert_eq!((counts(shop, 1).await, counts(shop, 2).await), ((7, 0, 7), (1, 0, 1)));
        let again = shop.reacquire("o-1").await.unwrap();
        assert!(again.replayed && !again.reacquired);
    }

    async fn stock_is_not_set_below_what_is_reserved(shop: &Shop) {
        shop.stock(&[(1, 10)]).await;
        shop.hold("o-1", &[(1, 4)], 1).await.unwrap();
        let set = |on_hand| SetStockRequest { goods_id: 1, on_hand, ..Default::default() };
        let status = shop.client().set_stock(set(3)).await.unwrap_err();
        assert_eq!((status.code(), reason(&status)), (Code::FailedPrecondition, "BELOW_RESERVED".into()));
        assert_eq!(info(&status).metadata["reserved"], "4");
        assert_eq!(preconditions(&status), [("BELOW_RESERVED".to_owned(), "goods/1".to_owned())]);
        shop.client().set_stock(set(4)).await.unwrap();
        shop.expire("o-1").await;
        shop.client().set_stock(set(0)).await.unwrap();
        assert_eq!(counts(shop, 1).await, (0, 0, 0));
    }

    async fn an_order_number_is_checked_in_every_call_about_an_order(shop: &Shop) {
        let expected = (Code::InvalidArgument, "INVALID_ORDER_SN".to_owned());
        for bad in ["", "a\tb", &"x".repeat(65)] {
            assert_eq!(refusal(shop.confirm(bad).await), expected);
            assert_eq!(refusal(shop.cancel(bad).await), expected);
            assert_eq!(refusal(shop.extend(bad, 60).await), expected);
            assert_eq!(refusal(shop.hold(bad, &[(1, 1)], 60).await), expected);
        }
    }

    async fn one_of_a_confirmation_and_a_cancellation_at_once_wins(shop: &Shop) {
        shop.stock(&[(1, 40)]).await;
        for round in 0..20 {
            let sn = format!("o-{round}");
            shop.hold(&sn, &[(1, 2)], 60).await.unwrap();
            let (confirmed, cancelled) = tokio::join!(shop.confirm(&sn), shop.cancel(&sn));
            match shop.order(&sn).await.unwrap().state() {
                OrderState::Confirmed => {
                    confirmed.unwrap();
                    assert_eq!(refusal(cancelled).1, "ALREADY_CONFIRMED");
                    shop.reback(&sn).await.unwrap();
                }
                OrderState::Cancelled => {
                    cancelled.unwrap();
                    is_closed(confirmed, "CANCELLED");
                }
                other => panic!("{sn} is {other:?}"),
            }
        }
        assert_eq!(counts(shop, 1).await, (40, 0, 40));
    }
}
