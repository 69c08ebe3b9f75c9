//! What callers are told, and what stays true, when callers or the database go away.

use crate::shop::{Shop, hammer, mask, reason};
use proto::goods::v1::{GetGoodsRequest, Goods, UpdateGoodsRequest};
use srv_runtime::Database;
use std::time::Duration;
use testkit::network::Fault;
use testkit::{MariaDb, Network};
use tokio::time::{Instant, sleep, timeout};
use tonic::Code;
use tonic_types::StatusExt;

/// Far longer than anything takes; a test that reaches it has failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// How many transactions wait for a row. (Not from `innodb_trx`: InnoDB refreshes that only when nobody has read it for
/// 100 ms, so one who polls faster sees the first answer for ever.)
const WAITING: &str = "SELECT variable_value FROM information_schema.global_status \
    WHERE variable_name = 'INNODB_ROW_LOCK_CURRENT_WAITS'";

/// Some rows that nobody else cares about.
const RIVAL_WRITES: &str = "INSERT INTO category_tree (id, version) VALUES (2, 0), (3, 0), (4, 0)";

async fn eventually(what: &str, mut ask: impl AsyncFnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !ask().await {
        assert!(Instant::now() < until, "within {PATIENCE:?} it did not come true that {what}");
        sleep(Duration::from_millis(5)).await;
    }
}

/// A shop on a server of its own, which the test may stop, or look into without seeing other tests.
async fn shop_on(server: &MariaDb) -> Shop {
    Shop::open_at(&server.fresh_database(), tempfile::tempdir().unwrap()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_whose_caller_goes_away_is_finished() {
    let server = MariaDb::start();
    let shop = shop_on(&server).await;
    let goods = shop.add(shop.hammer().await).await;
    let Database::MySql(pool) = &shop.database else { unreachable!("a MySQL URL") };
    let mut rival = pool.begin().await.unwrap();
    sqlx::query("SELECT id FROM goods FOR UPDATE").fetch_all(&mut *rival).await.unwrap();

    let change = Goods { id: goods.id, name: "Mallet".into(), ..Default::default() };
    let request = UpdateGoodsRequest { goods: Some(change), update_mask: mask(&["name"]) };
    let mut client = shop.goods();
    let call = tokio::spawn(async move { client.update_goods(request).await });
    eventually("the update waits for the row", async || server.sql(WAITING).trim() == "1").await;
    call.abort();
    // Sent behind the cancellation on the same connection, so the server has seen that when it answers.
    assert_eq!(shop.get(goods.id).await.name, "Hammer");
    rival.rollback().await.unwrap();
    eventually("the update is done", async || shop.get(goods.id).await.name == "Mallet").await;
}

/// The rival holds the goods and then wants the category, which the call holds while it wants the goods.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_lost_a_deadlock_is_made_again() {
    let server = MariaDb::start();
    let shop = shop_on(&server).await;
    let goods = shop.add(shop.hammer().await).await;
    let Database::MySql(pool) = &shop.database else { unreachable!("a MySQL URL") };
    let mut rival = pool.begin().await.unwrap();
    // The transaction that has written more is the one that the server lets live.
    for statement in ["UPDATE goods SET brief = 'rival'", RIVAL_WRITES] {
        sqlx::query(statement).execute(&mut *rival).await.unwrap();
    }

    let change = Goods { id: goods.id, category_id: goods.category_id, ..Default::default() };
    let request = UpdateGoodsRequest { goods: Some(change), update_mask: mask(&["category_id"]) };
    let mut client = shop.goods();
    let call = tokio::spawn(async move { client.update_goods(request).await });
    eventually("the update waits for the row", async || server.sql(WAITING).trim() == "1").await;
    sqlx::query("SELECT id FROM categories FOR UPDATE").fetch_all(&mut *rival).await.unwrap();
    rival.commit().await.unwrap();
    let after = call.await.unwrap().unwrap().into_inner().goods.unwrap();
    assert_eq!(after.brief, "rival", "made on top of what the rival wrote");
    assert!(server.sql("SHOW ENGINE INNODB STATUS").contains("LATEST DETECTED DEADLOCK"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_away_is_unavailable_and_comes_back() {
    let server = MariaDb::start();
    let shop = shop_on(&server).await;
    let goods = shop.add(shop.hammer().await).await;
    server.kill();
    let read = shop.goods().get_goods(GetGoodsRequest { id: goods.id }).await.unwrap_err();
    let new = Goods { goods_sn: "H-2".into(), ..hammer(goods.category_id, goods.brand_id) };
    let written = shop.try_add(new.clone()).await.unwrap_err();
    for status in [read, written] {
        assert_eq!(
            (status.code(), reason(&status).as_str()),
            (Code::Unavailable, "STORE_UNAVAILABLE")
        );
        assert!(status.get_details_retry_info().unwrap().retry_delay.is_some());
    }
    server.restart();
    eventually("goods can be read", async || {
        shop.goods().get_goods(GetGoodsRequest { id: goods.id }).await.is_ok()
    })
    .await;
    assert_eq!(shop.get(goods.id).await, goods);
    shop.add(new).await;
}

/// No packet comes back, and none says that the connection is closed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_host_that_vanishes_is_not_waited_for_without_end() {
    let network = Network::before(MariaDb::shared().port());
    let url = network.reroute(&MariaDb::shared().fresh_database());
    let shop = Shop::open_at(&url, tempfile::tempdir().unwrap()).await;
    let goods = shop.add(shop.hammer().await).await;
    network.suffer(Fault::BlackHole);
    let reading =
        async { shop.goods().get_goods(GetGoodsRequest { id: goods.id }).await.map(drop) };
    let writing = async {
        let change = Goods { id: goods.id, name: "Mallet".into(), ..Default::default() };
        let request = UpdateGoodsRequest { goods: Some(change), update_mask: mask(&["name"]) };
        shop.goods().update_goods(request).await.map(drop)
    };
    let answers = timeout(PATIENCE, async { tokio::join!(reading, writing) }).await;
    let (read, written) = answers.expect("a call waits for a host that is gone");
    for status in [read.unwrap_err(), written.unwrap_err()] {
        assert_eq!(
            (status.code(), reason(&status).as_str()),
            (Code::Unavailable, "STORE_UNAVAILABLE")
        );
    }
    network.heal();
    eventually("goods can be read", async || {
        shop.goods().get_goods(GetGoodsRequest { id: goods.id }).await.is_ok()
    })
    .await;
}
