//! How much is watched and shown, and how often it is looked for.

use super::{PATIENCE, begin, next, until, watch};
use crate::shop::{Backend, Client, Shop, has_retry_info, info, refusal};
use proto::inventory::v1::Stock;
use srv_config::{InventoryHot, LockStrategy};
use std::time::Duration;
use testkit::MariaDb;
use tokio::time::{Instant, sleep};
use tonic::Code;
use tonic::transport::Endpoint;

/// A client whose windows are small, so that what it does not read waits in the service and not on the way.
async fn slow_client(shop: &Shop) -> Client {
    let endpoint = Endpoint::from_shared(format!("http://{}", shop.address())).unwrap();
    let endpoint = endpoint.initial_stream_window_size(Some(1024));
    Client::new(endpoint.connect().await.unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_is_slow_is_shown_the_newest_stock_and_no_backlog() {
    const CHANGES: i64 = 60;
    let shop = Shop::open(LockStrategy::GroupCommit, Backend::MariaDb).await;
    let goods: Vec<i64> = (1..=50).collect();
    shop.stock(&goods.iter().map(|id| (*id, 1_000)).collect::<Vec<_>>()).await;
    let mut slow = watch(&mut slow_client(&shop).await, &goods).await.unwrap();
    let (_, mut quick) = begin(&mut shop.client(), &goods).await;
    let lines: Vec<_> = goods.iter().map(|id| (*id, 1)).collect();
    for round in 1..=CHANGES {
        shop.sell(&format!("o-{round}"), &lines).await.unwrap();
        until(&mut quick, |stock| stock.on_hand == 1_000 - round).await;
    }
    // Each message is more than the slow one's window holds, so that they could not be sent.
    let mut messages = 0;
    let is_newest = |stock: &Stock| stock.on_hand == 1_000 - CHANGES;
    loop {
        messages += 1;
        if next(&mut slow).await.unwrap().stocks.iter().any(is_newest) {
            break;
        }
    }
    assert!(messages <= 5, "{messages} messages");
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn goods_that_are_sold_all_the_time_are_shown_twenty_times_a_second() {
    let shop = Shop::open(LockStrategy::GroupCommit, Backend::MariaDb).await;
    shop.stock(&[(1, 1_000)]).await;
    let (_, mut watched) = begin(&mut shop.client(), &[1]).await;
    let begun = Instant::now();
    let selling = async {
        for round in 0..200 {
            shop.sell(&format!("o-{round}"), &[(1, 1)]).await.unwrap();
        }
    };
    let watching = async {
        let mut messages = 0;
        while next(&mut watched).await.unwrap().stocks[0].on_hand > 800 {
            messages += 1;
        }
        messages
    };
    let ((), messages) = tokio::join!(selling, watching);
    let most = begun.elapsed().as_millis() / 50 + 1;
    assert!(messages <= most, "{messages} messages where {most} are the most");
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_eighth_of_the_calls_in_flight_may_watch_and_who_leaves_makes_room() {
    let shop = Shop::open(LockStrategy::GroupCommit, Backend::Sqlite).await;
    let mut hot = InventoryHot::default();
    hot.limits.calls_in_flight = 24;
    shop.settings().replace(hot);
    let mut client = shop.client();
    let mut watching = Vec::new();
    for _ in 0..3 {
        watching.push(begin(&mut client, &[1]).await);
    }
    let full = watch(&mut client, &[1]).await.map(drop).unwrap_err();
    assert_eq!((full.code(), info(&full).reason.as_str()), (Code::Unavailable, "OVERLOADED"));
    assert!(has_retry_info(&full) && full.metadata().contains_key("grpc-retry-pushback-ms"));
    // Its connection stays: the call ends, and that is enough.
    watching.pop();
    let begun = Instant::now();
    while watch(&mut client, &[1]).await.is_err() {
        assert!(begun.elapsed() < PATIENCE, "the place does not come free");
        sleep(Duration::from_millis(10)).await;
    }
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pod_shows_8000_goods_in_all() {
    let shop = Shop::open(LockStrategy::GroupCommit, Backend::Sqlite).await;
    let mut client = shop.client();
    let mut watching = Vec::new();
    for part in 0..16 {
        let goods: Vec<i64> = (1..=500).map(|id| part * 500 + id).collect();
        watching.push(begin(&mut client, &goods).await);
    }
    let full = watch(&mut client, &[8_000, 8_001]).await.map(drop);
    assert_eq!(refusal(full), (Code::Unavailable, "OVERLOADED".into()));
    // Goods that are watched already take no more room.
    let (_, mut watched) = begin(&mut client, &[8_000, 1]).await;
    shop.stock(&[(8_000, 5)]).await;
    until(&mut watched, |stock| stock.on_hand == 5).await;
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_goods_that_many_watch_is_shown_to_all_of_them() {
    let shop = Shop::open(LockStrategy::GroupCommit, Backend::MariaDb).await;
    shop.stock(&[(1, 10)]).await;
    let mut watching = Vec::new();
    for _ in 0..20 {
        watching.push(begin(&mut shop.client(), &[1]).await.1);
    }
    shop.stock(&[(1, 77)]).await;
    for watched in &mut watching {
        assert_eq!(until(watched, |_| true).await.on_hand, 77);
    }
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_database_is_asked_nothing_while_nobody_watches() {
    const A_WHILE: Duration = Duration::from_millis(900);
    // Far more than there are statements in that while, if one poll asks for all of them.
    const WATCHERS: u64 = 30;
    // Others ask the shared server.
    let server = MariaDb::start();
    let folder = tempfile::tempdir().unwrap();
    let url = server.fresh_database();
    let shop = Shop::open_at(url, LockStrategy::GroupCommit, Backend::MariaDb, None, folder).await;
    let asked = || -> u64 {
        let row = server.sql("SHOW GLOBAL STATUS LIKE 'Com_stmt_execute'");
        row.split_whitespace().last().unwrap().parse().unwrap()
    };
    shop.stock(&[(1, 10)]).await;
    let before = asked();
    sleep(A_WHILE).await;
    assert_eq!(asked(), before, "before anybody watches");
    let mut watched = Vec::new();
    for _ in 0..WATCHERS {
        watched.push(begin(&mut shop.client(), &[1]).await);
    }
    let before = asked();
    sleep(A_WHILE).await;
    let polls = asked() - before;
    assert!((3..WATCHERS).contains(&polls), "{polls} statements while {WATCHERS} watch");
    drop(watched);
    let begun = Instant::now();
    loop {
        let before = asked();
        sleep(A_WHILE).await;
        if asked() == before {
            break;
        }
        assert!(begun.elapsed() < PATIENCE, "after everybody left");
    }
    // Who comes then is shown what changes, all the same.
    let (_, mut watched) = begin(&mut shop.client(), &[1]).await;
    shop.sell("o-1", &[(1, 4)]).await.unwrap();
    until(&mut watched, |stock| stock.on_hand == 6).await;
    shop.close().await;
}
