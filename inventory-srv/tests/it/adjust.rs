//! Rules of `AdjustStock`, `SetSafetyStock` and `BatchSetStock`.

use crate::calls::status;
use crate::shop::{bad_request, info, preconditions, reason, refusal, stock_lines};
use futures::future::join_all;
use proto::inventory::v1::{
    AdjustStockRequest, BatchSetStockRequest, SetSafetyStockRequest, SetStockRequest, Stock,
    batch_set_stock_result::Result as Outcome,
};
use tonic::Code;

fn adjustment(goods_id: i64, delta: i64) -> AdjustStockRequest {
    AdjustStockRequest {
        goods_id,
        delta,
        reason: "broken".to_owned(),
        request_id: "r-1".to_owned(),
        ..Default::default()
    }
}

fn set(goods_id: i64, on_hand: i64) -> SetStockRequest {
    SetStockRequest { goods_id, on_hand, ..Default::default() }
}

/// What came of each of a batch: how many are on hand now, or the reason why it was refused.
async fn batch_set(
    shop: &crate::shop::Shop,
    stocks: Vec<SetStockRequest>,
) -> Vec<Result<i64, (Code, String)>> {
    let request = BatchSetStockRequest { stocks };
    let results = shop.client().batch_set_stock(request).await.unwrap().into_inner().results;
    let outcome = |result: Option<Outcome>| match result.unwrap() {
        Outcome::Set(set) => Ok(set.stock.unwrap().on_hand),
        Outcome::Error(error) => {
            let status = status(&error);
            Err((status.code(), reason(&status)))
        }
    };
    results.into_iter().map(|result| outcome(result.result)).collect()
}

contract! {
    async fn a_stock_is_adjusted_both_ways(shop: &Shop) {
        shop.stock(&[(1, 10)]).await;
        let before = shop.get(1).await;
        let less = shop.adjust(1, -4, "r-1").await.unwrap();
        assert!(!less.replayed);
        let stock = less.stock.unwrap();
        assert_eq!((stock.on_hand, stock.available), (6, 6));
        assert_ne!(stock.etag, before.etag);
        assert_eq!(shop.get(1).await, stock);
        assert_eq!(shop.adjust(1, 1_000, "r-2").await.unwrap().stock.unwrap().on_hand, 1_006);
        assert_eq!(shop.adjust(1, -1_006, "r-3").await.unwrap().stock.unwrap().on_hand, 0);
    }

    async fn an_adjustment_takes_effect_once_and_its_repeat_gets_the_first_answer(shop: &Shop) {
        shop.stock(&[(1, 10), (2, 10)]).await;
        let request = adjustment(1, -3);
        let first = shop.client().adjust_stock(request.clone()).await.unwrap().into_inner();
        shop.sell("o-1", &[(1, 2)]).await.unwrap();
        let again = shop.client().adjust_stock(request.clone()).await.unwrap().into_inner();
        assert!(again.replayed);
        assert_eq!(again.stock, first.stock);
        assert_eq!(shop.on_hand(1).await, 5);
        for other in [
            adjustment(1, -4),
            adjustment(2, -3),
            AdjustStockRequest { reason: "stolen".into(), ..request.clone() },
            AdjustStockRequest { expected_on_hand: Some(5), ..request.clone() },
        ] {
            let status = shop.client().adjust_stock(other).await.unwrap_err();
            let expected = (Code::AlreadyExists, "REQUEST_PAYLOAD_MISMATCH".to_owned());
            assert_eq!((status.code(), reason(&status)), expected);
            assert_eq!(info(&status).metadata["requestId"], "r-1");
        }
        // One key, one change, whatever the call.
        let set = SetStockRequest { request_id: "r-1".into(), ..set(1, 7) };
        assert_eq!(refusal(shop.client().set_stock(set).await).1, "REQUEST_PAYLOAD_MISMATCH");
        assert_eq!((shop.on_hand(1).await, shop.on_hand(2).await), (5, 10));
    }

    async fn an_adjustment_needs_a_key_a_reason_and_pieces(shop: &Shop) {
        shop.stock(&[(1, 10)]).await;
        let status = shop.client().adjust_stock(AdjustStockRequest::default()).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument);
        let expected = [
            ("goods_id", "INVALID_GOODS_ID"),
            ("delta", "INVALID_QUANTITY"),
            ("reason", "INVALID_REASON"),
            ("request_id", "INVALID_REQUEST_ID"),
        ];
        assert_eq!(bad_request(&status), expected.map(|(field, reason)| (field.to_owned(), reason.to_owned())));
        for (request, expected) in [
            (adjustment(1, 1_000_000_001), "QUANTITY_TOO_HIGH"),
            (adjustment(1, i64::MIN), "QUANTITY_TOO_HIGH"),
            (AdjustStockRequest { reason: "界".repeat(201), ..adjustment(1, 1) }, "INVALID_REASON"),
            (AdjustStockRequest { reason: "a\nb".into(), ..adjustment(1, 1) }, "INVALID_REASON"),
            (AdjustStockRequest { request_id: "x".repeat(65), ..adjustment(1, 1) }, "INVALID_REQUEST_ID"),
        ] {
            let answer = shop.client().adjust_stock(request).await;
            assert_eq!(refusal(answer), (Code::InvalidArgument, expected.into()));
        }
        assert_eq!(shop.on_hand(1).await, 10);
        let longest = AdjustStockRequest { reason: "界".repeat(200), ..adjustment(1, 1) };
        shop.client().adjust_stock(longest).await.unwrap();
        assert_eq!(shop.on_hand(1).await, 11);
    }

    async fn goods_that_are_not_stocked_are_neither_adjusted_nor_kept_back(shop: &Shop) {
        let status = shop.adjust(9, 1, "r-1").await.unwrap_err();
        assert_eq!((status.code(), reason(&status)), (Code::NotFound, "GOODS_NOT_STOCKED".into()));
        assert_eq!(info(&status).metadata["goodsId"], "9");
        assert_eq!(refusal(shop.set_safety(9, 1).await), (Code::NotFound, "GOODS_NOT_STOCKED".into()));
    }

    async fn an_adjustment_leaves_no_less_than_is_reserved(shop: &Shop) {
        shop.stock(&[(1, 10)]).await;
        let status = shop.adjust(1, -11, "r-1").await.unwrap_err();
        assert_eq!((status.code(), reason(&status)), (Code::FailedPrecondition, "INSUFFICIENT_STOCK".into()));
        shop.hold("o-1", &[(1, 4)], 1).await.unwrap();
        let status = shop.adjust(1, -7, "r-1").await.unwrap_err();
        assert_eq!((status.code(), reason(&status)), (Code::FailedPrecondition, "INSUFFICIENT_STOCK".into()));
        let line = &stock_lines(&status).lines[0];
        assert_eq!((line.goods_id, line.requested, line.available), (1, 7, 6));
        assert_eq!(preconditions(&status), [("INSUFFICIENT_STOCK".to_owned(), "goods/1".to_owned())]);
        // What was refused has not used its key up, and dead holds are nobody's.
        shop.expire("o-1").await;
        shop.adjust(1, -7, "r-1").await.unwrap();
        assert_eq!(shop.on_hand(1).await, 3);
    }

    async fn an_adjustment_over_the_cap_is_refused(shop: &Shop) {
        shop.stock(&[(1, 1)]).await;
        let over = shop.adjust(1, 1_000_000_000, "r-1").await;
        assert_eq!(refusal(over), (Code::OutOfRange, "STOCK_OVERFLOW".into()));
        shop.adjust(1, 999_999_999, "r-1").await.unwrap();
        assert_eq!(shop.on_hand(1).await, 1_000_000_000);
    }

    async fn a_stock_that_is_not_as_expected_is_not_adjusted(shop: &Shop) {
        shop.stock(&[(1, 10)]).await;
        let etag = shop.get(1).await.etag;
        let expecting = |pieces| AdjustStockRequest { expected_on_hand: Some(pieces), ..adjustment(1, -1) };
        let status = shop.client().adjust_stock(expecting(9)).await.unwrap_err();
        assert_eq!((status.code(), reason(&status)), (Code::Aborted, "STALE_QUANTITY".into()));
        assert_eq!(info(&status).metadata["current"], "10");
        shop.client().adjust_stock(AdjustStockRequest { etag: etag.clone(), ..expecting(10) }).await.unwrap();
        let stale = AdjustStockRequest { etag: etag.clone(), request_id: "r-2".into(), ..adjustment(1, -1) };
        assert_eq!(refusal(shop.client().adjust_stock(stale).await), (Code::Aborted, "STALE_QUANTITY".into()));
        let stale = SetSafetyStockRequest { goods_id: 1, safety: 1, etag, ..Default::default() };
        assert_eq!(refusal(shop.client().set_safety_stock(stale).await), (Code::Aborted, "STALE_QUANTITY".into()));
        assert_eq!(shop.on_hand(1).await, 9);
    }

    async fn adjustments_at_once_add_up(shop: &Shop) {
        shop.stock(&[(1, 100)]).await;
        let adjust = |index: i64| {
            let id = format!("r-{index}");
            async move { shop.adjust(1, if index % 2 == 0 { 3 } else { -2 }, &id).await }
        };
        let answers = join_all((0..24).map(adjust)).await;
        assert!(answers.into_iter().all(|answer| !answer.unwrap().replayed));
        assert_eq!(shop.on_hand(1).await, 112);
    }

    async fn one_adjustment_sent_many_times_at_once_is_made_once(shop: &Shop) {
        shop.stock(&[(1, 100)]).await;
        let answers = join_all((0..8).map(|_| shop.adjust(1, -3, "r-1"))).await;
        let first = answers.into_iter().filter(|answer| !answer.as_ref().unwrap().replayed).count();
        assert_eq!((first, shop.on_hand(1).await), (1, 97));
    }

    async fn pieces_that_are_kept_back_are_not_sold(shop: &Shop) {
        shop.stock(&[(1, 10)]).await;
        let kept = shop.set_safety(1, 7).await.unwrap();
        assert!(!kept.replayed);
        let Stock { on_hand, safety, available, .. } = kept.stock.unwrap();
        assert_eq!((on_hand, safety, available), (10, 7, 3));
        let status = shop.sell("o-1", &[(1, 4)]).await.unwrap_err();
        assert_eq!(stock_lines(&status).lines[0].available, 3);
        shop.sell("o-1", &[(1, 3)]).await.unwrap();
        assert_eq!(refusal(shop.hold("o-2", &[(1, 1)], 60).await).1, "INSUFFICIENT_STOCK");
        shop.set_safety(1, 0).await.unwrap();
        shop.sell("o-3", &[(1, 7)]).await.unwrap();
        assert_eq!(shop.on_hand(1).await, 0);
    }

    async fn what_is_kept_back_may_be_more_than_there_is_and_takes_nothing_from_holds(shop: &Shop) {
        shop.stock(&[(1, 10)]).await;
        shop.hold("o-1", &[(1, 4)], 60).await.unwrap();
        let kept = shop.set_safety(1, 1_000_000_000).await.unwrap().stock.unwrap();
        assert_eq!((kept.on_hand, kept.reserved, kept.available), (10, 4, 0));
        shop.confirm("o-1").await.unwrap();
        shop.reback_lines("o-1", &[(1, 1)], "r-1").await.unwrap();
        assert_eq!(shop.on_hand(1).await, 7);
        for (safety, expected) in [(-1, "INVALID_QUANTITY"), (1_000_000_001, "QUANTITY_TOO_HIGH")] {
            assert_eq!(refusal(shop.set_safety(1, safety).await), (Code::InvalidArgument, expected.into()));
        }
    }

    async fn what_is_kept_back_is_set_once_per_key(shop: &Shop) {
        shop.stock(&[(1, 10)]).await;
        let request = SetSafetyStockRequest { goods_id: 1, safety: 2, request_id: "r-1".into(), ..Default::default() };
        let first = shop.client().set_safety_stock(request.clone()).await.unwrap().into_inner();
        shop.set_safety(1, 5).await.unwrap();
        let again = shop.client().set_safety_stock(request.clone()).await.unwrap().into_inner();
        assert!(again.replayed);
        assert_eq!((again.stock, shop.get(1).await.safety), (first.stock, 5));
        let other = SetSafetyStockRequest { safety: 3, ..request };
        assert_eq!(refusal(shop.client().set_safety_stock(other).await).1, "REQUEST_PAYLOAD_MISMATCH");
    }

    async fn stocks_of_a_batch_are_set_each_by_itself_and_answered_in_order(shop: &Shop) {
        shop.stock(&[(2, 10), (3, 10)]).await;
        shop.hold("o-1", &[(2, 4)], 60).await.unwrap();
        let results = batch_set(shop, vec![
            set(7, 70),
            set(2, 3),
            set(0, 1),
            SetStockRequest { expected_on_hand: Some(9), ..set(3, 30) },
            set(4, -1),
            set(1, 10),
        ]).await;
        let refused = |code, reason: &str| Err((code, reason.to_owned()));
        assert_eq!(results, [
            Ok(70),
            refused(Code::FailedPrecondition, "BELOW_RESERVED"),
            refused(Code::InvalidArgument, "INVALID_GOODS_ID"),
            refused(Code::Aborted, "STALE_QUANTITY"),
            refused(Code::InvalidArgument, "INVALID_QUANTITY"),
            Ok(10),
        ]);
        assert_eq!((shop.on_hand(7).await, shop.on_hand(2).await), (70, 10));
        assert_eq!((shop.on_hand(3).await, shop.on_hand(1).await), (10, 10));
    }

    async fn a_batch_that_names_goods_twice_sets_nothing(shop: &Shop) {
        shop.stock(&[(1, 10)]).await;
        let request = BatchSetStockRequest { stocks: vec![set(1, 1), set(2, 2), set(1, 1)] };
        let status = shop.client().batch_set_stock(request).await.unwrap_err();
        assert_eq!((status.code(), reason(&status)), (Code::InvalidArgument, "DUPLICATE_GOODS_ID".into()));
        let expected = ("stocks[2].goods_id".to_owned(), "DUPLICATE_GOODS_ID".to_owned());
        assert_eq!(bad_request(&status), [expected]);
        let many = BatchSetStockRequest { stocks: (1..=501).map(|id| set(id, 1)).collect() };
        let answer = shop.client().batch_set_stock(many).await;
        assert_eq!(refusal(answer), (Code::InvalidArgument, "TOO_MANY_GOODS".into()));
        assert_eq!(shop.on_hand(1).await, 10);
    }

    async fn a_batch_of_500_stocks_is_set_and_its_repeat_by_key_moves_nothing(shop: &Shop) {
        let keyed = |id: i64| SetStockRequest { request_id: format!("r-{id}"), ..set(id, id) };
        let request = || (1..=500).map(keyed).collect::<Vec<_>>();
        let all: Vec<_> = (1..=500).map(Ok).collect();
        assert_eq!(batch_set(shop, request()).await, all);
        shop.sell("o-1", &[(500, 100)]).await.unwrap();
        assert_eq!(batch_set(shop, request()).await, all);
        assert_eq!((shop.on_hand(1).await, shop.on_hand(500).await), (1, 400));
        assert!(batch_set(shop, Vec::new()).await.is_empty());
    }
}
