//! Every table as rows of plain cells, for a whole database to be copied.

use super::StoreError;
use super::script::Script;
use super::session::{Session, Value, Which};
use super::statements::LIST_MAX;
use sqlx::{ColumnIndex, Decode, FromRow, Row, Type};

/// The most rows that are read, or written, at a time.
pub const ROWS_MAX: usize = LIST_MAX;

/// A table of the schema.
#[derive(Debug)]
pub struct Table {
    /// Its name.
    pub name: &'static str,
    /// The columns of its primary key, each with what sorts before all that it holds.
    pub(super) key: &'static [(&'static str, Cell)],
    /// Its other columns.
    pub(super) rest: &'static [&'static str],
    page: Which,
    insert: Which,
}

/// Every table. The stock comes last: goods that are not stocked are not sold, so a copy that is not finished sells
/// nothing.
pub static TABLES: [Table; 7] = [
    Table {
        name: "ledger",
        key: &[("id", NUMBER)],
        rest: &[
            "location_id",
            "goods_id",
            "order_sn",
            "kind",
            "delta",
            "balance",
            "time",
            "reason",
        ],
        page: |statements| &statements.pages[0],
        insert: |statements| &statements.copies[0],
    },
    Table {
        name: "orders",
        key: &[("order_sn", BYTES)],
        rest: &["payload_hash", "state", "create_time", "update_time", "expire_time"],
        page: |statements| &statements.pages[1],
        insert: |statements| &statements.copies[1],
    },
    Table {
        name: "order_line",
        key: &[("order_sn", BYTES), ("location_id", NUMBER), ("goods_id", NUMBER)],
        rest: &["quantity", "returned", "create_time"],
        page: |statements| &statements.pages[2],
        insert: |statements| &statements.copies[2],
    },
    Table {
        name: "hold",
        key: &[("order_sn", BYTES), ("location_id", NUMBER), ("goods_id", NUMBER)],
        rest: &["quantity", "expire_time"],
        page: |statements| &statements.pages[3],
        insert: |statements| &statements.copies[3],
    },
    Table {
        name: "order_return",
        key: &[("order_sn", BYTES), ("request_id", BYTES)],
        rest: &["payload_hash", "time"],
        page: |statements| &statements.pages[4],
        insert: |statements| &statements.copies[4],
    },
    Table {
        name: "stock_request",
        key: &[("request_id", BYTES)],
        rest: &[
            "payload_hash",
            "goods_id",
            "on_hand",
            "reserved",
            "safety",
            "version",
            "update_time",
        ],
        page: |statements| &statements.pages[5],
        insert: |statements| &statements.copies[5],
    },
    Table {
        name: "stock",
        key: &[("location_id", NUMBER), ("goods_id", NUMBER)],
        rest: &["on_hand", "reserved", "safety", "version", "lock_fence", "update_time"],
        page: |statements| &statements.pages[6],
        insert: |statements| &statements.copies[6],
    },
];

const NUMBER: Cell = Cell::Number(Some(i64::MIN));
const BYTES: Cell = Cell::Bytes(Vec::new());

/// What one column of one row holds. Nothing is a number that is none, whatever the column is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Cell {
    /// An integer.
    Number(Option<i64>),
    /// Bytes.
    Bytes(Vec<u8>),
}

/// A row of a table as it is stored: the columns of the key first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRow(Vec<Cell>);

/// What every write changes: two that are the same were taken of the same rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprint(StoredRow);

impl Fingerprint {
    /// How many rows each table has, in the order of [`TABLES`].
    pub fn counts(&self) -> impl Iterator<Item = u64> {
        let count = |cell: &Cell| match cell {
            Cell::Number(Some(count)) => u64::try_from(*count).unwrap_or(0),
            Cell::Number(None) | Cell::Bytes(_) => 0,
        };
        self.0.0.iter().take(TABLES.len()).map(count)
    }
}

impl Table {
    /// All of its columns, those of the key first.
    pub(super) fn columns(&self) -> impl Iterator<Item = &'static str> {
        self.key.iter().map(|(column, _)| *column).chain(self.rest.iter().copied())
    }
}

impl<'c> From<&'c Cell> for Value<'c> {
    fn from(cell: &'c Cell) -> Self {
        match cell {
            Cell::Number(number) => Self::Number(*number),
            Cell::Bytes(bytes) => Self::Bytes(Some(bytes)),
        }
    }
}

impl<'r, R: Row> FromRow<'r, R> for StoredRow
where
    usize: ColumnIndex<R>,
    i64: Type<R::Database> + Decode<'r, R::Database>,
    Vec<u8>: Type<R::Database> + Decode<'r, R::Database>,
{
    fn from_row(row: &'r R) -> Result<Self, sqlx::Error> {
        let cell = |at| match row.try_get::<Option<i64>, usize>(at) {
            Ok(number) => Ok(Cell::Number(number)),
            // It is none: the schema has nothing but integers and bytes.
            Err(_) => row.try_get(at).map(Cell::Bytes),
        };
        (0..row.len()).map(cell).collect::<Result<_, _>>().map(Self)
    }
}

impl Session<'_> {
    /// The rows of a table in the order of its key, going on after one of them: at most [`ROWS_MAX`].
    pub async fn rows_of(
        &mut self,
        table: &Table,
        after: Option<&StoredRow>,
    ) -> Result<Vec<StoredRow>, StoreError> {
        let first: Vec<&Cell> = table.key.iter().map(|(_, first)| first).collect();
        let after = after.map_or(first, |row| row.0.iter().take(table.key.len()).collect());
        let cursor = (1..=after.len()).flat_map(|count| after[..count].iter().copied());
        let values: Vec<Value<'_>> =
            cursor.map(Value::from).chain([Value::from(ROWS_MAX as i64)]).collect();
        self.fetch(table.page, 1, &values).await
    }

    /// Inserts rows of a table as they are.
    pub async fn insert_rows(
        &mut self,
        table: &Table,
        rows: &[StoredRow],
    ) -> Result<(), StoreError> {
        let mut script = Script::on(self);
        script.insert(table.insert, rows, |row| row.0.iter().map(Value::from));
        self.run(script).await
    }

    /// Takes the fingerprint of the whole database. It counts all rows.
    pub async fn fingerprint(&mut self) -> Result<Fingerprint, StoreError> {
        let mut rows = self.fetch(|statements| &statements.fingerprint, 1, &[]).await?;
        let nothing = || StoreError::Corrupt("the tables gave no counts".to_owned());
        rows.pop().map(Fingerprint).ok_or_else(nothing)
    }
}
