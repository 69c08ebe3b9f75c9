//! What is copied is all that there is.

use super::world::World;
use crate::store::tables::TABLES;
use crate::store::{Database, migrate};
use std::collections::BTreeSet;

/// Every column of every table as `TABLE.COLUMN`, in capital letters where it is part of the primary key.
fn copied() -> BTreeSet<String> {
    let columns = |table: &crate::store::Table| {
        let name = table.name;
        let key =
            table.key.iter().map(move |(column, _)| format!("{name}.{}", column.to_uppercase()));
        key.chain(table.rest.iter().map(move |column| format!("{name}.{column}")))
            .collect::<Vec<_>>()
    };
    TABLES.iter().flat_map(columns).collect()
}

async fn of_mysql(database: Database) -> BTreeSet<String> {
    const COLUMNS: &str = "SELECT CAST(CONCAT(c.TABLE_NAME, '.', \
        CASE WHEN c.COLUMN_KEY = 'PRI' THEN UPPER(c.COLUMN_NAME) ELSE c.COLUMN_NAME END) AS BINARY) \
        FROM information_schema.COLUMNS c WHERE c.TABLE_SCHEMA = DATABASE() AND c.TABLE_NAME <> '_sqlx_migrations'";
    migrate(&database).await.unwrap();
    let Database::MySql(pool) = database else { panic!("not MySQL") };
    let columns: Vec<Vec<u8>> = sqlx::query_scalar(COLUMNS).fetch_all(&pool).await.unwrap();
    columns.into_iter().map(|name| String::from_utf8(name).unwrap()).collect()
}

#[tokio::test]
async fn every_column_of_every_table_is_copied_on_mysql() {
    assert_eq!(of_mysql(super::mysql().await).await, copied());
    assert_eq!(of_mysql(super::tidb().await).await, copied());
}

#[tokio::test]
async fn every_column_of_every_table_is_copied_on_sqlite() {
    const COLUMNS: &str = "SELECT t.name || '.' || CASE WHEN c.pk > 0 THEN upper(c.name) ELSE c.name END \
        FROM sqlite_schema t JOIN pragma_table_info(t.name) c \
        WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite%' AND t.name <> '_sqlx_migrations'";
    let world = World::sqlite().await;
    let Database::Sqlite(pools) = &world.database else { panic!("not SQLite") };
    let columns: Vec<String> = sqlx::query_scalar(COLUMNS).fetch_all(&pools.read).await.unwrap();
    assert_eq!(columns.into_iter().collect::<BTreeSet<_>>(), copied());
}
