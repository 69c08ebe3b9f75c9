//! Everything that is on record, read over a connection of its own, as of one moment: the other half of what the
//! checker compares. It knows the schema and none of the service's code.

use anyhow::{Context, Result};
use sqlx::{Connection, Executor, MySqlConnection, SqliteConnection};
use std::collections::{BTreeMap, BTreeSet};

/// What `orders.state` says.
pub mod state {
    /// It holds its pieces, or held them once.
    pub const RESERVED: i64 = 1;
    /// Its pieces are sold.
    pub const CONFIRMED: i64 = 2;
    /// Some of them were given back.
    pub const PARTLY_RETURNED: i64 = 3;
    /// All of them were given back.
    pub const RETURNED: i64 = 4;
    /// It was called off, or closed before it was seen.
    pub const CANCELLED: i64 = 5;
}

/// What `ledger.kind` says.
pub mod kind {
    /// An order took pieces.
    pub const SELL: i64 = 2;
    /// An order's pieces came back.
    pub const REBACK: i64 = 3;
    /// What moves pieces for no order: set, adjusted, repaired, opened.
    pub const WITHOUT_ORDER: [i64; 4] = [1, 4, 5, 6];
}

/// An order's number and a goods' id.
pub type LineKey = (String, i64);

/// Everything that is on record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Books {
    /// By goods.
    pub stocks: BTreeMap<i64, StockRow>,
    /// State, by order number.
    pub orders: BTreeMap<String, i64>,
    /// The orders' lines.
    pub lines: BTreeMap<LineKey, LineRow>,
    /// By id.
    pub ledger: Vec<LedgerRow>,
    /// The pieces that lines hold.
    pub holds: BTreeMap<LineKey, i64>,
    /// Order numbers and request ids of partial returns.
    pub returns: BTreeSet<(String, String)>,
}

/// A stock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StockRow {
    /// How many pieces there are.
    pub on_hand: i64,
    /// How many of them are held.
    pub reserved: i64,
}

/// A line of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineRow {
    /// How many pieces it took.
    pub quantity: i64,
    /// How many of them came back.
    pub returned: i64,
}

/// A row of the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerRow {
    /// Grows with every row of the same goods.
    pub id: i64,
    /// Which goods.
    pub goods: i64,
    /// For which order, if for one.
    pub order: Option<String>,
    /// One of [`kind`].
    pub kind: i64,
    /// How many pieces more (or fewer) are on hand.
    pub delta: i64,
    /// How many are on hand after it.
    pub balance: i64,
}

impl Books {
    /// Reads the books of the database of this URL.
    pub async fn read(url: &str) -> Result<Self> {
        let rows = match url.starts_with("mysql:") {
            true => {
                let mut connection = MySqlConnection::connect(url).await?;
                connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ").await?;
                connection.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT").await?;
                of_mysql(&mut connection).await
            }
            false => {
                let mut connection = SqliteConnection::connect(url).await?;
                connection.execute("BEGIN").await?;
                let rows = of_sqlite(&mut connection).await;
                // Otherwise its lock would stay until its thread has noticed.
                connection.close().await?;
                rows
            }
        };
        books_of(rows.context("the checker cannot read the books")?)
    }
}

/// Id, goods id, order number, kind, delta, balance.
type StoredEntry = (i64, i64, Option<Vec<u8>>, i64, i64, i64);

/// The tables as they stand.
struct Rows {
    stocks: Vec<(i64, i64, i64)>,
    orders: Vec<(Vec<u8>, i64)>,
    lines: Vec<(Vec<u8>, i64, i64, i64)>,
    ledger: Vec<StoredEntry>,
    holds: Vec<(Vec<u8>, i64, i64)>,
    returns: Vec<(Vec<u8>, Vec<u8>)>,
}

/// The same statements for both kinds of connection.
macro_rules! reader {
    ($name:ident, $connection:ty) => {
        async fn $name(connection: &mut $connection) -> sqlx::Result<Rows> {
            macro_rules! all {
                ($statement:literal) => {
                    sqlx::query_as($statement).fetch_all(&mut *connection).await?
                };
            }
            Ok(Rows {
                stocks: all!("SELECT goods_id, on_hand, reserved FROM stock"),
                orders: all!("SELECT order_sn, state FROM orders"),
                lines: all!("SELECT order_sn, goods_id, quantity, returned FROM order_line"),
                ledger: all!(
                    "SELECT id, goods_id, order_sn, kind, delta, balance FROM ledger ORDER BY id"
                ),
                holds: all!("SELECT order_sn, goods_id, quantity FROM hold"),
                returns: all!("SELECT order_sn, request_id FROM order_return"),
            })
        }
    };
}

reader!(of_mysql, MySqlConnection);
reader!(of_sqlite, SqliteConnection);

fn books_of(rows: Rows) -> Result<Books> {
    let Rows { stocks, orders, lines, ledger, holds, returns } = rows;
    let mut books = Books::default();
    for (goods, on_hand, reserved) in stocks {
        books.stocks.insert(goods, StockRow { on_hand, reserved });
    }
    for (order, state) in orders {
        books.orders.insert(text(order)?, state);
    }
    for (order, goods, quantity, returned) in lines {
        books.lines.insert((text(order)?, goods), LineRow { quantity, returned });
    }
    for (id, goods, order, kind, delta, balance) in ledger {
        let order = order.map(text).transpose()?;
        books.ledger.push(LedgerRow { id, goods, order, kind, delta, balance });
    }
    for (order, goods, quantity) in holds {
        books.holds.insert((text(order)?, goods), quantity);
    }
    for (order, request) in returns {
        books.returns.insert((text(order)?, text(request)?));
    }
    Ok(books)
}

fn text(bytes: Vec<u8>) -> Result<String> {
    String::from_utf8(bytes).context("a key is no text")
}
