//! Rules of `Reback` with lines.

use crate::shop::{bad_request, info, reason, refusal, stock_lines};
use futures::future::join_all;
use proto::inventory::v1::OrderState;
use tonic::Code;

contract! {
    async fn an_order_is_given_back_line_by_line(shop: &Shop) {
        shop.stock(&[(1, 10), (2, 10)]).await;
        shop.sell("o-1", &[(1, 3), (2, 4)]).await.unwrap();
        let back = shop.reback_lines("o-1", &[(2, 1), (1, 2)], "r-1").await.unwrap();
        assert!(back.existed && !back.replayed);
        let order = back.order.unwrap();
        assert_eq!(order.state(), OrderState::PartlyReturned);
        let lines: Vec<_> = order.lines.iter().map(|line| (line.goods_id, line.quantity, line.returned)).collect();
        assert_eq!(lines, [(1, 3, 2), (2, 4, 1)]);
        assert_eq!((shop.on_hand(1).await, shop.on_hand(2).await), (9, 7));
        assert_eq!(shop.order("o-1").await.unwrap(), order);
        let back = shop.reback_lines("o-1", &[(1, 1), (2, 3)], "r-2").await.unwrap();
        assert_eq!(back.order.unwrap().state(), OrderState::Returned);
        assert_eq!((shop.on_hand(1).await, shop.on_hand(2).await), (10, 10));
    }

    async fn what_is_left_of_an_order_is_given_back_as_a_whole(shop: &Shop) {
        shop.stock(&[(1, 10), (2, 10)]).await;
        shop.sell("o-1", &[(1, 3), (2, 4)]).await.unwrap();
        shop.reback_lines("o-1", &[(1, 2)], "r-1").await.unwrap();
        // Sold in part is sold.
        assert!(shop.sell("o-1", &[(1, 3), (2, 4)]).await.unwrap().replayed);
        assert!(shop.confirm("o-1").await.unwrap().replayed);
        let back = shop.reback("o-1").await.unwrap();
        assert!(back.existed && !back.replayed);
        assert_eq!(back.order.unwrap().state(), OrderState::Returned);
        assert_eq!((shop.on_hand(1).await, shop.on_hand(2).await), (10, 10));
    }

    async fn a_repeat_of_a_partial_return_moves_nothing(shop: &Shop) {
        shop.stock(&[(1, 10)]).await;
        shop.sell("o-1", &[(1, 6)]).await.unwrap();
        shop.reback_lines("o-1", &[(1, 2)], "r-1").await.unwrap();
        let again = shop.reback_lines("o-1", &[(1, 1), (1, 1)], "r-1").await.unwrap();
        assert!(again.replayed && again.existed);
        assert_eq!(again.order.unwrap().lines[0].returned, 2);
        assert_eq!(shop.on_hand(1).await, 6);
        // It is known before anything else is asked, even when all is given back since.
        shop.reback("o-1").await.unwrap();
        let again = shop.reback_lines("o-1", &[(1, 2)], "r-1").await.unwrap();
        assert!(again.replayed);
        assert_eq!(again.order.unwrap().state(), OrderState::Returned);
        assert_eq!(shop.on_hand(1).await, 10);
    }

    async fn another_return_under_the_same_request_id_is_refused(shop: &Shop) {
        shop.stock(&[(1, 10), (2, 10)]).await;
        shop.sell("o-1", &[(1, 6), (2, 1)]).await.unwrap();
        shop.reback_lines("o-1", &[(1, 2)], "r-1").await.unwrap();
        for other in [&[(1, 3)][..], &[(2, 1)], &[(1, 2), (2, 1)], &[(1, 99)]] {
            let status = shop.reback_lines("o-1", other, "r-1").await.unwrap_err();
            let expected = (Code::AlreadyExists, "REQUEST_PAYLOAD_MISMATCH".to_owned());
            assert_eq!((status.code(), reason(&status)), expected);
            assert_eq!(info(&status).metadata["requestId"], "r-1");
        }
        assert_eq!((shop.on_hand(1).await, shop.on_hand(2).await), (6, 9));
    }

    async fn a_request_id_belongs_to_its_order(shop: &Shop) {
        shop.stock(&[(1, 10)]).await;
        for sn in ["o-1", "o-2"] {
            shop.sell(sn, &[(1, 2)]).await.unwrap();
            assert!(!shop.reback_lines(sn, &[(1, 1)], "r-1").await.unwrap().replayed);
        }
        assert_eq!(shop.on_hand(1).await, 8);
    }

    async fn more_than_was_sold_is_not_given_back(shop: &Shop) {
        shop.stock(&[(1, 10), (2, 10)]).await;
        shop.sell("o-1", &[(1, 3), (2, 4)]).await.unwrap();
        shop.reback_lines("o-1", &[(1, 1)], "r-1").await.unwrap();
        let status = shop.reback_lines("o-1", &[(1, 3), (2, 5)], "r-2").await.unwrap_err();
        assert_eq!((status.code(), reason(&status)), (Code::FailedPrecondition, "RETURN_EXCEEDS_SOLD".into()));
        let errors = stock_lines(&status);
        let lines: Vec<_> = errors.lines.iter().map(|line| (line.goods_id, line.requested, line.available)).collect();
        assert_eq!(lines, [(1, 3, 2), (2, 5, 4)]);
        assert_eq!((errors.total, errors.truncated), (2, false));
        // One line too many, and none is given back.
        assert_eq!(refusal(shop.reback_lines("o-1", &[(1, 1), (2, 5)], "r-2").await).1, "RETURN_EXCEEDS_SOLD");
        assert_eq!((shop.on_hand(1).await, shop.on_hand(2).await), (8, 6));
        // What was refused has not used its request id up.
        assert!(!shop.reback_lines("o-1", &[(1, 2)], "r-2").await.unwrap().replayed);
        shop.reback("o-1").await.unwrap();
        assert_eq!(refusal(shop.reback_lines("o-1", &[(1, 1)], "r-3").await).1, "RETURN_EXCEEDS_SOLD");
    }

    async fn goods_that_the_order_did_not_take_are_not_given_back(shop: &Shop) {
        shop.stock(&[(1, 10), (2, 10), (3, 10)]).await;
        shop.sell("o-1", &[(1, 3)]).await.unwrap();
        let status = shop.reback_lines("o-1", &[(1, 1), (2, 1), (9, 1)], "r-1").await.unwrap_err();
        assert_eq!((status.code(), reason(&status)), (Code::InvalidArgument, "GOODS_NOT_IN_ORDER".into()));
        assert_eq!(info(&status).metadata["goodsIds"], "2,9");
        assert_eq!(bad_request(&status).len(), 2);
        assert_eq!((shop.on_hand(1).await, shop.on_hand(2).await), (7, 10));
    }

    async fn a_partial_return_of_an_unknown_order_leaves_no_tombstone(shop: &Shop) {
        shop.stock(&[(1, 10)]).await;
        let back = shop.reback_lines("o-1", &[(1, 1)], "r-1").await;
        assert_eq!(refusal(back), (Code::NotFound, "ORDER_NOT_FOUND".into()));
        assert!(!shop.sell("o-1", &[(1, 3)]).await.unwrap().replayed);
        shop.reback_lines("o-1", &[(1, 1)], "r-1").await.unwrap();
        assert_eq!(shop.on_hand(1).await, 8);
    }

    async fn a_reservation_is_not_given_back_in_part(shop: &Shop) {
        shop.stock(&[(1, 10)]).await;
        shop.hold("o-1", &[(1, 3)], 60).await.unwrap();
        let back = shop.reback_lines("o-1", &[(1, 1)], "r-1").await;
        assert_eq!(refusal(back), (Code::FailedPrecondition, "NOT_CONFIRMED".into()));
        shop.confirm("o-1").await.unwrap();
        shop.reback_lines("o-1", &[(1, 1)], "r-1").await.unwrap();
        assert_eq!(shop.on_hand(1).await, 8);
    }

    async fn an_order_that_never_sold_is_not_given_back_in_part(shop: &Shop) {
        shop.stock(&[(1, 10)]).await;
        shop.cancel("o-1").await.unwrap();
        shop.hold("o-2", &[(1, 3)], 1).await.unwrap();
        shop.expire("o-2").await;
        for (sn, state) in [("o-1", "CANCELLED"), ("o-2", "EXPIRED")] {
            let status = shop.reback_lines(sn, &[(1, 1)], "r-1").await.unwrap_err();
            let expected = (Code::FailedPrecondition, "ORDER_ALREADY_CLOSED".to_owned());
            assert_eq!((status.code(), reason(&status)), expected);
            assert_eq!(info(&status).metadata["state"], state);
        }
        assert_eq!(shop.on_hand(1).await, 10);
    }

    async fn a_partial_return_is_refused_for_everything_that_is_wrong_with_it(shop: &Shop) {
        shop.stock(&[(1, 10)]).await;
        shop.sell("o-1", &[(1, 3)]).await.unwrap();
        let status = shop.reback_lines("", &[(0, 1), (1, -2)], "").await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument);
        let expected = [
            ("order_sn", "INVALID_ORDER_SN"),
            ("lines[0].goods_id", "INVALID_GOODS_ID"),
            ("lines[1].quantity", "INVALID_QUANTITY"),
            ("request_id", "INVALID_REQUEST_ID"),
        ];
        assert_eq!(bad_request(&status), expected.map(|(field, reason)| (field.to_owned(), reason.to_owned())));
        assert_eq!(refusal(shop.reback_lines("o-1", &[(1, 1)], "").await).1, "INVALID_REQUEST_ID");
        assert_eq!(shop.on_hand(1).await, 7);
    }

    async fn a_partial_return_over_the_cap_is_refused(shop: &Shop) {
        shop.stock(&[(1, 10)]).await;
        shop.sell("o-1", &[(1, 3)]).await.unwrap();
        shop.stock(&[(1, 999_999_999)]).await;
        let back = shop.reback_lines("o-1", &[(1, 2)], "r-1").await;
        assert_eq!(refusal(back), (Code::OutOfRange, "STOCK_OVERFLOW".into()));
        shop.reback_lines("o-1", &[(1, 1)], "r-1").await.unwrap();
        assert_eq!(shop.on_hand(1).await, 1_000_000_000);
    }

    async fn returns_at_once_give_back_no_more_than_was_sold(shop: &Shop) {
        shop.stock(&[(1, 10)]).await;
        shop.sell("o-1", &[(1, 5)]).await.unwrap();
        let ids: Vec<_> = (0..12).map(|id| format!("r-{id}")).collect();
        let returns = join_all(ids.iter().map(|id| shop.reback_lines("o-1", &[(1, 1)], id))).await;
        assert_eq!(returns.iter().filter(|back| back.is_ok()).count(), 5);
        for refused in returns.into_iter().filter(Result::is_err) {
            assert_eq!(refusal(refused).1, "RETURN_EXCEEDS_SOLD");
        }
        assert_eq!(shop.on_hand(1).await, 10);
        assert_eq!(shop.order("o-1").await.unwrap().state(), OrderState::Returned);
    }

    async fn one_return_sent_many_times_at_once_is_made_once(shop: &Shop) {
        shop.stock(&[(1, 10)]).await;
        shop.sell("o-1", &[(1, 8)]).await.unwrap();
        let returns = join_all((0..8).map(|_| shop.reback_lines("o-1", &[(1, 1)], "r-1"))).await;
        let first = returns.into_iter().filter(|back| !back.as_ref().unwrap().replayed).count();
        assert_eq!((first, shop.on_hand(1).await), (1, 3));
    }
}
