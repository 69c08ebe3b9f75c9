//! A connection on which statements run, whichever database it leads to.

use super::statements::{LIST_MAX, Statement, Statements};
use super::{StoreError, mysql, sqlite};
use crate::order::{GoodsId, OrderSn};
use futures::TryStreamExt;
use sqlx::mysql::MySqlRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, FromRow, MySqlConnection, SqliteConnection};
use srv_runtime::answered;

/// A connection on which statements run. Each sees what was committed when it began, and what this transaction wrote.
#[derive(Debug)]
pub enum Session<'c> {
    /// To MySQL.
    MySql(&'c mut MySqlConnection),
    /// To SQLite.
    Sqlite(&'c mut SqliteConnection),
}

/// A parameter of a statement.
#[derive(Clone, Copy, Debug)]
pub(super) enum Value<'v> {
    Number(Option<i64>),
    Bytes(Option<&'v [u8]>),
}

impl From<i64> for Value<'_> {
    fn from(number: i64) -> Self {
        Self::Number(Some(number))
    }
}

impl From<Option<i64>> for Value<'_> {
    fn from(number: Option<i64>) -> Self {
        Self::Number(number)
    }
}

impl From<GoodsId> for Value<'_> {
    fn from(goods: GoodsId) -> Self {
        goods.get().into()
    }
}

impl<'v> From<&'v [u8]> for Value<'v> {
    fn from(bytes: &'v [u8]) -> Self {
        Self::Bytes(Some(bytes))
    }
}

impl<'v> From<Option<&'v [u8]>> for Value<'v> {
    fn from(bytes: Option<&'v [u8]>) -> Self {
        Self::Bytes(bytes)
    }
}

impl<'v> From<&'v OrderSn> for Value<'v> {
    fn from(sn: &'v OrderSn) -> Self {
        sn.as_str().as_bytes().into()
    }
}

/// Which statement, of either dialect.
pub(super) type Which = fn(&Statements) -> &Statement;

/// Writes an expression once for both kinds of connection; `$query` is the statement with its parameters.
macro_rules! on_each {
    ($session:expr, $which:expr, $length:expr, $query:path, $values:expr,
        |$connection:ident, $bound:ident| $work:expr) => {
        match $session {
            Session::MySql(connection) => {
                let mut query = $query($which(&mysql::STATEMENTS).text($length));
                for value in $values {
                    query = match *value {
                        Value::Number(number) => query.bind(number),
                        Value::Bytes(bytes) => query.bind(bytes),
                    };
                }
                let ($connection, $bound) = (&mut **connection, query);
                $work
            }
            Session::Sqlite(connection) => {
                let mut query = $query($which(&sqlite::STATEMENTS).text($length));
                for value in $values {
                    query = match *value {
                        Value::Number(number) => query.bind(number),
                        Value::Bytes(bytes) => query.bind(bytes),
                    };
                }
                let ($connection, $bound) = (&mut **connection, query);
                $work
            }
        }
    };
}

impl Session<'_> {
    /// Runs a statement that changes rows, its repeated parts `length` times, a power of two; answers how many rows it
    /// found.
    pub(super) async fn execute(
        &mut self,
        which: Which,
        length: usize,
        values: &[Value<'_>],
    ) -> Result<u64, StoreError> {
        Ok(on_each!(self, which, length, sqlx::query, values, |connection, query| {
            answered(query.execute(connection)).await?.rows_affected()
        }))
    }

    /// Runs statements that are written out in one text, on MySQL; answers how many rows each found.
    pub(super) async fn execute_text(&mut self, text: String) -> Result<Vec<u64>, StoreError> {
        let Self::MySql(connection) = self else {
            unreachable!("SQLite gets its statements one by one")
        };
        // Of what a caller sent only digits get into it.
        let results = sqlx::raw_sql(AssertSqlSafe(text)).execute_many(&mut **connection);
        let found = results.map_ok(|done| done.rows_affected()).try_collect();
        Ok(answered(found).await?)
    }

    /// Runs a statement that reads rows, its repeated parts `length` times.
    pub(super) async fn fetch<R>(
        &mut self,
        which: Which,
        length: usize,
        values: &[Value<'_>],
    ) -> Result<Vec<R>, StoreError>
    where
        R: for<'r> FromRow<'r, MySqlRow> + for<'r> FromRow<'r, SqliteRow> + Send + Unpin,
    {
        Ok(on_each!(self, which, length, sqlx::query_as, values, |connection, query| {
            answered(query.fetch_all(connection)).await?
        }))
    }
}

/// A list as long as a text of a statement: a power of two, the last element repeated. Never of nothing.
pub(super) fn padded<T: Copy>(list: &[T]) -> impl ExactSizeIterator<Item = T> + '_ {
    let last = list.len().saturating_sub(1);
    (0..list.len().next_power_of_two()).map(move |index| list[index.min(last)])
}

/// Rows that cannot be repeated, in parts as long as a text of a statement, the longest first.
pub(super) fn parts<T>(mut rows: &[T]) -> Vec<&[T]> {
    let mut parts = Vec::new();
    while let Some(exponent) = rows.len().min(LIST_MAX).checked_ilog2() {
        let (part, rest) = rows.split_at(1 << exponent);
        parts.push(part);
        rows = rest;
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_padded_with_its_last_element() {
        assert_eq!(padded(&[7]).collect::<Vec<_>>(), [7]);
        assert_eq!(padded(&[7, 8, 9]).collect::<Vec<_>>(), [7, 8, 9, 9]);
        assert_eq!(padded(&[1; 300]).len(), 512);
    }

    #[test]
    fn rows_are_parted_without_loss_into_powers_of_two() {
        let rows: Vec<usize> = (0..1337).collect();
        let lengths: Vec<_> = parts(&rows).into_iter().map(<[_]>::len).collect();
        assert_eq!(lengths, [512, 512, 256, 32, 16, 8, 1]);
        assert_eq!(parts(&rows).concat(), rows);
        assert_eq!(parts::<u8>(&[]).len(), 0);
    }
}
