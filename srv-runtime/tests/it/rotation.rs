//! Credentials that change under a running process.

use crate::support::{arguments, eventually, get, local};
use sqlx::MySqlPool;
use srv_config::InventoryConfig;
use srv_runtime::{Database, Process};
use std::{
    collections::HashSet,
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};
use testkit::MariaDb;

type Inventory = Process<InventoryConfig>;

struct Rotating {
    server: MariaDb,
    folder: tempfile::TempDir,
    url: String,
    process: Inventory,
    pool: MySqlPool,
}

impl Rotating {
    async fn start() -> Self {
        let server = MariaDb::start();
        server.sql("CREATE DATABASE shop; CREATE USER shop@'%' IDENTIFIED BY 'first'; GRANT ALL ON shop.* TO shop@'%'");
        let folder = tempfile::tempdir().unwrap();
        let url = format!("mysql://shop:first@127.0.0.1:{}/shop", server.port());
        put(folder.path(), &url);
        let mut arguments = arguments();
        arguments.database.database_url_file = Some(folder.path().join("url"));
        let process = Inventory::start(arguments, local()).await.unwrap();
        let Database::MySql(pool) = process.database().await.unwrap() else {
            unreachable!("a MySQL URL")
        };
        let all = pool.options().get_max_connections();
        eventually("the pool is full", async || (pool.size() == all).then_some(())).await;
        Self { server, folder, url, process, pool }
    }

    async fn metric(&self, outcome: &str) -> bool {
        let (_, metrics) = get(self.process.admin_address(), "/metrics").await;
        metrics.lines().any(|line| {
            line.starts_with("database_credentials_changes_total") && line.contains(outcome)
        })
    }
}

/// As a mounted Secret changes: by a rename.
fn put(folder: &Path, url: &str) {
    fs::write(folder.join("draft"), url).unwrap();
    fs::rename(folder.join("draft"), folder.join("url")).unwrap();
}

async fn connection(pool: &MySqlPool) -> Result<u64, sqlx::Error> {
    sqlx::query_scalar("SELECT CAST(CONNECTION_ID() AS UNSIGNED)").fetch_one(pool).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotated_password_reaches_every_connection_without_a_failed_query() {
    let rotating = Rotating::start().await;
    let Rotating { server, folder, url, pool, .. } = &rotating;
    let last_old = sqlx::query_scalar::<_, u64>(
        "SELECT CAST(MAX(ID) AS UNSIGNED) FROM information_schema.PROCESSLIST",
    )
    .fetch_one(pool)
    .await
    .unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let callers: Vec<_> = (0..4)
        .map(|_| {
            let (pool, stop) = (pool.clone(), Arc::clone(&stop));
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    connection(&pool).await.expect("a query failed during the rotation");
                }
            })
        })
        .collect();
    // The old password is revoked before the new one reaches the process.
    server.sql("ALTER USER shop@'%' IDENTIFIED BY 'second'");
    put(folder.path(), &url.replace("first", "second"));
    let all = pool.options().get_max_connections() as usize;
    eventually("every connection is a new one", async || {
        let ids = server.sql("SELECT ID FROM information_schema.PROCESSLIST WHERE USER = 'shop'");
        let ids: HashSet<u64> = ids.lines().map(|id| id.trim().parse().unwrap()).collect();
        (ids.len() == all && ids.iter().all(|id| *id > last_old)).then_some(())
    })
    .await;
    stop.store(true, Ordering::Relaxed);
    for caller in callers {
        caller.await.unwrap();
    }
    assert!(rotating.metric("taken_over").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_that_do_not_work_are_reported_and_the_old_ones_stay() {
    let rotating = Rotating::start().await;
    let Rotating { folder, url, pool, .. } = &rotating;
    put(folder.path(), &url.replace("first", "wrong"));
    eventually("the failure is counted", async || rotating.metric("failed").await.then_some(()))
        .await;
    // New connections are opened with what worked.
    for _ in 0..pool.options().get_max_connections() {
        drop(pool.acquire().await.unwrap().detach());
    }
    connection(pool).await.unwrap();
    put(folder.path(), &url.replace("/shop", "/mysql"));
    eventually("another database is refused", async || {
        rotating.metric("refused").await.then_some(())
    })
    .await;
    connection(pool).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_of_a_server_that_a_start_would_refuse_are_not_taken_over() {
    let rotating = Rotating::start().await;
    let Rotating { server, folder, url, .. } = &rotating;
    server.sql("CREATE USER other@'%' IDENTIFIED BY 'x'; GRANT ALL ON shop.* TO other@'%'");
    server.sql("SET GLOBAL innodb_flush_log_at_trx_commit = 2");
    let other = url.replace("shop:first", "other:x");
    put(folder.path(), &other);
    eventually("it is refused", async || rotating.metric("refused").await.then_some(())).await;
    assert!(!rotating.metric("taken_over").await);
    server.sql("SET GLOBAL innodb_flush_log_at_trx_commit = 1");
    // The file is read again at the next change in its folder.
    put(folder.path(), &other);
    eventually("it is taken over", async || rotating.metric("taken_over").await.then_some(()))
        .await;
}
