//! Many callers at once. Connections of their own, released by a barrier: whoever wins, the promises hold.

use crate::shop::{Client, Shop, reason, refusal, sell, stock_lines};
use std::sync::Arc;
use tokio::sync::Barrier;
use tokio::task::JoinSet;
use tonic::{Code, Status};

/// Clients that race for one goods.
const CLIENTS: usize = 64;

/// Runs `work` once for each of `count` clients, all at once, and answers what each answered.
pub(crate) async fn all_at_once<T: Send + 'static, W>(
    shop: &Shop,
    count: usize,
    work: impl Fn(usize, Client) -> W,
) -> Vec<T>
where
    W: Future<Output = T> + Send + 'static,
{
    let barrier = Arc::new(Barrier::new(count));
    let mut tasks = JoinSet::new();
    for index in 0..count {
        let (barrier, work) = (Arc::clone(&barrier), work(index, shop.client()));
        tasks.spawn(async move {
            barrier.wait().await;
            work.await
        });
    }
    tasks.join_all().await
}

contract! {
    async fn a_stock_of_100_sells_exactly_100_times(shop: &Shop) {
        shop.stock(&[(1, 100)]).await;
        // Three orders each: 192 in all, so that many lose while others still win.
        let answers = all_at_once(shop, CLIENTS, |client_number, mut client| async move {
            let mut answers = Vec::new();
            for round in 0..3 {
                answers.push(sell(&mut client, &format!("o-{client_number}-{round}"), &[(1, 1)]).await);
            }
            answers
        }).await;
        let (won, lost): (Vec<_>, Vec<_>) = answers.into_iter().flatten().partition(Result::is_ok);
        for status in lost.into_iter().map(Result::unwrap_err) {
            assert_eq!((status.code(), reason(&status).as_str()), (Code::FailedPrecondition, "INSUFFICIENT_STOCK"));
            let errors = stock_lines(&status);
            assert_eq!((errors.lines.len(), errors.total), (1, 1));
            assert_eq!((errors.lines[0].goods_id, errors.lines[0].requested, errors.lines[0].available), (1, 1, 0));
        }
        assert!(won.iter().all(|answer| !answer.as_ref().unwrap().replayed));
        assert_eq!((won.len(), shop.on_hand(1).await, shop.books().await.sold()), (100, 0, 100));
    }

    async fn a_loser_of_the_last_pieces_learns_how_many_there_were(shop: &Shop) {
        for round in 0..10_i64 {
            let goods = 100 + round;
            shop.stock(&[(goods, 5)]).await;
            let answers = all_at_once(shop, 8, |client_number, mut client| async move {
                sell(&mut client, &format!("o-{round}-{client_number}"), &[(goods, 3)]).await
            }).await;
            assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
            for status in answers.into_iter().filter_map(Result::err) {
                assert_eq!(reason(&status), "INSUFFICIENT_STOCK");
                let line = stock_lines(&status).lines.remove(0);
                assert_eq!((line.goods_id, line.requested, line.available), (goods, 3, 2));
            }
        }
    }

    async fn orders_for_the_same_goods_in_opposite_orders_do_not_meet_in_a_deadlock(shop: &Shop) {
        let goods: Vec<i64> = (1..=6).collect();
        shop.stock(&goods.iter().map(|id| (*id, 1_000)).collect::<Vec<_>>()).await;
        let answers = all_at_once(shop, 32, |client_number, mut client| {
            let mut lines: Vec<_> = goods.iter().map(|id| (*id, 1)).collect();
            match client_number % 3 {
                0 => {}
                1 => lines.reverse(),
                _ => lines.rotate_left(client_number % 6),
            }
            async move {
                let mut answers = Vec::new();
                for round in 0..5 {
                    answers.push(sell(&mut client, &format!("o-{client_number}-{round}"), &lines).await);
                }
                answers
            }
        }).await;
        for answer in answers.into_iter().flatten() {
            answer.unwrap();
        }
        for id in goods {
            assert_eq!(shop.on_hand(id).await, 1_000 - 160);
        }
    }

    async fn one_order_sent_100_times_at_once_is_deducted_once(shop: &Shop) {
        shop.stock(&[(1, 1_000), (2, 1_000)]).await;
        let answers = all_at_once(shop, 100, |_, mut client| async move {
            sell(&mut client, "o-1", &[(2, 3), (1, 7)]).await
        }).await;
        let answers: Vec<_> = answers.into_iter().map(|answer| answer.unwrap()).collect();
        assert_eq!(answers.iter().filter(|answer| !answer.replayed).count(), 1);
        assert!(answers.iter().all(|answer| answer.order == answers[0].order));
        assert_eq!((shop.on_hand(1).await, shop.on_hand(2).await), (993, 997));
    }

    async fn a_replay_of_the_last_piece_at_once_is_never_called_short(shop: &Shop) {
        for round in 0..10_i64 {
            let goods = 100 + round;
            shop.stock(&[(goods, 1)]).await;
            let sn = format!("o-{round}");
            let answers = all_at_once(shop, 12, |_, mut client| {
                let sn = sn.clone();
                async move { sell(&mut client, &sn, &[(goods, 1)]).await }
            }).await;
            let replayed = answers.into_iter().filter(|answer| answer.as_ref().unwrap().replayed).count();
            assert_eq!(replayed, 11);
        }
    }

    async fn two_orders_under_one_number_at_once_sell_one_of_them(shop: &Shop) {
        shop.stock(&[(1, 1_000), (2, 1_000)]).await;
        for round in 0..10 {
            let sn = format!("o-{round}");
            let answers = all_at_once(shop, 8, |client_number, mut client| {
                let (sn, goods) = (sn.clone(), 1 + i64::try_from(client_number % 2).unwrap());
                async move { (goods, sell(&mut client, &sn, &[(goods, 1)]).await) }
            }).await;
            let winners: Vec<_> = answers.iter().filter(|(_, answer)| answer.is_ok()).collect();
            assert_eq!(winners.len(), 4, "{answers:?}");
            assert!(winners.iter().all(|(goods, _)| *goods == winners[0].0));
            for (_, answer) in answers.into_iter().filter(|(_, answer)| answer.is_err()) {
                assert_eq!(refusal(answer), (Code::AlreadyExists, "ORDER_PAYLOAD_MISMATCH".into()));
            }
        }
        assert_eq!(shop.on_hand(1).await + shop.on_hand(2).await, 1_990);
    }

    async fn an_order_and_its_return_at_once_leave_nothing_taken(shop: &Shop) {
        shop.stock(&[(1, 100), (2, 100)]).await;
        for round in 0..20 {
            let sn = format!("o-{round}");
            // Sells and returns of one order, all at once; whatever comes first, the last word is a return.
            let answers: Vec<Result<(), Status>> = all_at_once(shop, 6, |client_number, mut client| {
                let sn = sn.clone();
                async move {
                    if client_number % 2 == 0 {
                        return sell(&mut client, &sn, &[(1, 1), (2, 2)]).await.map(drop);
                    }
                    let request = proto::inventory::v1::RebackRequest { order_sn: sn, ..Default::default() };
                    client.reback(request).await.map(drop)
                }
            }).await;
            for answer in answers.into_iter().filter(Result::is_err) {
                assert_eq!(refusal(answer), (Code::FailedPrecondition, "ORDER_ALREADY_CLOSED".into()));
            }
            assert_eq!((shop.on_hand(1).await, shop.on_hand(2).await), (100, 100), "round {round}");
        }
    }

    async fn goods_stocked_for_the_first_time_by_many_at_once_are_stocked_once(shop: &Shop) {
        for goods_id in 1..=5 {
            let answers = all_at_once(shop, 12, |client_number, mut client| async move {
                let on_hand = i64::try_from(client_number).unwrap() + 1;
                let request = proto::inventory::v1::SetStockRequest {
                    goods_id, on_hand, expected_on_hand: Some(0), ..Default::default()
                };
                client.set_stock(request).await.map(|answer| answer.into_inner().stock.unwrap())
            }).await;
            let (mut set, stale): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
            assert_eq!(set.len(), 1);
            assert_eq!(shop.get(goods_id).await, set.remove(0).unwrap());
            for answer in stale {
                assert_eq!(refusal(answer), (Code::Aborted, "STALE_QUANTITY".into()));
            }
        }
    }

    async fn stock_that_is_set_while_it_sells_is_neither_lost_nor_doubled(shop: &Shop) {
        shop.stock(&[(1, 50)]).await;
        all_at_once(shop, 16, |client_number, mut client| async move {
            for round in 0..5 {
                if client_number < 4 {
                    let request = proto::inventory::v1::SetStockRequest {
                        goods_id: 1, on_hand: 20 + round, ..Default::default()
                    };
                    client.set_stock(request).await.unwrap();
                } else if let Err(status) = sell(&mut client, &format!("o-{client_number}-{round}"), &[(1, 1)]).await {
                    assert_eq!(reason(&status), "INSUFFICIENT_STOCK");
                }
            }
        }).await;
    }
}
