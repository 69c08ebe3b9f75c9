//! Strategies that change under traffic, or differ between replicas: an order finishes under the strategy that accepted
//! it, and all of them keep the same promises about the same rows.

use crate::race::all_at_once;
use crate::shop::{Backend, Shop, client, reason, sell};
use srv_config::{InventoryHot, LockStrategy};
use std::time::Duration;
use testkit::Redis;
use tokio::time::{Instant, interval};
use tonic::Code;

/// How often the strategy changes.
const EVERY: Duration = Duration::from_millis(50);
/// For how long: each strategy gets its turn more than a hundred times.
const FOR: Duration = Duration::from_secs(30);
/// Callers at once.
const CLIENTS: usize = 64;

async fn switched_under_traffic(backend: Backend) {
    let shop = Shop::open_with(LockStrategy::Conditional, backend, Some(Redis::start())).await;
    shop.stock(&[(1, 1_000_000), (2, 1_000_000), (3, 300)]).await;
    let settings = shop.settings().clone();
    let switching = tokio::spawn(async move {
        let mut ticks = interval(EVERY);
        for strategy in LockStrategy::ALL.into_iter().cycle() {
            ticks.tick().await;
            settings.replace(under(strategy));
        }
    });
    let until = Instant::now() + FOR;
    let sold = all_at_once(&shop, CLIENTS, |client_number, mut client| async move {
        let mut sold = Vec::new();
        for round in 0.. {
            if Instant::now() > until {
                break;
            }
            let sn = format!("o-{client_number}-{round}");
            let mut lines = vec![(1, 1), (2, 2)];
            if round % 3 == 0 {
                lines.insert(0, (3, 1));
            }
            // A crowd that waits for one lease longer than a call may take is told so, and comes again.
            let mut answer = sell(&mut client, &sn, &lines).await;
            while answer.as_ref().is_err_and(|status| status.code() == Code::Unavailable) {
                answer = sell(&mut client, &sn, &lines).await;
            }
            match answer {
                Ok(_) => sold.push((sn, lines)),
                Err(status) => assert_eq!(reason(&status), "INSUFFICIENT_STOCK", "{status}"),
            }
        }
        sold
    })
    .await;
    switching.abort();
    let sold: Vec<_> = sold.into_iter().flatten().collect();
    let books = shop.books().await;
    assert_eq!(books.sold(), sold.len());
    for (sn, _) in &sold {
        assert!(books.is_sold(sn), "{sn} was acknowledged and is not on record");
    }
    // Each lease numbers its goods: without a number redisLock never had its turn.
    let fence = shop.redis.as_ref().unwrap().cli(&["GET", "{shopkeeper-inventory:1}:f"]);
    assert_ne!(fence, "", "the strategies were not switched");
    let taken = i64::try_from(sold.len()).unwrap();
    assert_eq!(shop.on_hand(1).await, 1_000_000 - taken);
    assert_eq!(shop.on_hand(2).await, 1_000_000 - 2 * taken);
    let scarce = sold.iter().filter(|(_, lines)| lines.len() == 3).count();
    assert_eq!(shop.on_hand(3).await, 300 - i64::try_from(scarce).unwrap());
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strategies_switched_every_50_ms_lose_nothing_on_mariadb() {
    switched_under_traffic(Backend::MariaDb).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strategies_switched_every_50_ms_lose_nothing_on_sqlite() {
    switched_under_traffic(Backend::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_replicas_under_any_pair_of_strategies_sell_exactly_what_there_is_on_mariadb() {
    two_replicas_under_any_pair_of_strategies(Backend::MariaDb).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_replicas_under_any_pair_of_strategies_sell_exactly_what_there_is_on_tidb() {
    two_replicas_under_any_pair_of_strategies(Backend::TiDb).await;
}

async fn two_replicas_under_any_pair_of_strategies(backend: Backend) {
    let redis = Some(Redis::start());
    let shop = Shop::open_with(LockStrategy::Conditional, backend, redis).await;
    let other = shop.another_replica(LockStrategy::Conditional).await;
    let addresses = [shop.address(), other.address];
    let mut goods = 0;
    for (index, left) in LockStrategy::ALL.into_iter().enumerate() {
        for right in LockStrategy::ALL.into_iter().skip(index) {
            goods += 1;
            shop.settings().replace(under(left));
            other.settings.replace(under(right));
            shop.stock(&[(goods, 31)]).await;
            let answers = all_at_once(&shop, 24, |number, _| {
                let mut client = client(addresses[number % 2]);
                async move {
                    let mut sold = 0;
                    // The first is the same order for all.
                    for sn in [
                        format!("{goods}"),
                        format!("{goods}-{number}"),
                        format!("{goods}+{number}"),
                    ] {
                        match sell(&mut client, &sn, &[(goods, 1)]).await {
                            Ok(answer) => sold += usize::from(!answer.replayed),
                            Err(status) => {
                                assert_eq!(reason(&status), "INSUFFICIENT_STOCK", "{status}");
                            }
                        }
                    }
                    sold
                }
            })
            .await;
            let sold: usize = answers.into_iter().sum();
            assert_eq!(sold, 31, "{} beside {}", left.as_str(), right.as_str());
            assert_eq!(shop.on_hand(goods).await, 0, "{} beside {}", left.as_str(), right.as_str());
        }
    }
    shop.close().await;
}

fn under(lock_strategy: LockStrategy) -> InventoryHot {
    InventoryHot { lock_strategy, ..Default::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_order_sent_to_three_replicas_at_once_is_deducted_once_on_mariadb() {
    one_order_to_three_replicas(Backend::MariaDb).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_order_sent_to_three_replicas_at_once_is_deducted_once_on_tidb() {
    one_order_to_three_replicas(Backend::TiDb).await;
}

async fn one_order_to_three_replicas(backend: Backend) {
    let shop = Shop::open_with(LockStrategy::Conditional, backend, Some(Redis::start())).await;
    let row_lock = shop.another_replica(LockStrategy::RowLock).await;
    let redis_lock = shop.another_replica(LockStrategy::RedisLock).await;
    let addresses = [shop.address(), row_lock.address, redis_lock.address];
    shop.stock(&[(1, 1_000), (2, 1_000)]).await;
    for round in 0..10 {
        let answers = all_at_once(&shop, 12, |client_number, _| {
            let mut client = client(addresses[client_number % 3]);
            async move {
                sell(&mut client, &format!("o-{round}"), &[(1, 1), (2, 2)]).await.unwrap().replayed
            }
        })
        .await;
        assert_eq!(answers.into_iter().filter(|replayed| !replayed).count(), 1);
    }
    assert_eq!((shop.on_hand(1).await, shop.on_hand(2).await), (990, 980));
    shop.close().await;
}
