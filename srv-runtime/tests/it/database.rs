//! What a connected database is like.

use sqlx::{Executor, Row};
use srv_runtime::{Database, DatabaseArguments, DatabaseError, SqlitePools, Weakness, detached};
use std::{os::unix::fs::PermissionsExt, path::Path};
use testkit::{MariaDb, TiDb};

fn arguments(url: &str) -> DatabaseArguments {
    DatabaseArguments { database_url: Some(url.to_owned()), ..DatabaseArguments::default() }
}

async fn sqlite(file: &Path) -> SqlitePools {
    match Database::connect(&format!("sqlite://{}", file.display()), 4).await.unwrap() {
        Database::Sqlite(pools) => pools,
        Database::MySql(_) => unreachable!("a SQLite URL"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mysql_session_is_read_committed_strict_and_utc_whatever_the_server_says() {
    let server = MariaDb::options()
        .setting("transaction-isolation", "REPEATABLE-READ")
        .setting("sql-mode", "")
        .setting("default-time-zone", "+08:00")
        .start()
        .unwrap();
    let Database::MySql(pool) = Database::connect(&server.fresh_database(), 2).await.unwrap()
    else {
        unreachable!("a MySQL URL")
    };
    let row = pool
        .fetch_one("SELECT @@tx_isolation, @@sql_mode, @@time_zone, CAST(@@innodb_lock_wait_timeout AS SIGNED)")
        .await
        .unwrap();
    assert_eq!(row.get::<String, _>(0), "READ-COMMITTED");
    assert!(row.get::<String, _>(1).contains("STRICT_ALL_TABLES"));
    assert_eq!(row.get::<String, _>(2), "+00:00");
    assert_eq!(row.get::<i64, _>(3), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_may_forget_is_refused_unless_the_risk_is_accepted() {
    let server = MariaDb::options().setting("innodb-flush-log-at-trx-commit", "2").start().unwrap();
    let mut arguments = arguments(&server.fresh_database());
    let refused = arguments.connect("", 1).await.expect_err("it was accepted");
    assert!(
        matches!(&refused, DatabaseError::Unfit { weaknesses, .. } if *weaknesses == [Weakness::LazyFlush("2".into())]),
        "{refused}"
    );
    assert!(refused.to_string().contains("--allow-weak-durability"), "{refused}");
    arguments.allow_weak_durability = true;
    arguments.connect("", 1).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_server_is_refused_even_when_the_risk_is_accepted() {
    let server = MariaDb::start();
    let mut arguments = arguments(&server.fresh_database());
    arguments.allow_weak_durability = true;
    server.sql("SET GLOBAL read_only = 1");
    let refused = arguments.connect("", 1).await.expect_err("it was accepted");
    assert!(refused.to_string().contains("name the primary"), "{refused}");
}

/// What a connection to this TiDB is refused for, though weak durability is accepted.
async fn refused_by(server: &TiDb) -> String {
    let mut arguments = arguments(&server.fresh_database());
    arguments.allow_weak_durability = true;
    arguments.connect("", 1).await.expect_err("it was accepted").to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tidb_that_enforces_no_checks_is_refused_even_when_the_risk_is_accepted() {
    let server = TiDb::start();
    server.sql("SET GLOBAL tidb_enable_check_constraint = OFF");
    let refused = refused_by(&server).await;
    assert!(refused.contains("SET GLOBAL tidb_enable_check_constraint = ON"), "{refused}");
    assert!(!refused.contains("innodb") && !refused.contains("tidb_txn_mode"), "{refused}");
    // Tables that were made by then have no CHECK, and get none by the setting.
    let url = server.fresh_database();
    let name = url.rsplit('/').next().unwrap();
    let make = format!(
        "USE {name}; CREATE TABLE stock (n INT, CHECK (n >= 0)); CREATE TABLE orders (n INT)"
    );
    let break_it = format!("INSERT INTO {name}.stock VALUES (-1)");
    server.sql(&make);
    server.sql(&break_it);
    server.sql("SET GLOBAL tidb_enable_check_constraint = ON");
    server.sql(&break_it);
    let refused = Database::connect(&url, 1).await.expect_err("it was accepted").to_string();
    assert!(refused.contains("its tables were made while"), "{refused}");
    server.sql(&format!("DROP DATABASE {name}; CREATE DATABASE {name}; {make}"));
    let error = server.try_sql(&break_it).expect_err("the CHECK is not enforced").to_string();
    assert!(error.contains("3819"), "{error}");
    Database::connect(&url, 1).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tidb_in_optimistic_mode_is_refused_even_when_the_risk_is_accepted() {
    let server = TiDb::start();
    for mode in ["optimistic", ""] {
        server.sql(&format!("SET GLOBAL tidb_txn_mode = '{mode}'"));
        let refused = refused_by(&server).await;
        assert!(refused.contains("SET GLOBAL tidb_txn_mode = 'pessimistic'"), "{refused}");
        assert!(!refused.contains("innodb") && !refused.contains("check_constraint"), "{refused}");
    }
    server.sql("SET GLOBAL tidb_txn_mode = 'pessimistic'");
    Database::connect(&server.fresh_database(), 1).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tidb_that_is_read_only_is_refused_even_when_the_risk_is_accepted() {
    let server = TiDb::start();
    let mut arguments = arguments(&server.fresh_database());
    arguments.allow_weak_durability = true;
    server.sql("SET GLOBAL tidb_super_read_only = ON");
    let refused = arguments.connect("", 1).await.expect_err("it was accepted").to_string();
    assert!(refused.contains("tidb_super_read_only is ON"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tidb_on_its_embedded_store_is_refused_for_that_alone_unless_the_risk_is_accepted() {
    let mut arguments = arguments(&TiDb::shared().fresh_database());
    let refused = arguments.connect("", 1).await.expect_err("it was accepted");
    assert!(
        matches!(&refused, DatabaseError::Unfit { weaknesses, .. } if *weaknesses == [Weakness::Embedded]),
        "{refused}"
    );
    arguments.allow_weak_durability = true;
    arguments.connect("", 1).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tidb_session_is_read_committed_pessimistic_strict_and_utc_whatever_the_server_says() {
    let server = TiDb::start();
    server.sql(
        "SET GLOBAL transaction_isolation = 'REPEATABLE-READ', GLOBAL sql_mode = '', GLOBAL time_zone = '+08:00'",
    );
    let Database::MySql(pool) = Database::connect(&server.fresh_database(), 2).await.unwrap()
    else {
        unreachable!("a MySQL URL")
    };
    let row = pool
        .fetch_one(
            "SELECT @@transaction_isolation, @@sql_mode, @@time_zone, \
             CAST(@@innodb_lock_wait_timeout AS SIGNED), @@tidb_txn_mode",
        )
        .await
        .unwrap();
    assert_eq!(row.get::<String, _>(0), "READ-COMMITTED");
    assert!(row.get::<String, _>(1).contains("STRICT_ALL_TABLES"));
    assert_eq!(row.get::<String, _>(2), "+00:00");
    assert_eq!(row.get::<i64, _>(3), 3);
    assert_eq!(row.get::<String, _>(4), "pessimistic");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_names_the_server_and_not_the_password() {
    let server = MariaDb::shared();
    let url = server.fresh_database().replace("root@", "nobody:very-secret@");
    let refused = arguments(&url).connect("", 1).await.expect_err("it was accepted");
    assert!(refused.to_string().contains(&format!("127.0.0.1:{}", server.port())), "{refused}");
    assert!(!format!("{refused:?}").contains("very-secret"), "{refused:?}");
}

#[tokio::test]
async fn a_missing_url_file_is_named_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("url");
    let arguments =
        DatabaseArguments { database_url_file: Some(file.clone()), ..DatabaseArguments::default() };
    let refused = arguments.connect("", 1).await.expect_err("it was accepted").to_string();
    assert!(
        refused.contains(&file.display().to_string()) && refused.contains("urlSecretRef"),
        "{refused}"
    );
}

#[tokio::test]
async fn a_sqlite_file_is_durable_private_and_has_one_writer() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("shop.db");
    let pools = sqlite(&file).await;
    pools.write.execute("CREATE TABLE parent (id INTEGER PRIMARY KEY)").await.unwrap();
    for (pragma, wanted) in [("journal_mode", "wal"), ("synchronous", "2"), ("foreign_keys", "1")] {
        for pool in [&pools.write, &pools.read] {
            let row =
                pool.fetch_one(sqlx::AssertSqlSafe(format!("PRAGMA {pragma}"))).await.unwrap();
            let is = row.try_get_unchecked::<String, _>(0).unwrap();
            assert_eq!(is, wanted, "{pragma}");
        }
    }
    for name in ["shop.db", "shop.db-wal"] {
        let mode = std::fs::metadata(folder.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    assert_eq!(pools.write.options().get_max_connections(), 1);
    let refused = pools.read.execute("INSERT INTO parent VALUES (1)").await;
    assert!(refused.is_err(), "a reading connection wrote");
}

#[tokio::test]
async fn a_missing_directory_of_a_sqlite_file_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}/missing/shop.db", folder.path().display());
    let refused = arguments(&url).connect("", 1).await.expect_err("it was accepted").to_string();
    assert!(refused.contains("its directory must exist"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_writers_queue_up_and_none_is_turned_away_busy() {
    let folder = tempfile::tempdir().unwrap();
    let database =
        Database::connect(&format!("sqlite://{}", folder.path().join("shop.db").display()), 4)
            .await
            .unwrap();
    let Database::Sqlite(pools) = database else { unreachable!("a SQLite URL") };
    pools.write.execute("CREATE TABLE stock (on_hand INTEGER NOT NULL)").await.unwrap();
    pools.write.execute("INSERT INTO stock VALUES (0)").await.unwrap();
    let writers = (0..50).map(|_| {
        let pools = pools.clone();
        detached(async move {
            let mut transaction = pools.begin_write().await.unwrap();
            let on_hand: i64 = sqlx::query_scalar("SELECT on_hand FROM stock")
                .fetch_one(&mut *transaction)
                .await
                .unwrap();
            let update = sqlx::query("UPDATE stock SET on_hand = ?").bind(on_hand + 1);
            update.execute(&mut *transaction).await.unwrap();
            transaction.commit().await.unwrap();
        })
    });
    futures::future::join_all(writers).await;
    let on_hand: i64 =
        sqlx::query_scalar("SELECT on_hand FROM stock").fetch_one(&pools.read).await.unwrap();
    assert_eq!(on_hand, 50);
}
