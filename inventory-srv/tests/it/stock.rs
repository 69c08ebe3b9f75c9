//! Rules of `SetStock`, `GetStock` and `BatchGetStock`.

use crate::shop::{bad_request, info, reason, refusal};
use proto::inventory::v1::{BatchGetStockRequest, GetStockRequest, SetStockRequest};
use tonic::Code;

fn set(goods_id: i64, on_hand: i64) -> SetStockRequest {
    SetStockRequest { goods_id, on_hand, ..Default::default() }
}

contract! {
    async fn a_stock_is_set_and_read(shop: &Shop) {
        let set = shop.client().set_stock(set(1, 5)).await.unwrap().into_inner();
        assert!(!set.replayed);
        let stock = set.stock.unwrap();
        assert_eq!((stock.goods_id, stock.on_hand, stock.reserved, stock.safety, stock.available), (1, 5, 0, 0, 5));
        assert!(stock.update_time.is_some() && !stock.etag.is_empty());
        assert_eq!(shop.get(1).await, stock);
        shop.sell("o-1", &[(1, 2)]).await.unwrap();
        let after = shop.get(1).await;
        assert_eq!((after.on_hand, after.available), (3, 3));
        assert_ne!(after.etag, stock.etag);
    }

    async fn goods_that_are_not_stocked_are_not_found(shop: &Shop) {
        let got = shop.client().get_stock(GetStockRequest { goods_id: 9 }).await;
        assert_eq!(refusal(got), (Code::NotFound, "GOODS_NOT_STOCKED".into()));
    }

    async fn a_batch_names_the_missing_and_keeps_the_order(shop: &Shop) {
        shop.stock(&[(1, 1), (2, 2), (3, 3)]).await;
        let request = BatchGetStockRequest { goods_ids: vec![3, 9, 1, 3, 8] };
        let got = shop.client().batch_get_stock(request).await.unwrap().into_inner();
        let stocks: Vec<_> = got.stocks.iter().map(|stock| (stock.goods_id, stock.on_hand)).collect();
        assert_eq!(stocks, [(3, 3), (1, 1)]);
        assert_eq!(got.missing_goods_ids, [9, 8]);
        let none = shop.client().batch_get_stock(BatchGetStockRequest::default()).await.unwrap().into_inner();
        assert!(none.stocks.is_empty() && none.missing_goods_ids.is_empty());
    }

    async fn a_batch_with_bad_ids_names_them(shop: &Shop) {
        let status = shop.client().batch_get_stock(BatchGetStockRequest { goods_ids: vec![1, 0] }).await.unwrap_err();
        assert_eq!(bad_request(&status), [("goods_ids[1]".to_owned(), "INVALID_GOODS_ID".to_owned())]);
        let many = BatchGetStockRequest { goods_ids: (1..=501).collect() };
        let got = shop.client().batch_get_stock(many).await;
        assert_eq!(refusal(got), (Code::InvalidArgument, "TOO_MANY_GOODS".into()));
    }

    async fn a_stock_out_of_bounds_is_refused(shop: &Shop) {
        for (request, expected) in [
            (set(0, 1), "INVALID_GOODS_ID"),
            (set(1, -1), "INVALID_QUANTITY"),
            (set(1, 1_000_000_001), "QUANTITY_TOO_HIGH"),
            (SetStockRequest { request_id: "x".repeat(65), ..set(1, 1) }, "INVALID_REQUEST_ID"),
        ] {
            let answer = shop.client().set_stock(request).await;
            assert_eq!(refusal(answer), (Code::InvalidArgument, expected.into()));
        }
    }

    async fn a_stock_that_is_not_as_expected_is_not_set(shop: &Shop) {
        let expecting = |pieces| SetStockRequest { expected_on_hand: Some(pieces), ..set(1, 20) };
        assert_eq!(refusal(shop.client().set_stock(expecting(1)).await), (Code::Aborted, "STALE_QUANTITY".into()));
        shop.client().set_stock(SetStockRequest { on_hand: 10, ..expecting(0) }).await.unwrap();
        let etag = shop.get(1).await.etag;
        shop.sell("o-1", &[(1, 1)]).await.unwrap();
        let status = shop.client().set_stock(expecting(10)).await.unwrap_err();
        assert_eq!((status.code(), reason(&status)), (Code::Aborted, "STALE_QUANTITY".into()));
        assert_eq!(info(&status).metadata["current"], "9");
        for etag in [etag, "nonsense".to_owned()] {
            let stale = shop.client().set_stock(SetStockRequest { etag, ..set(1, 20) }).await;
            assert_eq!(refusal(stale), (Code::Aborted, "STALE_QUANTITY".into()));
        }
        let etag = shop.get(1).await.etag;
        shop.client().set_stock(SetStockRequest { etag, ..expecting(9) }).await.unwrap();
        assert_eq!(shop.on_hand(1).await, 20);
    }

    async fn a_request_id_takes_effect_once(shop: &Shop) {
        let request = SetStockRequest { request_id: "r-1".into(), ..set(1, 10) };
        let first = shop.client().set_stock(request.clone()).await.unwrap().into_inner();
        shop.sell("o-1", &[(1, 4)]).await.unwrap();
        let again = shop.client().set_stock(request.clone()).await.unwrap().into_inner();
        assert!(again.replayed);
        assert_eq!(again.stock, first.stock);
        assert_eq!(shop.on_hand(1).await, 6);
        for other in [SetStockRequest { on_hand: 11, ..request.clone() }, SetStockRequest { goods_id: 2, ..request }] {
            let answer = shop.client().set_stock(other).await;
            assert_eq!(refusal(answer), (Code::AlreadyExists, "REQUEST_PAYLOAD_MISMATCH".into()));
        }
    }
}
