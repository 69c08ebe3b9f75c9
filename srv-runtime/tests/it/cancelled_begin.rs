//! A `BEGIN` that is dropped while its reply is on the way. sqlx 0.9 returns such a connection to the pool with the
//! transaction open on the server; the next write on it is acknowledged and then lost. Two walls stand against that,
//! and each is shown to hold alone.

use crate::support::eventually;
use sqlx::{Connection, Executor, MySqlConnection, MySqlPool, mysql::MySqlPoolOptions};
use srv_runtime::{Database, detached};
use std::{net::SocketAddr, time::Duration};
use testkit::MariaDb;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
};

/// A proxy that can hold back what the server says, and tells when a `BEGIN` went through to it.
struct Proxy {
    address: SocketAddr,
    begins: watch::Receiver<u64>,
    open: watch::Sender<bool>,
}

impl Proxy {
    async fn before(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (counted, begins) = watch::channel(0);
        let (open, gate) = watch::channel(true);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(("127.0.0.1", server)).await.unwrap();
                tokio::spawn(relay(client, server, counted.clone(), gate.clone()));
            }
        });
        Self { address, begins, open }
    }

    /// Drops `work` while the reply to its `BEGIN` is held back, then lets the reply through.
    async fn drop_in_begin(&mut self, pool: &MySqlPool, work: impl Future) {
        // What the pool does to a released connection is answered, too.
        eventually("the connection is idle", async || (pool.num_idle() == 1).then_some(())).await;
        self.open.send_replace(false);
        self.begins.mark_unchanged();
        tokio::select! {
            biased;
            _ = work => panic!("BEGIN completed although its reply was held back"),
            changed = self.begins.changed() => changed.unwrap(),
        }
        self.open.send_replace(true);
    }
}

async fn relay(
    client: TcpStream,
    server: TcpStream,
    counted: watch::Sender<u64>,
    mut gate: watch::Receiver<bool>,
) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let asking = async {
        let mut bytes = vec![0; 65536];
        while let Ok(count @ 1..) = from_client.read(&mut bytes).await {
            if to_server.write_all(&bytes[..count]).await.is_err() {
                break;
            }
            if bytes[..count].windows(5).any(|window| window == b"BEGIN") {
                counted.send_modify(|begins| *begins += 1);
            }
        }
    };
    let answering = async {
        let mut bytes = vec![0; 65536];
        while let Ok(count @ 1..) = from_server.read(&mut bytes).await {
            if gate.wait_for(|open| *open).await.is_err()
                || to_client.write_all(&bytes[..count]).await.is_err()
            {
                break;
            }
        }
    };
    tokio::join!(asking, answering);
}

/// A row of stock in a database of its own, seen directly and through the proxy.
struct Shop {
    proxy: Proxy,
    direct: MySqlConnection,
    through_proxy: String,
}

impl Shop {
    async fn open() -> Self {
        let server = MariaDb::shared();
        let url = server.fresh_database();
        let proxy = Proxy::before(server.port()).await;
        let through_proxy =
            url.replace(&format!(":{}/", server.port()), &format!(":{}/", proxy.address.port()));
        assert_ne!(url, through_proxy);
        let mut direct = MySqlConnection::connect(&url).await.unwrap();
        direct
            .execute("CREATE TABLE stock (id INT PRIMARY KEY, on_hand INT NOT NULL)")
            .await
            .unwrap();
        direct.execute("INSERT INTO stock VALUES (1, 100)").await.unwrap();
        Self { proxy, direct, through_proxy }
    }

    async fn on_hand(&mut self) -> i32 {
        sqlx::query_scalar("SELECT on_hand FROM stock").fetch_one(&mut self.direct).await.unwrap()
    }
}

/// One connection, without what our own pool adds.
async fn plain_pool(url: &str) -> MySqlPool {
    MySqlPoolOptions::new()
        .max_connections(1)
        .test_before_acquire(false)
        .connect(url)
        .await
        .unwrap()
}

async fn in_transaction(pool: &MySqlPool) -> bool {
    sqlx::query_scalar::<_, i64>("SELECT CAST(@@in_transaction AS SIGNED)")
        .fetch_one(pool)
        .await
        .unwrap()
        == 1
}

const DEDUCT: &str = "UPDATE stock SET on_hand = on_hand - 1 WHERE id = 1 AND on_hand >= 1";

#[tokio::test(flavor = "multi_thread")]
async fn without_our_walls_a_dropped_begin_loses_an_acknowledged_write() {
    let mut shop = Shop::open().await;
    let pool = plain_pool(&shop.through_proxy).await;
    shop.proxy.drop_in_begin(&pool, pool.begin()).await;
    assert!(
        in_transaction(&pool).await,
        "sqlx no longer returns open transactions: the walls can go"
    );
    let acknowledged = pool.execute(DEDUCT).await.unwrap();
    assert_eq!(acknowledged.rows_affected(), 1);
    pool.close().await;
    assert_eq!(shop.on_hand().await, 100, "the fault is not what we think it is");
}

#[tokio::test(flavor = "multi_thread")]
async fn our_pool_hands_out_no_connection_with_an_open_transaction() {
    let mut shop = Shop::open().await;
    let Database::MySql(pool) = Database::connect(&shop.through_proxy, 1).await.unwrap() else {
        unreachable!("a MySQL URL")
    };
    drop(pool.acquire().await.unwrap());
    for _ in 0..20 {
        shop.proxy.drop_in_begin(&pool, pool.begin()).await;
        assert!(!in_transaction(&pool).await, "a connection came back with an open transaction");
    }
    assert_eq!(pool.execute(DEDUCT).await.unwrap().rows_affected(), 1);
    assert_eq!(shop.on_hand().await, 99);
    pool.close().await;
    assert_eq!(shop.on_hand().await, 99, "an acknowledged write was lost");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_detached_write_is_finished_although_its_caller_was_dropped_in_begin() {
    let mut shop = Shop::open().await;
    // Without the pool's own wall, so that this one stands alone.
    let pool = plain_pool(&shop.through_proxy).await;
    let deduct = |pool: MySqlPool| async move {
        let mut transaction = pool.begin().await.unwrap();
        transaction.execute(DEDUCT).await.unwrap();
        transaction.commit().await.unwrap();
    };
    shop.proxy.drop_in_begin(&pool, detached(deduct(pool.clone()))).await;
    eventually("the dropped caller's write is there", async || {
        (shop.on_hand().await == 99).then_some(())
    })
    .await;
    assert!(!in_transaction(&pool).await, "a connection came back with an open transaction");
    tokio::time::timeout(Duration::from_secs(5), pool.close())
        .await
        .expect("no connection is in use");
    assert_eq!(shop.on_hand().await, 99);
}
