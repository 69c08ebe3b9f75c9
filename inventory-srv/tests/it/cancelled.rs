//! Callers that go away: their order is sold or not, never half, and the connection they used does no harm to the next.

use crate::race::all_at_once;
use crate::shop::{Blocker, Shop, reason, request};
use inventory_srv::act::OrderAct;
use inventory_srv::order::Order;
use proto::inventory::v1::SellResponse;
use srv_config::LockStrategy;
use srv_runtime::Deadline;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};
use tonic::Code;

/// What an order comes to when it is sent until nothing is in its way: orders that were dropped go on, and on a slow
/// database hundreds of them keep the rows for longer than one call may take.
async fn settled(shop: &Shop, sn: &str, lines: &[(i64, i64)]) -> SellResponse {
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        match shop.sell(sn, lines).await {
            Ok(answer) => return answer,
            Err(status) if status.code() == Code::Unavailable && Instant::now() < until => {}
            Err(status) => panic!("{sn} is not settled: {status}"),
        }
    }
}

contract! {
    /// The deadlines fall anywhere: before the request arrives, during BEGIN, between statements, during COMMIT.
    async fn requests_dropped_at_random_moments_lose_nothing(shop: &Shop) {
        shop.stock(&[(1, 100_000), (2, 100_000)]).await;
        let seed: u64 = rand::random();
        println!("seed {seed}");
        let sent = all_at_once(shop, 16, |client_number, mut client| async move {
            let mut acknowledged = Vec::new();
            for round in 0..25_u64 {
                // A cheap mixture of the seed is enough to spread deadlines.
                let number = u64::try_from(client_number).unwrap();
                let mixed = (seed ^ (number << 32) ^ round).wrapping_mul(0x9E37_79B9_7F4A_7C15);
                let sn = format!("o-{client_number}-{round}");
                let mut request = tonic::Request::new(request(&sn, &[(1, 1), (2, 2)]));
                request.set_timeout(Duration::from_micros((mixed >> 32) % 30_000));
                if client.sell(request).await.is_ok() {
                    acknowledged.push(sn);
                }
            }
            acknowledged
        }).await;
        // Every order is settled by sending it again; what was acknowledged is a replay now.
        for client_number in 0..16 {
            for round in 0..25 {
                let sn = format!("o-{client_number}-{round}");
                let answer = settled(shop, &sn, &[(1, 1), (2, 2)]).await;
                assert!(answer.replayed || !sent.iter().flatten().any(|acknowledged| *acknowledged == sn));
            }
        }
        assert_eq!((shop.on_hand(1).await, shop.on_hand(2).await), (99_600, 99_200));
    }

    /// A lane does not begin with an order whose caller is gone by then; any other strategy has begun and ends it.
    async fn a_caller_that_goes_away_while_its_order_waits_leaves_it_whole(shop: &Shop) {
        shop.stock(&[(1, 10)]).await;
        let blocker = Blocker::hold(shop, 1).await;
        let order = Order::parse("o-1".into(), &[(1, 3)], None).unwrap();
        let until = Deadline(Instant::now() + Duration::from_secs(5));
        let selling = shop.inventory().order(OrderAct::Sell(order), until);
        let waiting = timeout(Duration::from_millis(200), selling).await;
        assert!(waiting.is_err(), "the order did not wait for the rows that are held");
        blocker.release().await;
        if shop.settings().load().lock_strategy == LockStrategy::GroupCommit {
            // An order behind it: when that is sold, the lane has passed the first.
            shop.sell("o-2", &[(1, 1)]).await.unwrap();
            assert_eq!(reason(&shop.order("o-1").await.unwrap_err()), "ORDER_NOT_FOUND");
            assert_eq!(shop.on_hand(1).await, 9);
            return;
        }
        let found = async {
            while let Err(status) = shop.order("o-1").await {
                assert_eq!(reason(&status), "ORDER_NOT_FOUND");
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(Duration::from_secs(10), found).await.expect("the order was dropped with its caller");
        assert_eq!(shop.on_hand(1).await, 7);
    }
}
