//! Confirm against the end of the hold, while a rival waits for the pieces: never both, and never neither.

use crate::calls::seconds;
use crate::check::checked;
use crate::shop::{Backend, Client, Shop, client, reason, refusal, request};
use futures::future::join_all;
use proto::inventory::v1::batch_sell_result::Result as Outcome;
use proto::inventory::v1::{ConfirmRequest, SellRequest, SetStockRequest};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use srv_config::LockStrategy;
use std::ops::RangeInclusive;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

/// How many rounds run side by side, each on goods of its own.
const AT_ONCE: usize = 500;

/// How many connections they share.
const CONNECTIONS: usize = 16;

/// When the confirmation is sent, in microseconds from the end of the hold: from as long before it as a call takes
/// among so many others, so that either may come first.
const SENT: RangeInclusive<i64> = -200_000..=8_000;

/// What the rival waits between two tries.
const BETWEEN_TRIES: Duration = Duration::from_millis(15);

/// For how long past the end of the hold the rival tries: any try after the end gets what was not confirmed.
const PAST_THE_END: Duration = Duration::from_millis(300);

/// How long three sweepers may take for 1,200 holds, on a busy machine.
const SWEPT_WITHIN: Duration = Duration::from_secs(60);

contract! {
    async fn a_hold_that_ends_is_confirmed_or_sold_to_a_rival_and_never_both(shop: &Shop) {
        race(shop, 100).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_10_000_races_a_rival_gets_the_pieces_exactly_if_the_confirmation_came_too_late() {
    let shop = Shop::open(LockStrategy::GroupCommit, Backend::MariaDb).await;
    let (confirmed, late) = race(&shop, 10_000).await;
    // Otherwise there was no race.
    assert!(confirmed > 100 && late > 100, "{confirmed} were confirmed and {late} were late");
    shop.close().await;
}

/// 1,200 dead holds, more than two transactions release, swept by three replicas.
async fn swept_at_once(backend: Backend) {
    let shop = Shop::open(LockStrategy::GroupCommit, backend).await;
    let lines = |pieces| (1..=40).map(|goods| (goods, pieces)).collect::<Vec<_>>();
    shop.stock(&lines(30)).await;
    let orders = (0..30).map(|n| {
        let sn = format!("dead-{n}");
        SellRequest { ttl: seconds(1), ..request(&sn, &lines(1)) }
    });
    let answer = shop.batch_sell(orders.collect()).await.unwrap();
    assert!(answer.results.iter().all(|result| matches!(result.result, Some(Outcome::Sold(_)))));
    shop.expire("dead-29").await;
    let others = [
        shop.another_replica(LockStrategy::GroupCommit).await,
        shop.another_replica(LockStrategy::RowLock).await,
    ];
    let sweepers = [shop.inventory(), &others[0].inventory, &others[1].inventory];
    let began = Instant::now();
    let mut released = 0;
    while !shop.books().await.holds.is_empty() {
        assert!(began.elapsed() < SWEPT_WITHIN, "after {released} holds the sweepers got stuck");
        // One that met a rival's lock leaves the rest for the next time.
        let swept = join_all(sweepers.map(|sweeper| sweeper.sweep_once())).await;
        released += swept.into_iter().flatten().sum::<usize>();
    }
    assert!(released <= 1_200, "{released} holds of 1,200 were released");
    assert_eq!(shop.get(40).await.available, 30);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_that_sweep_at_once_release_each_dead_hold_once_on_mariadb() {
    swept_at_once(Backend::MariaDb).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_that_sweep_at_once_release_each_dead_hold_once_on_tidb() {
    swept_at_once(Backend::TiDb).await;
}

/// Of dead holds that somebody else releases just now, the stock tells one thing and the holds another.
async fn two_want_what_a_dead_hold_has(strategy: LockStrategy) {
    const ROUNDS: i64 = 200;
    let shop = Shop::open(strategy, Backend::MariaDb).await;
    // Not kept out by a lease, and releases what it falls short of.
    let other = shop.another_replica(LockStrategy::RowLock).await;
    let lines: Vec<_> = (1..=ROUNDS).map(|goods| (goods, 5)).collect();
    shop.stock(&lines).await;
    shop.hold("dead", &lines, 1).await.unwrap();
    shop.expire("dead").await;
    let mut other = client(other.address);
    for goods in 1..=ROUNDS {
        let (one, two) = (format!("one-{goods}"), format!("two-{goods}"));
        let line = [(goods, 1)];
        let (one, two) = tokio::join!(shop.sell(&one, &line), other.sell(request(&two, &line)));
        one.unwrap();
        two.unwrap();
    }
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_short_of_what_another_releases_under_optimistic() {
    two_want_what_a_dead_hold_has(LockStrategy::Optimistic).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_short_of_what_another_releases_under_redis_lock() {
    two_want_what_a_dead_hold_has(LockStrategy::RedisLock).await;
}

/// As where a copy was broken off before the stock: what an order took has no stock row.
async fn a_stock_is_lost(backend: Backend) {
    let shop = Shop::open(LockStrategy::GroupCommit, backend).await;
    shop.stock(&[(1, 5), (2, 5)]).await;
    shop.sell("sold", &[(1, 1)]).await.unwrap();
    shop.hold("held-1", &[(1, 2)], 1).await.unwrap();
    shop.hold("held-2", &[(2, 2)], 1).await.unwrap();
    shop.expire("held-2").await;
    shop.tamper("DELETE FROM stock WHERE goods_id = 1").await;
    assert_eq!(shop.inventory().sweep_once().await.unwrap(), 1, "the hold on goods 2");
    let both = tokio::join!(shop.reback("sold"), shop.sell("other", &[(2, 1)]));
    assert_eq!(refusal(both.0).1, "INTERNAL");
    both.1.unwrap();
    assert_eq!(checked(&shop, &[], true).await.figures().2, 1);
    shop.reback("sold").await.unwrap();
    assert_eq!(shop.inventory().sweep_once().await.unwrap(), 1, "the hold on goods 1");
    assert_eq!((shop.get(1).await.available, shop.get(2).await.available), (5, 4));
    shop.close().await;
}

/// More dead holds than one look shows, and older ones, on goods that have lost their stock.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_holds_on_goods_that_lost_their_stock_hide_no_others() {
    let shop = Shop::open(LockStrategy::GroupCommit, Backend::Sqlite).await;
    let lost: Vec<_> = (1..=50).map(|goods| (goods, 20)).collect();
    shop.stock(&lost).await;
    shop.stock(&[(99, 2)]).await;
    let lines: Vec<_> = (1..=50).map(|goods| (goods, 1)).collect();
    for n in 0..11 {
        shop.hold(&format!("lost-{n}"), &lines, 1).await.unwrap();
    }
    shop.expire("lost-10").await;
    shop.hold("live", &[(99, 1)], 3600).await.unwrap();
    shop.hold("dead", &[(99, 1)], 1).await.unwrap();
    shop.expire("dead").await;
    shop.tamper("DELETE FROM stock WHERE goods_id < 99").await;
    let both = [&lines[..], &[(99, 5)]].concat();
    assert_eq!(refusal(shop.sell("short", &both).await).1, "GOODS_NOT_STOCKED");
    assert_eq!(shop.inventory().sweep_once().await.unwrap(), 1);
    assert_eq!(shop.get(99).await.available, 1);
    checked(&shop, &[], true).await;
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn goods_that_lost_their_stock_keep_no_others_from_being_sold_and_swept_on_mariadb() {
    a_stock_is_lost(Backend::MariaDb).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn goods_that_lost_their_stock_keep_no_others_from_being_sold_and_swept_on_sqlite() {
    a_stock_is_lost(Backend::Sqlite).await;
}

/// Runs so many rounds; answers how many were confirmed, and how many too late.
async fn race(shop: &Shop, rounds: i64) -> (usize, usize) {
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let clients: Vec<Client> = (0..CONNECTIONS).map(|_| shop.client()).collect();
    let (mut confirmed, mut late) = (0, 0);
    for first in (1..=rounds).step_by(AT_ONCE) {
        let mut running = JoinSet::new();
        for (goods, client) in (first..=rounds).zip(clients.iter().cycle()).take(AT_ONCE) {
            let offset = random.random_range(SENT);
            running.spawn(round(client.clone(), goods, offset));
        }
        for is_confirmed in running.join_all().await {
            if is_confirmed { confirmed += 1 } else { late += 1 }
        }
    }
    (confirmed, late)
}

/// One piece, one hold, one confirmation, one rival. Answers whether it was confirmed.
async fn round(mut client: Client, goods: i64, offset: i64) -> bool {
    let stock = SetStockRequest { goods_id: goods, on_hand: 1, ..Default::default() };
    client.set_stock(stock).await.unwrap();
    let hold = SellRequest { ttl: seconds(1), ..request(&format!("hold-{goods}"), &[(goods, 1)]) };
    let held = client.sell(hold).await.unwrap().into_inner().order.unwrap();
    let end = held.expire_time.unwrap();
    let end = Duration::new(end.seconds.try_into().unwrap(), end.nanos.try_into().unwrap());
    let rival = tokio::spawn(rival(client.clone(), goods, end));
    let due = i64::try_from(until(end).as_micros()).unwrap() + offset;
    sleep(Duration::from_micros(due.try_into().unwrap_or(0))).await;
    let confirm = ConfirmRequest { order_sn: format!("hold-{goods}"), reacquire: false };
    let is_confirmed = match client.confirm(confirm).await {
        Ok(_) => true,
        Err(status) => {
            assert_eq!(reason(&status), "RESERVATION_EXPIRED", "{status}");
            false
        }
    };
    let has_rival_won = rival.await.unwrap();
    assert!(
        is_confirmed != has_rival_won,
        "goods {goods}: confirmed {is_confirmed}, sold to the rival {has_rival_won}"
    );
    is_confirmed
}

/// Wants the piece from just before the hold ends. Answers whether it got it.
async fn rival(mut client: Client, goods: i64, end: Duration) -> bool {
    sleep(until(end).saturating_sub(BETWEEN_TRIES)).await;
    loop {
        let is_last = now() > end + PAST_THE_END;
        match client.sell(request(&format!("rival-{goods}"), &[(goods, 1)])).await {
            Ok(_) => return true,
            refused => assert_eq!(refusal(refused).1, "INSUFFICIENT_STOCK"),
        }
        if is_last {
            return false;
        }
        sleep(BETWEEN_TRIES).await;
    }
}

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap()
}

fn until(end: Duration) -> Duration {
    end.saturating_sub(now())
}
