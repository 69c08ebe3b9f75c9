//! Rules of `Sell`.

use crate::shop::{bad_request, info, preconditions, reason, refusal, stock_lines};
use proto::inventory::v1::OrderState;
use tonic::Code;

contract! {
    async fn an_order_takes_its_pieces_and_is_on_record(shop: &Shop) {
        shop.stock(&[(1, 10), (2, 5)]).await;
        let sold = shop.sell("o-1", &[(2, 5), (1, 3)]).await.unwrap();
        assert!(!sold.replayed);
        let order = sold.order.unwrap();
        assert_eq!(order.state(), OrderState::Confirmed);
        let lines: Vec<_> = order.lines.iter().map(|line| (line.goods_id, line.quantity, line.returned)).collect();
        assert_eq!(lines, [(1, 3, 0), (2, 5, 0)]);
        assert!(order.create_time.is_some() && order.create_time == order.update_time);
        assert_eq!((shop.on_hand(1).await, shop.on_hand(2).await), (7, 0));
        assert_eq!(shop.order("o-1").await.unwrap(), order);
    }

    async fn a_replayed_order_moves_nothing(shop: &Shop) {
        shop.stock(&[(1, 10), (2, 10)]).await;
        let first = shop.sell("o-1", &[(1, 3), (2, 1)]).await.unwrap();
        // The same order however its lines are written.
        let again = shop.sell("o-1", &[(2, 1), (1, 1), (1, 2)]).await.unwrap();
        assert!(again.replayed);
        assert_eq!(again.order, first.order);
        assert_eq!(shop.on_hand(1).await, 7);
    }

    async fn a_replay_of_the_order_that_took_the_last_piece_is_no_shortage(shop: &Shop) {
        shop.stock(&[(1, 1)]).await;
        shop.sell("o-1", &[(1, 1)]).await.unwrap();
        assert!(shop.sell("o-1", &[(1, 1)]).await.unwrap().replayed);
        assert_eq!(refusal(shop.sell("o-2", &[(1, 1)]).await).1, "INSUFFICIENT_STOCK");
    }

    async fn another_order_under_the_same_number_is_refused(shop: &Shop) {
        shop.stock(&[(1, 10), (2, 10)]).await;
        shop.sell("o-1", &[(1, 3)]).await.unwrap();
        for other in [&[(1, 4)][..], &[(2, 3)], &[(1, 3), (2, 1)], &[(1, 99)], &[(7, 1)]] {
            let status = shop.sell("o-1", other).await.unwrap_err();
            assert_eq!((status.code(), reason(&status)), (Code::AlreadyExists, "ORDER_PAYLOAD_MISMATCH".into()));
            assert_eq!(info(&status).metadata["storedPayloadHash"].len(), 64);
        }
        assert_eq!((shop.on_hand(1).await, shop.on_hand(2).await), (7, 10));
    }

    async fn a_short_order_is_refused_whole_and_names_every_short_line(shop: &Shop) {
        shop.stock(&[(1, 2), (2, 10), (3, 0)]).await;
        let status = shop.sell("o-1", &[(2, 10), (3, 1), (1, 5)]).await.unwrap_err();
        assert_eq!((status.code(), reason(&status)), (Code::FailedPrecondition, "INSUFFICIENT_STOCK".into()));
        let errors = stock_lines(&status);
        let lines: Vec<_> = errors.lines.iter().map(|line| (line.goods_id, line.requested, line.available)).collect();
        assert_eq!(lines, [(1, 5, 2), (3, 1, 0)]);
        assert_eq!((errors.total, errors.truncated), (2, false));
        let type_ = "INSUFFICIENT_STOCK".to_owned();
        assert_eq!(preconditions(&status), [(type_.clone(), "goods/1".into()), (type_, "goods/3".into())]);
        assert_eq!(shop.on_hand(2).await, 10);
        assert_eq!(refusal(shop.order("o-1").await), (Code::NotFound, "ORDER_NOT_FOUND".into()));
    }

    async fn a_refused_order_may_try_again_under_its_number(shop: &Shop) {
        shop.stock(&[(1, 0)]).await;
        assert_eq!(refusal(shop.sell("o-1", &[(1, 2)]).await).1, "INSUFFICIENT_STOCK");
        shop.stock(&[(1, 5)]).await;
        assert!(!shop.sell("o-1", &[(1, 1)]).await.unwrap().replayed);
        assert_eq!(shop.on_hand(1).await, 4);
    }

    async fn goods_that_are_not_stocked_win_over_a_shortage_and_both_are_named(shop: &Shop) {
        shop.stock(&[(1, 1), (2, 10)]).await;
        let status = shop.sell("o-1", &[(1, 2), (2, 1), (8, 1), (9, 3)]).await.unwrap_err();
        assert_eq!((status.code(), reason(&status)), (Code::NotFound, "GOODS_NOT_STOCKED".into()));
        let errors = stock_lines(&status);
        let lines: Vec<_> = errors.lines.iter().map(|line| (line.goods_id, line.reason.as_str())).collect();
        let expected = [(8, "GOODS_NOT_STOCKED"), (9, "GOODS_NOT_STOCKED"), (1, "INSUFFICIENT_STOCK")];
        assert_eq!(lines, expected);
        assert_eq!(shop.on_hand(2).await, 10);
    }

    async fn lines_of_the_same_goods_are_counted_together(shop: &Shop) {
        shop.stock(&[(1, 5)]).await;
        let status = shop.sell("o-1", &[(1, 3), (1, 3)]).await.unwrap_err();
        assert_eq!(stock_lines(&status).lines[0].requested, 6);
        assert!(!shop.sell("o-2", &[(1, 2), (1, 3)]).await.unwrap().replayed);
        assert_eq!(shop.on_hand(1).await, 0);
    }

    async fn a_negative_quantity_adds_no_stock(shop: &Shop) {
        shop.stock(&[(1, 5)]).await;
        for pieces in [0, -5, i64::MIN] {
            let status = shop.sell("o-1", &[(1, pieces)]).await.unwrap_err();
            assert_eq!((status.code(), reason(&status)), (Code::InvalidArgument, "INVALID_QUANTITY".into()));
        }
        assert_eq!(shop.on_hand(1).await, 5);
    }

    async fn every_bad_line_is_named_at_once(shop: &Shop) {
        let status = shop.sell("", &[(0, 1), (1, 0), (2, 1_000_000_001)]).await.unwrap_err();
        assert_eq!((status.code(), reason(&status)), (Code::InvalidArgument, "INVALID_ORDER_SN".into()));
        let expected = [
            ("order_sn", "INVALID_ORDER_SN"),
            ("lines[0].goods_id", "INVALID_GOODS_ID"),
            ("lines[1].quantity", "INVALID_QUANTITY"),
            ("lines[2].quantity", "QUANTITY_TOO_HIGH"),
        ];
        assert_eq!(bad_request(&status), expected.map(|(field, reason)| (field.to_owned(), reason.to_owned())));
    }

    async fn orders_out_of_bounds_are_refused_by_looking_at_them(shop: &Shop) {
        let many: Vec<_> = (1..=201).map(|id| (id, 1)).collect();
        type Lines<'a> = &'a [(i64, i64)];
        let cases: [(&str, Lines, &str); 6] = [
            ("o", &[], "EMPTY_ORDER"),
            ("o", &many, "TOO_MANY_LINES"),
            ("o", &[(1, 1_000_000_000), (1, 1)], "QUANTITY_TOO_HIGH"),
            ("o", &[(-1, 1)], "INVALID_GOODS_ID"),
            ("o\n", &[(1, 1)], "INVALID_ORDER_SN"),
            (&"x".repeat(65), &[(1, 1)], "INVALID_ORDER_SN"),
        ];
        for (sn, lines, expected) in cases {
            assert_eq!(refusal(shop.sell(sn, lines).await), (Code::InvalidArgument, expected.into()));
        }
    }

    async fn an_order_of_200_lines_is_sold_and_given_back(shop: &Shop) {
        let stocks: Vec<_> = (1..=200).map(|id| (id, 3)).collect();
        shop.stock(&stocks).await;
        let lines: Vec<_> = (1..=200).rev().map(|id| (id, 2)).collect();
        assert_eq!(shop.sell("o-1", &lines).await.unwrap().order.unwrap().lines.len(), 200);
        assert_eq!((shop.on_hand(1).await, shop.on_hand(200).await), (1, 1));
        shop.reback("o-1").await.unwrap();
        assert_eq!((shop.on_hand(1).await, shop.on_hand(200).await), (3, 3));
    }

    async fn order_numbers_differ_by_every_byte(shop: &Shop) {
        shop.stock(&[(1, 10)]).await;
        for sn in ["a", "A", "a ", "ä", "a'; DROP TABLE stock; --", &"界".repeat(64)] {
            assert!(!shop.sell(sn, &[(1, 1)]).await.unwrap().replayed, "{sn:?} was taken for another");
            assert!(shop.sell(sn, &[(1, 1)]).await.unwrap().replayed);
        }
        assert_eq!(shop.on_hand(1).await, 4);
    }
}
