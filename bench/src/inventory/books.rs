//! The tables of an arm: made fresh, stocked before it, audited after it, and dropped. Every order of a run is one line
//! of one piece.

use super::setting::Setting;
use anyhow::{Context, Result, ensure};
use inventory_srv::store;
use sqlx::{AssertSqlSafe, Connection, Executor, MySqlConnection, SqliteConnection};
use srv_runtime::Database;
use std::path::Path;

/// How many pieces of each goods there are: more than any run sells, and the most that the schema allows.
pub(crate) const PLENTY: i64 = 1_000_000_000;

/// What is on record after a run, as of one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Record {
    on_hand: i64,
    /// Stock rows below zero or below what is reserved.
    negative: i64,
    ledger_sum: i64,
    ledger_of_orders: i64,
    orders: i64,
    lines: i64,
}

/// One statement, so that all of it is as of one moment.
const RECORD: &str = "SELECT \
    (SELECT CAST(COALESCE(SUM(on_hand), 0) AS SIGNED) FROM stock), \
    (SELECT COUNT(*) FROM stock WHERE on_hand < reserved OR reserved < 0), \
    (SELECT CAST(COALESCE(SUM(delta), 0) AS SIGNED) FROM ledger), \
    (SELECT COUNT(*) FROM ledger WHERE order_sn IS NOT NULL AND delta <> 0), \
    (SELECT COUNT(*) FROM orders), (SELECT COUNT(*) FROM order_line)";

/// What the callers of a run were told.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Told {
    /// So many orders were acknowledged.
    pub(crate) acknowledged: u64,
    /// So many may or may not have been taken: no answer, or one that leaves it open.
    pub(crate) open: u64,
}

/// The fresh tables of one arm.
pub(crate) struct Tables {
    url: String,
    stocked: i64,
}

impl Tables {
    /// Makes the schema in a fresh database of the server, or in a new SQLite file in `folder`, with so many goods
    /// numbered from 1, so many pieces of each.
    pub(crate) async fn new(place: Place<'_>, goods: i64, pieces: i64) -> Result<Self> {
        let url = match place {
            Place::Server(setting) => setting.server.fresh_database(),
            Place::File(folder) => format!("sqlite://{}", folder.join("inventory.db").display()),
        };
        let database = Database::connect(&url, 1).await?;
        store::migrate(&database).await?;
        database.close().await;
        let tables = Self { url, stocked: goods * pieces };
        tables.stock(goods, pieces).await?;
        Ok(tables)
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    async fn stock(&self, goods: i64, pieces: i64) -> Result<()> {
        let rows = |row: &dyn Fn(i64) -> String| {
            let rows: Vec<_> = (1..=goods).map(row).collect();
            rows.join(", ")
        };
        let stock = rows(&|id| format!("({id}, {pieces}, 0)"));
        let ledger = rows(&|id| format!("({id}, 1, {pieces}, {pieces}, 0)"));
        let statements = [
            format!("INSERT INTO stock (goods_id, on_hand, update_time) VALUES {stock}"),
            format!("INSERT INTO ledger (goods_id, kind, delta, balance, time) VALUES {ledger}"),
        ];
        for statement in statements {
            // Only numbers of ours stand in it.
            let statement = AssertSqlSafe(statement);
            if self.is_mysql() {
                MySqlConnection::connect(&self.url).await?.execute(statement).await?;
            } else {
                SqliteConnection::connect(&self.url).await?.execute(statement).await?;
            }
        }
        Ok(())
    }

    fn is_mysql(&self) -> bool {
        self.url.starts_with("mysql:")
    }

    /// Fails unless the record adds up and holds every order that was acknowledged, and none that nobody sent.
    pub(crate) async fn audit(&self, told: Told) -> Result<()> {
        type Row = (i64, i64, i64, i64, i64, i64);
        let row: Row = if self.is_mysql() {
            let mut connection = MySqlConnection::connect(&self.url).await?;
            sqlx::query_as(RECORD).fetch_one(&mut connection).await?
        } else {
            let mut connection = SqliteConnection::connect(&self.url).await?;
            sqlx::query_as(RECORD).fetch_one(&mut connection).await?
        };
        let (on_hand, negative, ledger_sum, ledger_of_orders, orders, lines) = row;
        let record = Record { on_hand, negative, ledger_sum, ledger_of_orders, orders, lines };
        judge(self.stocked, record, told).context("the books of the arm do not add up")
    }

    /// Gives their room back.
    pub(crate) async fn drop(self, setting: &Setting) -> Result<()> {
        if self.is_mysql() {
            let name = self.url.rsplit('/').next().unwrap_or_default().to_owned();
            setting.server.try_sql(&format!("DROP DATABASE {name}"))?;
            setting.forget_binary_log()?;
        }
        Ok(())
    }
}

/// Where tables are.
#[derive(Clone, Copy)]
pub(crate) enum Place<'a> {
    /// On the setting's server.
    Server(&'a Setting),
    /// In a SQLite file in this folder.
    File(&'a Path),
}

fn judge(stocked: i64, record: Record, told: Told) -> Result<()> {
    let Record { on_hand, negative, ledger_sum, ledger_of_orders, orders, lines } = record;
    ensure!(negative == 0, "{negative} goods are below zero or below what is reserved");
    ensure!(ledger_sum == on_hand, "{on_hand} are on hand, the ledger sums to {ledger_sum}");
    let sold = stocked - on_hand;
    ensure!(
        sold == ledger_of_orders && sold <= lines && lines == orders,
        "{sold} are sold by {ledger_of_orders} ledger rows, {orders} orders and {lines} lines"
    );
    let [acknowledged, open] = [told.acknowledged, told.open].map(|count| count.cast_signed());
    ensure!(
        (acknowledged..=acknowledged + open).contains(&sold),
        "{sold} are sold; {acknowledged} were acknowledged, {open} more may be"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_audit_passes_good_books_and_finds_each_fault() {
        let good = Record {
            on_hand: 90,
            negative: 0,
            ledger_sum: 90,
            ledger_of_orders: 10,
            orders: 10,
            lines: 10,
        };
        let told = Told { acknowledged: 10, open: 0 };
        judge(100, good, told).unwrap();
        judge(100, good, Told { acknowledged: 8, open: 2 }).unwrap();
        for (fault, record, told) in [
            ("an oversold goods", Record { negative: 1, ..good }, told),
            ("a deduction without a ledger row", Record { on_hand: 89, ..good }, told),
            ("a ledger that sums to something else", Record { ledger_sum: 91, ..good }, told),
            ("an order without a line", Record { lines: 9, ..good }, told),
            ("a ledger row too many", Record { ledger_of_orders: 11, ..good }, told),
            ("an acknowledged order that is lost", good, Told { acknowledged: 11, open: 0 }),
            ("an order that nobody was told of", good, Told { acknowledged: 9, open: 0 }),
        ] {
            assert!(judge(100, record, told).is_err(), "not found: {fault}");
        }
    }
}
