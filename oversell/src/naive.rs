//! Methods that oversell. Each keeps the stock in one row, reads it, subtracts in the program and writes the result
//! back, as an object mapper's `get` and `save` do; they differ in the lock around that.
//!
//! All of them run at READ COMMITTED, as the service does. REPEATABLE READ, which MySQL has by default, saves none of
//! them: its plain reads do not lock either.

pub(crate) mod freed_before_commit;
pub(crate) mod lapsed_in_pause;
pub(crate) mod no_lock;

mod lock;

use crate::{
    Rules,
    shop::{GOODS, pool},
};
use anyhow::Result;
use lock::Locks;
use sqlx::{MySql, MySqlConnection, MySqlPool, Transaction};
use srv_runtime::Database;
use std::sync::atomic::AtomicBool;

const SCHEMA: &str = "CREATE TABLE inventory (goods BIGINT PRIMARY KEY, stocks BIGINT NOT NULL); \
     CREATE TABLE inventory_history (order_sn VARCHAR(64) PRIMARY KEY, detail VARCHAR(200) NOT NULL)";

/// Where a naive shop sells: its tables, its locks, and whether the one pause has been.
pub(crate) struct Desk {
    database: Database,
    pool: MySqlPool,
    locks: Locks,
    rules: Rules,
    has_paused: AtomicBool,
}

impl Desk {
    /// A full stock in fresh tables. Each client finds a connection free, because it holds one while it waits for a
    /// lock.
    pub(crate) async fn open(url: &str, redis: &str, rules: Rules) -> Result<Self> {
        let (database, pool) = pool(url, rules.clients).await?;
        sqlx::raw_sql(SCHEMA).execute(&pool).await?;
        sqlx::query("INSERT INTO inventory (goods, stocks) VALUES (?, ?)")
            .bind(GOODS)
            .bind(rules.stock)
            .execute(&pool)
            .await?;
        let locks = Locks::open(redis).await?;
        Ok(Self { database, pool, locks, rules, has_paused: AtomicBool::new(false) })
    }

    async fn begin(&self) -> Result<Transaction<'static, MySql>> {
        Ok(self.pool.begin().await?)
    }

    pub(crate) async fn stock(&self) -> Result<i64> {
        let mut connection = self.pool.acquire().await?;
        read(&mut connection).await
    }

    pub(crate) async fn close(self) {
        self.database.close().await;
    }
}

async fn read(connection: &mut MySqlConnection) -> Result<i64> {
    let stocks = sqlx::query_scalar("SELECT stocks FROM inventory WHERE goods = ?");
    Ok(stocks.bind(GOODS).fetch_one(connection).await?)
}

async fn write_back(connection: &mut MySqlConnection, stocks: i64) -> Result<()> {
    let update = sqlx::query("UPDATE inventory SET stocks = ? WHERE goods = ?");
    update.bind(stocks).bind(GOODS).execute(connection).await?;
    Ok(())
}

/// Writes down what the order took, in the same transaction.
async fn write_history(connection: &mut MySqlConnection, order: &str) -> Result<()> {
    let insert = sqlx::query("INSERT INTO inventory_history (order_sn, detail) VALUES (?, ?)");
    insert.bind(order).bind(format!("{GOODS}: 1")).execute(connection).await?;
    Ok(())
}
