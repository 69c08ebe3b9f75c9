//! Rules of `BatchSell`.

use crate::calls::{seconds, status};
use crate::shop::{info, reason, refusal, request, stock_lines};
use proto::inventory::v1::{
    BatchSellResponse, OrderState, SellRequest, batch_sell_result::Result as Outcome,
};
use tonic::{Code, Status};

/// What came of each: the state of the order and whether it was a replay, or the status.
fn outcomes(response: BatchSellResponse) -> Vec<Result<(OrderState, bool), Status>> {
    let outcome = |result: Option<Outcome>| match result.unwrap() {
        Outcome::Sold(sold) => Ok((sold.order.unwrap().state(), sold.replayed)),
        Outcome::Error(error) => Err(status(&error)),
    };
    response.results.into_iter().map(|result| outcome(result.result)).collect()
}

contract! {
    async fn orders_of_a_batch_are_sold_each_by_itself_and_answered_in_order(shop: &Shop) {
        shop.stock(&[(1, 10), (2, 1)]).await;
        shop.sell("o-9", &[(1, 1)]).await.unwrap();
        shop.cancel("o-8").await.unwrap();
        let orders = vec![
            request("o-1", &[(1, 2)]),
            request("o-2", &[(1, 1), (2, 2)]),
            request("", &[(0, 1)]),
            SellRequest { ttl: seconds(60), ..request("o-3", &[(1, 3)]) },
            request("o-4", &[(7, 1)]),
            request("o-9", &[(1, 1)]),
            request("o-9", &[(1, 2)]),
            request("o-8", &[(1, 1)]),
            request("o-5", &[(1, 1), (2, 1)]),
        ];
        let outcomes = outcomes(shop.batch_sell(orders).await.unwrap());
        let seen: Vec<_> = outcomes
            .iter()
            .map(|outcome| match outcome {
                Ok((state, replayed)) => format!("{} {replayed}", state.as_str_name()),
                Err(status) => format!("{:?} {}", status.code(), reason(status)),
            })
            .collect();
        assert_eq!(seen, [
            "ORDER_STATE_CONFIRMED false",
            "FailedPrecondition INSUFFICIENT_STOCK",
            "InvalidArgument INVALID_ORDER_SN",
            "ORDER_STATE_RESERVED false",
            "NotFound GOODS_NOT_STOCKED",
            "ORDER_STATE_CONFIRMED true",
            "AlreadyExists ORDER_PAYLOAD_MISMATCH",
            "FailedPrecondition ORDER_ALREADY_CLOSED",
            "ORDER_STATE_CONFIRMED false",
        ]);
        let short = outcomes[1].as_ref().unwrap_err();
        // Each by itself: whether o-5 had its piece before o-2 asked is open.
        let line = stock_lines(short).lines.remove(0);
        assert!(line.goods_id == 2 && line.available <= 1, "{line:?}");
        assert_eq!(info(outcomes[2].as_ref().unwrap_err()).metadata["total"], "2");
        let stock = shop.get(1).await;
        assert_eq!((stock.on_hand, stock.reserved, shop.on_hand(2).await), (6, 3, 0));
        assert_eq!(refusal(shop.order("o-2").await).1, "ORDER_NOT_FOUND");
    }

    async fn a_batch_sent_again_moves_nothing(shop: &Shop) {
        shop.stock(&[(1, 100)]).await;
        let orders: Vec<_> = (0..40).map(|index| request(&format!("o-{index}"), &[(1, 2)])).collect();
        for replayed in [false, true] {
            let outcomes = outcomes(shop.batch_sell(orders.clone()).await.unwrap());
            assert_eq!(outcomes.len(), 40);
            assert!(outcomes.into_iter().all(|outcome| outcome.unwrap() == (OrderState::Confirmed, replayed)));
        }
        assert_eq!(shop.on_hand(1).await, 20);
    }

    async fn an_order_that_stands_in_a_batch_twice_is_sold_once(shop: &Shop) {
        shop.stock(&[(1, 10)]).await;
        let twice = vec![request("o-1", &[(1, 3)]), request("o-2", &[(1, 1)]), request("o-1", &[(1, 3)])];
        let outcomes = outcomes(shop.batch_sell(twice).await.unwrap());
        let replayed = |index: usize| outcomes[index].as_ref().unwrap().1;
        assert!(replayed(0) != replayed(2) && !replayed(1));
        assert_eq!(shop.on_hand(1).await, 6);
    }

    async fn a_batch_sells_no_more_than_there_is(shop: &Shop) {
        shop.stock(&[(1, 120), (2, 1_000)]).await;
        let orders = (0..200).map(|index| request(&format!("o-{index}"), &[(1, 1), (2, 1)])).collect();
        let outcomes = outcomes(shop.batch_sell(orders).await.unwrap());
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 120);
        for refused in outcomes.into_iter().filter(Result::is_err) {
            assert_eq!(refusal(refused).1, "INSUFFICIENT_STOCK");
        }
        assert_eq!((shop.on_hand(1).await, shop.on_hand(2).await), (0, 880));
    }

    async fn a_batch_out_of_bounds_is_refused_whole(shop: &Shop) {
        shop.stock(&[(1, 10_000)]).await;
        let orders = |count: usize, lines: usize| -> Vec<_> {
            let lines = vec![(1, 1); lines];
            (0..count).map(|index| request(&format!("o-{index}"), &lines)).collect()
        };
        let mut long = orders(1, 1);
        long[0].order_sn = "x".repeat(1024 * 1024);
        for (batch, expected) in [
            (orders(1_001, 1), "TOO_MANY_ORDERS"),
            (orders(241, 17), "TOO_MANY_LINES"),
            (long, "BATCH_TOO_LARGE"),
        ] {
            let answer = shop.batch_sell(batch).await;
            assert_eq!(refusal(answer), (Code::InvalidArgument, expected.into()));
        }
        assert_eq!(shop.on_hand(1).await, 10_000);
        assert!(shop.batch_sell(Vec::new()).await.unwrap().results.is_empty());
    }
}
