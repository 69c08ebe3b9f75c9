//! What is answered when the database or Redis is away, and what holds then.

use crate::shop::{Backend, Shop, has_retry_info, info, reason, refusal};
use proto::inventory::v1::{OrderState, SetStockRequest};
use sqlx::{Connection, Executor, MySqlConnection};
use srv_config::LockStrategy;
use std::time::Duration;
use testkit::network::{Event, Fault, MYSQL_COMMIT, Trap};
use testkit::{MariaDb, Network, Redis};
use tonic::{Code, Status};

/// The longest that anything here may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// Tries until `probe` gives something.
async fn eventually<T, W: Future<Output = Option<T>>>(
    what: &str,
    mut probe: impl FnMut() -> W,
) -> T {
    let trying = async {
        loop {
            if let Some(found) = probe().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, trying).await.unwrap_or_else(|_| panic!("never: {what}"))
}

#[track_caller]
fn assert_unavailable(status: &Status, reasons: &[&str]) {
    assert_eq!(status.code(), Code::Unavailable, "{status}");
    assert!(has_retry_info(status), "{status}");
    assert!(reasons.contains(&info(status).reason.as_str()), "{status}");
    assert!(!status.message().contains("127.0.0.1"), "an address leaks: {status}");
}

/// A shop on a server of its own, which can be killed without harm to other tests.
async fn shop_at(server: &MariaDb, strategy: LockStrategy, redis: Option<Redis>) -> Shop {
    Shop::open_at(
        server.fresh_database(),
        strategy,
        Backend::MariaDb,
        redis,
        tempfile::tempdir().unwrap(),
    )
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_away_is_unavailable_and_served_again_when_it_is_back() {
    let server = MariaDb::start();
    for strategy in LockStrategy::ALL {
        let shop = shop_at(&server, strategy, Some(Redis::start())).await;
        shop.stock(&[(1, 10)]).await;
        shop.sell("o-1", &[(1, 1)]).await.unwrap();
        server.kill();
        for answer in
            [shop.sell("o-2", &[(1, 1)]).await.map(drop), shop.reback("o-1").await.map(drop)]
        {
            assert_unavailable(&answer.unwrap_err(), &["STORE_UNAVAILABLE"]);
        }
        assert_unavailable(&shop.order("o-1").await.unwrap_err(), &["STORE_UNAVAILABLE"]);
        server.restart();
        eventually("the order is sold", || async { shop.sell("o-2", &[(1, 1)]).await.ok() }).await;
        assert_eq!(shop.on_hand(1).await, 8);
        assert!(shop.sell("o-1", &[(1, 1)]).await.unwrap().replayed);
        shop.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_killed_under_load_loses_no_acknowledged_order() {
    let server = MariaDb::start();
    for strategy in LockStrategy::ALL {
        let shop = shop_at(&server, strategy, Some(Redis::start())).await;
        shop.stock(&[(1, 100_000)]).await;
        let mut sellers = tokio::task::JoinSet::new();
        for seller in 0..8 {
            let mut client = shop.client();
            sellers.spawn(async move {
                let mut acknowledged = Vec::new();
                for round in 0.. {
                    let sn = format!("o-{seller}-{round}");
                    match crate::shop::sell(&mut client, &sn, &[(1, 1)]).await {
                        Ok(_) => acknowledged.push(sn),
                        Err(status) => {
                            // Under redisLock it may stand behind leases whose holders wait for the database.
                            let lease = ["LOCK_UNAVAILABLE", "DEADLINE_PASSED"];
                            let store = ["STORE_UNAVAILABLE", "OUTCOME_UNKNOWN"];
                            assert_unavailable(&status, &[store, lease].concat());
                            return (acknowledged, sn);
                        }
                    }
                }
                unreachable!("a seller goes on until the server is killed")
            });
        }
        eventually("some orders are sold", || async {
            (shop.books().await.sold() > 20).then_some(())
        })
        .await;
        server.kill();
        let stories = sellers.join_all().await;
        server.restart();
        for (acknowledged, in_doubt) in stories {
            for sn in acknowledged {
                let answer = eventually("the database is back", || async {
                    shop.sell(&sn, &[(1, 1)]).await.ok()
                })
                .await;
                assert!(answer.replayed, "{sn} was acknowledged and is lost under {strategy:?}");
            }
            shop.sell(&in_doubt, &[(1, 1)]).await.unwrap();
        }
        assert_eq!(
            shop.on_hand(1).await,
            100_000 - i64::try_from(shop.books().await.sold()).unwrap()
        );
        shop.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_that_is_away_is_unavailable_and_served_again_when_it_is_back() {
    for backend in [Backend::MariaDb, Backend::Sqlite] {
        let shop = Shop::open(LockStrategy::RedisLock, backend).await;
        let redis = shop.redis.as_ref().unwrap();
        shop.stock(&[(1, 10)]).await;
        shop.sell("o-1", &[(1, 1)]).await.unwrap();
        redis.kill();
        assert_unavailable(&shop.sell("o-2", &[(1, 1)]).await.unwrap_err(), &["LOCK_UNAVAILABLE"]);
        // What needs no lease goes on.
        assert!(shop.reback("o-1").await.unwrap().existed);
        redis.restart();
        eventually("the order is sold", || async { shop.sell("o-2", &[(1, 1)]).await.ok() }).await;
        assert_eq!(shop.on_hand(1).await, 9);
        shop.close().await;
    }
}

/// A few times as long as a lease is held: under 32 clients many leases meet a flush, and not all of them.
const FLUSH_EVERY: Duration = Duration::from_millis(20);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_that_forgets_everything_under_load_oversells_nothing() {
    let shop = Shop::open(LockStrategy::RedisLock, Backend::MariaDb).await;
    shop.stock(&[(1, 100)]).await;
    let flushing = async {
        let mut next = tokio::time::interval(FLUSH_EVERY);
        loop {
            next.tick().await;
            tokio::task::block_in_place(|| shop.redis.as_ref().unwrap().cli(&["FLUSHALL"]));
        }
    };
    let racing = crate::race::all_at_once(&shop, 32, |client_number, mut client| async move {
        let mut sold = 0;
        for round in 0..5 {
            let sn = format!("o-{client_number}-{round}");
            match crate::shop::sell(&mut client, &sn, &[(1, 1)]).await {
                Ok(_) => sold += 1,
                Err(status) if reason(&status) == "INSUFFICIENT_STOCK" => {}
                // A lease that was flushed is lost before COMMIT, or two hold it and meet at the rows, time and again;
                // or the turn comes too late. Then nothing is sold.
                Err(status) => {
                    let reasons = ["LOCK_UNAVAILABLE", "STORE_UNAVAILABLE", "DEADLINE_PASSED"];
                    assert_unavailable(&status, &reasons);
                }
            }
        }
        sold
    });
    let sold: usize = tokio::select! {
        sold = racing => sold.into_iter().sum(),
        () = flushing => unreachable!("it goes on for ever"),
    };
    assert!((1..=100).contains(&sold), "{sold} sold");
    assert_eq!(shop.books().await.sold(), sold, "what is on record is not what was acknowledged");
    // What is left is sold once Redis keeps its leases, and no piece more.
    for n in sold..100 {
        shop.sell(&format!("rest-{n}"), &[(1, 1)]).await.unwrap();
    }
    assert_eq!(refusal(shop.sell("over", &[(1, 1)]).await).1, "INSUFFICIENT_STOCK");
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_waits_while_another_holds_the_lease_of_its_goods() {
    for backend in [Backend::MariaDb, Backend::Sqlite] {
        let shop = Shop::open(LockStrategy::RedisLock, backend).await;
        shop.stock(&[(1, 10), (2, 10)]).await;
        let rival =
            lease_lock::Locks::open(&shop.redis.as_ref().unwrap().url(), "shopkeeper-inventory")
                .unwrap();
        let lease = rival.try_acquire(&["2"], lease_lock::Terms::default()).await.unwrap();
        let mut client = shop.client();
        let mut selling =
            tokio::spawn(
                async move { crate::shop::sell(&mut client, "o-1", &[(1, 1), (2, 1)]).await },
            );
        let early = tokio::time::timeout(Duration::from_millis(500), &mut selling).await;
        assert!(early.is_err(), "the order did not wait for the lease: {early:?}");
        // Other goods are not held up.
        shop.sell("o-2", &[(1, 1)]).await.unwrap();
        lease.release().await.unwrap();
        selling.await.unwrap().unwrap();
        shop.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_lease_is_held_until_commit_has_answered() {
    // BACKUP STAGE holds every COMMIT of the server up, so the server is the test's own.
    let server = MariaDb::start();
    let shop = shop_at(&server, LockStrategy::RedisLock, Some(Redis::start())).await;
    shop.stock(&[(1, 10)]).await;
    let mut blocker = MySqlConnection::connect(&shop.url).await.unwrap();
    for stage in ["START", "FLUSH", "BLOCK_DDL", "BLOCK_COMMIT"] {
        blocker.execute(sqlx::AssertSqlSafe(format!("BACKUP STAGE {stage}"))).await.unwrap();
    }
    let mut client = shop.client();
    let selling =
        tokio::spawn(async move { crate::shop::sell(&mut client, "o-1", &[(1, 1)]).await });
    let is_committing = "SELECT COUNT(*) FROM information_schema.processlist \
        WHERE state LIKE 'Waiting for backup lock%'";
    eventually("COMMIT waits", || async {
        (server.sql(is_committing).trim() != "0").then_some(())
    })
    .await;
    let redis = shop.redis.as_ref().unwrap();
    // A release comes right after the work, so a look for a while sees an early one.
    for _ in 0..20 {
        assert_eq!(
            redis.cli(&["EXISTS", "{shopkeeper-inventory:1}:l"]),
            "1",
            "the lease was released before COMMIT"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(!selling.is_finished());
    blocker.execute("BACKUP STAGE END").await.unwrap();
    selling.await.unwrap().unwrap();
    let released =
        || async { (redis.cli(&["EXISTS", "{shopkeeper-inventory:1}:l"]) == "0").then_some(()) };
    eventually("the lease is released", released).await;
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_a_younger_lease_has_written_is_not_written_by_an_older_one() {
    let shop = Shop::open(LockStrategy::RedisLock, Backend::MariaDb).await;
    shop.stock(&[(1, 10)]).await;
    let mut connection = MySqlConnection::connect(&shop.url).await.unwrap();
    connection.execute("UPDATE stock SET lock_fence = 9223372036854775807").await.unwrap();
    assert_unavailable(&shop.sell("o-1", &[(1, 1)]).await.unwrap_err(), &["STORE_UNAVAILABLE"]);
    assert_eq!(shop.on_hand(1).await, 10);
    connection.execute("UPDATE stock SET lock_fence = 0").await.unwrap();
    shop.sell("o-1", &[(1, 1)]).await.unwrap();
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_of_a_version_to_come_is_an_internal_error_without_details() {
    let shop = Shop::open(LockStrategy::Conditional, Backend::MariaDb).await;
    shop.stock(&[(1, 10)]).await;
    let order = shop.sell("o-1", &[(1, 1)]).await.unwrap().order.unwrap();
    assert_eq!(order.state(), OrderState::Confirmed);
    let mut connection = MySqlConnection::connect(&shop.url).await.unwrap();
    connection.execute("UPDATE orders SET state = 9").await.unwrap();
    let status = shop.order("o-1").await.unwrap_err();
    assert_eq!(
        (status.code(), reason(&status), status.message()),
        (Code::Internal, "INTERNAL".into(), "internal error")
    );
    assert_eq!(refusal(shop.sell("o-1", &[(1, 1)]).await), (Code::Internal, "INTERNAL".into()));
    connection.execute("UPDATE orders SET state = 2").await.unwrap();
    shop.close().await;
}

/// A shop on the shared server, behind this network.
async fn shop_behind(network: &Network, strategy: LockStrategy) -> Shop {
    let url = network.reroute(&MariaDb::shared().fresh_database());
    let redis = (strategy == LockStrategy::RedisLock).then(Redis::start);
    Shop::open_at(url, strategy, Backend::MariaDb, redis, tempfile::tempdir().unwrap()).await
}

/// The database does the next COMMIT, and the service does not learn it.
fn lose_the_next_commit(network: &Network, fault: Fault) -> Trap {
    network.when(Event::AnswerTo(MYSQL_COMMIT.into()), fault)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_whose_commit_got_no_answer_is_looked_up_and_not_done_twice() {
    for strategy in LockStrategy::ALL {
        let network = Network::before(MariaDb::shared().port());
        let shop = shop_behind(&network, strategy).await;
        shop.stock(&[(1, 10), (2, 1)]).await;
        let mut losses = vec![lose_the_next_commit(&network, Fault::Cut)];
        shop.sell("o-1", &[(1, 3)]).await.unwrap();
        // The last piece: what is left after it must not be taken for the answer.
        losses.push(lose_the_next_commit(&network, Fault::Cut));
        shop.sell("o-2", &[(2, 1)]).await.unwrap();
        losses.push(lose_the_next_commit(&network, Fault::Cut));
        assert!(shop.reback("o-1").await.unwrap().existed);
        losses.push(lose_the_next_commit(&network, Fault::Cut));
        assert!(!shop.reback("o-3").await.unwrap().existed);
        losses.push(lose_the_next_commit(&network, Fault::Cut));
        let set = SetStockRequest { goods_id: 3, on_hand: 7, ..Default::default() };
        let with_a_key = SetStockRequest { request_id: "s-1".to_owned(), ..set.clone() };
        assert!(shop.client().set_stock(with_a_key).await.unwrap().into_inner().replayed);
        // Without a key it cannot be looked up, and what was sold meanwhile would be put back by doing it again.
        losses.push(lose_the_next_commit(&network, Fault::Cut));
        let in_doubt = shop.client().set_stock(set).await.unwrap_err();
        assert_unavailable(&in_doubt, &["OUTCOME_UNKNOWN"]);
        assert!(losses.iter().all(Trap::has_sprung), "a COMMIT that was to be lost was not");
        assert_eq!(
            (shop.on_hand(1).await, shop.on_hand(2).await, shop.on_hand(3).await),
            (10, 0, 7)
        );
        shop.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_whose_outcome_cannot_be_learned_says_so_and_is_settled_by_sending_it_again() {
    for strategy in LockStrategy::ALL {
        let network = Network::before(MariaDb::shared().port());
        let shop = shop_behind(&network, strategy).await;
        shop.stock(&[(1, 10)]).await;
        let loss = lose_the_next_commit(&network, Fault::Dark);
        assert_unavailable(&shop.sell("o-1", &[(1, 3)]).await.unwrap_err(), &["OUTCOME_UNKNOWN"]);
        assert!(loss.has_sprung());
        network.heal();
        let answer =
            eventually("the network is back", || async { shop.sell("o-1", &[(1, 3)]).await.ok() })
                .await;
        assert!(answer.replayed);
        assert_eq!(shop.on_hand(1).await, 7);
        shop.close().await;
    }
}
