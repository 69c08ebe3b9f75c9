//! The database's ceiling: one connection that inserts the rows of many orders in one transaction and one round trip,
//! the same rows as a sold order leaves, without a look or a decision.

use super::caller::order_number;
use crate::load::Outcome;
use anyhow::Result;
use sqlx::{AssertSqlSafe, Connection, Executor, MySqlConnection};
use std::{fmt::Write, sync::Arc};
use tokio::sync::Mutex;

/// What stands for the SHA-256 of an order's payload: as long as one.
const PAYLOAD: &str = "x'000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f'";
/// A time in milliseconds since 1970, as long as any of this century.
const TIME: i64 = 1_767_225_600_000;

/// The connection, and how many orders one transaction holds.
#[derive(Clone)]
pub(crate) struct Bulk {
    connection: Arc<Mutex<MySqlConnection>>,
    orders: usize,
    /// Whether a line holds the time of its order, which not every version of the schema has.
    dated_lines: bool,
}

impl Bulk {
    pub(crate) async fn connect(url: &str, orders: usize) -> Result<Self> {
        let mut connection = MySqlConnection::connect(url).await?;
        connection.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED").await?;
        let column = "SHOW COLUMNS FROM order_line LIKE 'create_time'";
        let dated_lines = connection.fetch_optional(column).await?.is_some();
        Ok(Self { connection: Arc::new(Mutex::new(connection)), orders, dated_lines })
    }

    pub(crate) async fn call(&self, number: u64) -> Outcome {
        let first = number * self.orders as u64;
        // Only numbers of ours stand in it.
        let statements = AssertSqlSafe(statements(first, self.orders, self.dated_lines));
        match sqlx::raw_sql(statements).execute(&mut *self.connection.lock().await).await {
            Ok(_) => Outcome::Accepted(self.orders as u64),
            Err(error) => Outcome::Failed(error.to_string()),
        }
    }

    /// Takes off the stock what was inserted, so that the books of this arm add up like those of any other.
    pub(crate) async fn settle(&self) -> Result<()> {
        let settle = "UPDATE stock SET on_hand = \
            (SELECT SUM(delta) FROM ledger WHERE ledger.goods_id = stock.goods_id)";
        self.connection.lock().await.execute(settle).await?;
        Ok(())
    }
}

/// One transaction, as one text: the round trips of prepared statements would be a part of what is measured.
fn statements(first: u64, orders: usize, dated_lines: bool) -> String {
    let (column, time) =
        if dated_lines { (", create_time", format!(",{TIME}")) } else { ("", String::new()) };
    let mut headers = String::new();
    let mut lines = String::new();
    let mut ledger = String::new();
    for index in 0..orders {
        let number = order_number(first + index as u64);
        let comma = if index == 0 { "" } else { "," };
        let balance = super::books::PLENTY - index as i64;
        let takes = "a String takes every write";
        write!(headers, "{comma}('{number}',{PAYLOAD},2,{TIME},{TIME})").expect(takes);
        write!(lines, "{comma}('{number}',1,1,0{time})").expect(takes);
        write!(ledger, "{comma}(1,'{number}',2,-1,{balance},{TIME})").expect(takes);
    }
    format!(
        "BEGIN; \
         INSERT INTO orders (order_sn, payload_hash, state, create_time, update_time) VALUES {headers}; \
         INSERT INTO order_line (order_sn, goods_id, quantity, returned{column}) VALUES {lines}; \
         INSERT INTO ledger (goods_id, order_sn, kind, delta, balance, time) VALUES {ledger}; \
         COMMIT"
    )
}
