//! Rules of `Reback`, and of reading orders.

use crate::shop::{info, preconditions, reason, refusal};
use proto::inventory::v1::OrderState;
use tonic::Code;

contract! {
    async fn a_returned_order_brings_its_pieces_back_once(shop: &Shop) {
        shop.stock(&[(1, 10), (2, 10)]).await;
        shop.sell("o-1", &[(1, 3), (2, 4)]).await.unwrap();
        let back = shop.reback("o-1").await.unwrap();
        assert!(back.existed && !back.replayed);
        let order = back.order.unwrap();
        assert_eq!(order.state(), OrderState::Returned);
        let lines: Vec<_> = order.lines.iter().map(|line| (line.goods_id, line.quantity, line.returned)).collect();
        assert_eq!(lines, [(1, 3, 3), (2, 4, 4)]);
        assert_eq!((shop.on_hand(1).await, shop.on_hand(2).await), (10, 10));
        for _ in 0..3 {
            let again = shop.reback("o-1").await.unwrap();
            assert!(again.existed && again.replayed);
            assert_eq!(again.order.unwrap(), order);
        }
        assert_eq!((shop.on_hand(1).await, shop.on_hand(2).await), (10, 10));
        assert_eq!(shop.order("o-1").await.unwrap(), order);
    }

    async fn a_returned_order_sells_no_more(shop: &Shop) {
        shop.stock(&[(1, 10)]).await;
        shop.sell("o-1", &[(1, 3)]).await.unwrap();
        shop.reback("o-1").await.unwrap();
        // Closed wins over a payload mismatch.
        for lines in [&[(1, 3)][..], &[(1, 4)]] {
            let status = shop.sell("o-1", lines).await.unwrap_err();
            assert_eq!((status.code(), reason(&status)), (Code::FailedPrecondition, "ORDER_ALREADY_CLOSED".into()));
            assert_eq!(info(&status).metadata["state"], "RETURNED");
            assert_eq!(preconditions(&status), [("ORDER_ALREADY_CLOSED".to_owned(), "orders/o-1".to_owned())]);
        }
        assert_eq!(shop.on_hand(1).await, 10);
    }

    async fn an_order_that_is_given_back_before_it_arrives_takes_nothing(shop: &Shop) {
        shop.stock(&[(1, 10)]).await;
        let back = shop.reback("o-1").await.unwrap();
        assert!(!back.existed && !back.replayed);
        assert_eq!(back.order.unwrap().state(), OrderState::Cancelled);
        let again = shop.reback("o-1").await.unwrap();
        assert!(!again.existed && again.replayed);
        let status = shop.sell("o-1", &[(1, 3)]).await.unwrap_err();
        assert_eq!((status.code(), reason(&status)), (Code::FailedPrecondition, "ORDER_ALREADY_CLOSED".into()));
        assert_eq!(info(&status).metadata["state"], "CANCELLED");
        assert_eq!(shop.on_hand(1).await, 10);
    }

    async fn a_late_order_for_sold_out_goods_is_closed_and_not_short(shop: &Shop) {
        shop.stock(&[(1, 0)]).await;
        shop.reback("o-1").await.unwrap();
        assert_eq!(refusal(shop.sell("o-1", &[(1, 3)]).await).1, "ORDER_ALREADY_CLOSED");
    }

    async fn a_return_over_the_cap_is_refused(shop: &Shop) {
        shop.stock(&[(1, 10), (2, 10)]).await;
        shop.sell("o-1", &[(1, 3), (2, 1)]).await.unwrap();
        shop.stock(&[(1, 1_000_000_000)]).await;
        assert_eq!(refusal(shop.reback("o-1").await), (Code::OutOfRange, "STOCK_OVERFLOW".into()));
        assert_eq!((shop.on_hand(1).await, shop.on_hand(2).await), (1_000_000_000, 9));
        shop.stock(&[(1, 999_999_997)]).await;
        shop.reback("o-1").await.unwrap();
        assert_eq!(shop.on_hand(1).await, 1_000_000_000);
    }

    async fn an_order_number_is_checked_wherever_it_is_sent(shop: &Shop) {
        let expected = (Code::InvalidArgument, "INVALID_ORDER_SN".to_owned());
        for bad in ["", "a\tb", &"x".repeat(65)] {
            assert_eq!(refusal(shop.reback(bad).await), expected);
            assert_eq!(refusal(shop.order(bad).await), expected);
        }
    }
}
