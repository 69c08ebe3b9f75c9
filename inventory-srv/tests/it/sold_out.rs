//! What `groupCommit` remembers of goods that were sold out a moment ago, and when that ends.

use crate::shop::{
    Backend, Blocker, Shop, client, has_retry_info, info, preconditions, reason, refusal, sell,
    stock_lines,
};
use proto::inventory::v1::{BatchSetStockRequest, SetStockRequest};
use srv_config::{InventoryHot, LockStrategy};
use std::time::{Duration, SystemTime};
use testkit::network::Fault;
use testkit::{MariaDb, Network};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tonic::{Code, Status};

/// For how long it is remembered at most.
const REMEMBERED_FOR: Duration = Duration::from_millis(100);
/// How often a test tries to be quicker than that, on a machine that may be busy.
const TRIES: usize = 20;
/// An order that waits for a row has not been answered after this time, and one that does not wait has.
const A_MOMENT: Duration = Duration::from_millis(50);

async fn open(backend: Backend) -> Shop {
    Shop::open(LockStrategy::GroupCommit, backend).await
}

fn is_short(status: &Status) -> bool {
    (status.code(), reason(status).as_str()) == (Code::FailedPrecondition, "INSUFFICIENT_STOCK")
}

/// An order for this that comes too late.
async fn late(shop: &Shop, sn: &str, lines: &[(i64, i64)]) -> Status {
    let status = shop.sell(sn, lines).await.unwrap_err();
    assert!(is_short(&status), "{status}");
    status
}

async fn refused_without_their_rows(backend: Backend) {
    let shop = open(backend).await;
    shop.stock(&[(1, 0), (2, 0)]).await;
    let lines = [(2, 1), (1, 3), (1, 4)];
    for attempt in 0..TRIES {
        let by_the_rows = late(&shop, &format!("early-{attempt}"), &lines).await;
        let blocker = Blocker::hold(&shop, 1).await;
        let sn = format!("late-{attempt}");
        let Ok(answer) = timeout(A_MOMENT, shop.sell(&sn, &lines)).await else {
            // Forgotten already.
            blocker.release().await;
            continue;
        };
        let by_heart = answer.unwrap_err();
        assert_eq!(by_heart.code(), by_the_rows.code());
        assert_eq!(by_heart.message(), by_the_rows.message());
        assert_eq!(info(&by_heart), info(&by_the_rows));
        assert_eq!(preconditions(&by_heart), preconditions(&by_the_rows));
        assert_eq!(stock_lines(&by_heart), stock_lines(&by_the_rows));
        let told = stock_lines(&by_heart).lines;
        let told: Vec<_> =
            told.iter().map(|line| (line.goods_id, line.requested, line.available)).collect();
        assert_eq!(told, [(1, 7, 0), (2, 1, 0)]);
        // The number of an order that was refused is free still, as ever.
        sleep(REMEMBERED_FOR).await;
        let asks_the_rows = timeout(4 * A_MOMENT, shop.sell(&sn, &lines)).await;
        assert!(asks_the_rows.is_err(), "it is remembered for too long: {asks_the_rows:?}");
        blocker.release().await;
        shop.close().await;
        return;
    }
    panic!("nothing is remembered");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_for_goods_that_were_sold_out_just_now_are_refused_without_their_rows_on_mariadb() {
    refused_without_their_rows(Backend::MariaDb).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_for_goods_that_were_sold_out_just_now_are_refused_without_their_rows_on_sqlite() {
    refused_without_their_rows(Backend::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_on_record_is_never_called_short_for_what_is_remembered() {
    for backend in [Backend::MariaDb, Backend::TiDb, Backend::Sqlite] {
        let shop = open(backend).await;
        shop.stock(&[(1, 1)]).await;
        shop.sell("o-1", &[(1, 1)]).await.unwrap();
        assert!(!shop.reback("o-9").await.unwrap().existed);
        for round in 0..10 {
            late(&shop, &format!("late-{round}"), &[(1, 1)]).await;
            assert!(shop.sell("o-1", &[(1, 1)]).await.unwrap().replayed);
            late(&shop, &format!("later-{round}"), &[(1, 1)]).await;
            let mismatch = refusal(shop.sell("o-1", &[(1, 2)]).await);
            assert_eq!(mismatch, (Code::AlreadyExists, "ORDER_PAYLOAD_MISMATCH".into()));
            late(&shop, &format!("latest-{round}"), &[(1, 1)]).await;
            let closed = refusal(shop.sell("o-9", &[(1, 1)]).await);
            assert_eq!(closed, (Code::FailedPrecondition, "ORDER_ALREADY_CLOSED".into()));
        }
        shop.close().await;
    }
}

/// Every way in which pieces of goods come back in a replica; goods 1 are sold out by the order `gone` or held by
/// `held`, and nothing else.
const WAYS: [&str; 9] = [
    "set",
    "set in a batch",
    "adjusted",
    "given back",
    "given back in part",
    "cancelled",
    "held and given back",
    "kept back no more",
    "set under rowLock",
];

async fn bring_back(shop: &Shop, way: &str, gone: &str, held: &str) {
    let set = SetStockRequest { goods_id: 1, on_hand: 1, ..Default::default() };
    match way {
        "set" => shop.stock(&[(1, 1)]).await,
        "set in a batch" => {
            let batch = BatchSetStockRequest { stocks: vec![set] };
            drop(shop.client().batch_set_stock(batch).await.unwrap());
        }
        "adjusted" => drop(shop.adjust(1, 1, gone).await.unwrap()),
        "given back" => drop(shop.reback(gone).await.unwrap()),
        "given back in part" => drop(shop.reback_lines(gone, &[(1, 1)], "r").await.unwrap()),
        "cancelled" => drop(shop.cancel(held).await.unwrap()),
        "held and given back" => drop(shop.reback(held).await.unwrap()),
        "kept back no more" => drop(shop.set_safety(1, 0).await.unwrap()),
        "set under rowLock" => {
            let hot = |lock_strategy| InventoryHot { lock_strategy, ..Default::default() };
            shop.settings().replace(hot(LockStrategy::RowLock));
            shop.stock(&[(1, 1)]).await;
            shop.settings().replace(hot(LockStrategy::GroupCommit));
        }
        _ => unreachable!("no way to bring anything back: {way}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_remembered_ends_with_whatever_this_replica_writes_to_the_goods() {
    for backend in [Backend::MariaDb, Backend::Sqlite] {
        let shop = open(backend).await;
        for (number, way) in WAYS.iter().cycle().take(3 * WAYS.len()).enumerate() {
            let [gone, held, next] = ["gone", "held", "next"].map(|sn| format!("{sn}-{number}"));
            shop.stock(&[(1, 2)]).await;
            match *way {
                "cancelled" | "held and given back" => {
                    shop.hold(&held, &[(1, 2)], 60).await.map(drop).unwrap();
                }
                "kept back no more" => shop.set_safety(1, 2).await.map(drop).unwrap(),
                _ => shop.sell(&gone, &[(1, 2)]).await.map(drop).unwrap(),
            }
            for attempt in 0..3 {
                late(&shop, &format!("late-{number}-{attempt}"), &[(1, 1)]).await;
            }
            bring_back(&shop, way, &gone, &held).await;
            let sold = shop.sell(&next, &[(1, 1)]).await;
            assert!(sold.is_ok(), "{backend:?}: not sold after it was {way}: {sold:?}");
            // So that the next round finds nothing reserved or kept back.
            shop.set_safety(1, 0).await.unwrap();
        }
        shop.close().await;
    }
}

fn milliseconds(time: SystemTime) -> u128 {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_order_that_comes_after_a_hold_has_died_is_refused_for_what_is_remembered() {
    for backend in [Backend::MariaDb, Backend::Sqlite] {
        let shop = open(backend).await;
        let mut buyers = JoinSet::new();
        for goods in 1..=10 {
            shop.stock(&[(goods, 1)]).await;
            let order = shop.hold(&format!("held-{goods}"), &[(goods, 1)], 1).await.unwrap().order;
            let end = SystemTime::try_from(order.unwrap().expire_time.unwrap()).unwrap();
            let mut client = shop.client();
            buyers.spawn(async move {
                for attempt in 0.. {
                    let sent = SystemTime::now();
                    let sn = format!("o-{goods}-{attempt}");
                    let Err(status) = sell(&mut client, &sn, &[(goods, 1)]).await else { break };
                    assert!(is_short(&status), "{status}");
                    let late = milliseconds(sent).saturating_sub(milliseconds(end));
                    assert!(sent < end, "goods {goods}: refused {late} ms after the hold had died");
                    sleep(Duration::from_millis(2)).await;
                }
            });
        }
        buyers.join_all().await;
        shop.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_another_replica_brings_back_is_sold_here_after_100_ms() {
    let shop = open(Backend::MariaDb).await;
    let other = shop.another_replica(LockStrategy::GroupCommit).await;
    let mut there = client(other.address);
    for round in 0..10 {
        shop.stock(&[(1, 0)]).await;
        for attempt in 0..3 {
            late(&shop, &format!("late-{round}-{attempt}"), &[(1, 1)]).await;
        }
        let set = SetStockRequest { goods_id: 1, on_hand: 1, ..Default::default() };
        there.set_stock(set).await.unwrap();
        sleep(REMEMBERED_FOR).await;
        shop.sell(&format!("o-{round}"), &[(1, 1)]).await.unwrap();
    }
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_refused_for_what_is_remembered_while_no_number_can_be_looked_up() {
    let network = Network::before(MariaDb::shared().port());
    let url = network.reroute(&MariaDb::shared().fresh_database());
    let folder = tempfile::tempdir().unwrap();
    let shop = Shop::open_at(url, LockStrategy::GroupCommit, Backend::MariaDb, None, folder).await;
    shop.stock(&[(1, 0)]).await;
    for attempt in 0..5 {
        late(&shop, &format!("late-{attempt}"), &[(1, 1)]).await;
    }
    network.suffer(Fault::Dark);
    let status = shop.sell("o-1", &[(1, 1)]).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::Unavailable, "STORE_UNAVAILABLE"));
    assert!(has_retry_info(&status));
    network.heal();
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn goods_of_which_too_few_are_there_are_not_sold_out() {
    let shop = open(Backend::MariaDb).await;
    shop.stock(&[(1, 0), (2, 10)]).await;
    for attempt in 0..5 {
        late(&shop, &format!("late-{attempt}"), &[(1, 1)]).await;
        let left = 10 - attempt;
        let told = stock_lines(&late(&shop, "both", &[(1, 1), (2, 11)]).await).lines;
        let told: Vec<_> = told.iter().map(|line| (line.goods_id, line.available)).collect();
        assert_eq!(told, [(1, 0), (2, left)]);
        let missing = shop.sell("none", &[(1, 1), (9, 1)]).await;
        assert_eq!(refusal(missing), (Code::NotFound, "GOODS_NOT_STOCKED".into()));
        shop.sell(&format!("o-{attempt}"), &[(2, 1)]).await.unwrap();
    }
    shop.close().await;
}
