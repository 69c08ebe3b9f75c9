//! The store on real databases of both kinds. Here: every statement is prepared, and the schema has its versions.

mod account;
mod batches;
mod expiry;
mod guards;
mod history;
mod lists;
mod purge;
mod scans;
mod scripts;
mod tables;
mod world;

use super::schema::SCHEMA;
use super::*;
use sqlx::migrate::Migrator;
use sqlx::{Executor, Row, SqlSafeStr};

async fn mysql() -> Database {
    Database::connect(&testkit::MariaDb::shared().fresh_database(), 2).await.unwrap()
}

async fn tidb() -> Database {
    Database::connect(&testkit::TiDb::shared().fresh_database(), 2).await.unwrap()
}

async fn sqlite(folder: &tempfile::TempDir) -> Database {
    let url = format!("sqlite://{}", folder.path().join("inventory.db").display());
    Database::connect(&url, 2).await.unwrap()
}

/// From the shortest list to the longest that is used of most statements.
const LENGTHS: [usize; 3] = [1, 4, statements::PAIRS_MAX];

async fn prepare_every_mysql_statement(database: Database) {
    migrate(&database).await.unwrap();
    let Database::MySql(pool) = database else { panic!("not MySQL") };
    for (name, statement) in mysql::STATEMENTS.all() {
        for length in LENGTHS {
            let text = statement.text(length).into_sql_str();
            pool.prepare(text).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        }
    }
}

#[tokio::test]
async fn every_statement_can_be_prepared_on_mariadb() {
    prepare_every_mysql_statement(mysql().await).await;
}

#[tokio::test]
async fn every_statement_can_be_prepared_on_tidb() {
    prepare_every_mysql_statement(tidb().await).await;
}

#[tokio::test]
async fn every_statement_can_be_prepared_on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let database = sqlite(&folder).await;
    migrate(&database).await.unwrap();
    let Database::Sqlite(pools) = database else { panic!("not SQLite") };
    for (name, statement) in sqlite::STATEMENTS.all() {
        for length in LENGTHS {
            let text = statement.text(length).into_sql_str();
            pools.write.prepare(text).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        }
    }
}

#[tokio::test]
async fn ids_of_the_ledger_rise_over_all_servers_of_a_tidb() {
    let database = tidb().await;
    migrate(&database).await.unwrap();
    let Database::MySql(pool) = database else { panic!("not MySQL") };
    let row = pool.fetch_one("SHOW CREATE TABLE ledger").await.unwrap();
    let made: String = row.get(1);
    assert!(made.contains("AUTO_ID_CACHE=1"), "{made}");
}

#[tokio::test]
async fn an_old_schema_is_known_by_the_versions_it_lacks() {
    let folder = tempfile::tempdir().unwrap();
    for database in [mysql().await, tidb().await, sqlite(&folder).await] {
        assert_eq!(missing_versions(&database).await.unwrap(), 1);
        migrate(&database).await.unwrap();
        assert_eq!(missing_versions(&database).await.unwrap(), 0);
        migrate(&database).await.unwrap();
    }
}

#[tokio::test]
async fn a_newer_schema_is_left_as_it_is() {
    const NEWER: &str = "UPDATE _sqlx_migrations SET version = 9999";
    let database = mysql().await;
    migrate(&database).await.unwrap();
    let Database::MySql(pool) = &database else { panic!("not MySQL") };
    // As if version 1 of this program were a later one of another.
    pool.execute(NEWER).await.unwrap();
    assert_eq!(missing_versions(&database).await.unwrap(), 1);
    migrate(&database).await.unwrap();
    assert_eq!(missing_versions(&database).await.unwrap(), 0);
}

#[test]
fn both_dialects_have_the_same_versions_of_the_schema() {
    let versions = |migrator: &Migrator| {
        migrator.iter().map(|migration| migration.version).collect::<Vec<_>>()
    };
    assert_eq!(versions(&SCHEMA.mysql), versions(&SCHEMA.sqlite));
}
