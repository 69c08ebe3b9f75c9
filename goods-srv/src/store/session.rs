//! Connections of either kind, and how statements run on them.

use super::failure::StoreError;
use super::statement::{Statement, Value, table};
use crate::error::Error;
use crate::noun::{Etag, Id, Noun};
use sqlx::error::BoxDynError;
use sqlx::mysql::{MySqlArguments, MySqlConnection, MySqlRow};
use sqlx::pool::PoolConnection;
use sqlx::sqlite::{SqliteArguments, SqliteConnection, SqliteRow};
use sqlx::{Arguments, AssertSqlSafe, Encode, FromRow, MySql, Sqlite, Type};
use srv_runtime::{Database, WriteTransaction, answered};
use std::collections::HashSet;
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// A row that both databases can give.
pub(super) trait Record:
    for<'r> FromRow<'r, MySqlRow> + for<'r> FromRow<'r, SqliteRow> + Send + Unpin
{
}
impl<T> Record for T where
    T: for<'r> FromRow<'r, MySqlRow> + for<'r> FromRow<'r, SqliteRow> + Send + Unpin
{
}

/// A transaction that may write. Dropped without [`Transaction::commit`] it is rolled back.
pub(super) struct Transaction {
    of: WriteTransaction<'static>,
    statements: Arc<AtomicU64>,
}

impl Transaction {
    pub(super) async fn begin(
        database: &Database,
        statements: &Arc<AtomicU64>,
    ) -> Result<Self, StoreError> {
        Ok(Self { of: database.begin_write().await?, statements: Arc::clone(statements) })
    }

    pub(super) fn session(&mut self) -> Session<'_> {
        let connection = match &mut self.of {
            WriteTransaction::MySql(transaction) => Connection::MySql(transaction),
            WriteTransaction::Sqlite(transaction) => Connection::Sqlite(transaction),
        };
        Session { connection, statements: &self.statements }
    }

    pub(super) async fn commit(self) -> Result<(), StoreError> {
        self.of.commit().await.map_err(StoreError::of_commit)
    }

    /// A failure is no failure of ours: the connection is lost, and the server rolls back.
    pub(super) async fn rollback(self) {
        if let Err(error) = self.of.rollback().await {
            tracing::debug!(%error, "a rollback got no answer");
        }
    }
}

/// A connection for reading what is committed.
pub(super) struct Reader {
    of: Pooled,
    statements: Arc<AtomicU64>,
}

enum Pooled {
    MySql(PoolConnection<MySql>),
    Sqlite(PoolConnection<Sqlite>),
}

impl Reader {
    pub(super) async fn open(
        database: &Database,
        statements: &Arc<AtomicU64>,
    ) -> Result<Self, StoreError> {
        let of = match database {
            // Boxed, because it may have to make a connection, and that takes 18 KB which every caller would carry.
            Database::MySql(pool) => Pooled::MySql(Box::pin(pool.acquire()).await?),
            Database::Sqlite(pools) => Pooled::Sqlite(pools.read.acquire().await?),
        };
        Ok(Self { of, statements: Arc::clone(statements) })
    }

    pub(super) fn session(&mut self) -> Session<'_> {
        let connection = match &mut self.of {
            Pooled::MySql(connection) => Connection::MySql(connection),
            Pooled::Sqlite(connection) => Connection::Sqlite(connection),
        };
        Session { connection, statements: &self.statements }
    }
}

/// A connection on which statements run.
pub struct Session<'a> {
    connection: Connection<'a>,
    statements: &'a AtomicU64,
}

enum Connection<'a> {
    MySql(&'a mut MySqlConnection),
    Sqlite(&'a mut SqliteConnection),
}

impl Session<'_> {
    /// All rows of a statement.
    pub(super) async fn all<T: Record>(
        &mut self,
        statement: Statement,
    ) -> Result<Vec<T>, StoreError> {
        self.statements.fetch_add(1, Ordering::Relaxed);
        let Statement { text, values, is_kept } = statement;
        // Statement takes no caller's value into its text.
        let text = AssertSqlSafe(text);
        Ok(match &mut self.connection {
            Connection::MySql(connection) => {
                let query = sqlx::query_as_with(text, mysql(values)).persistent(is_kept);
                answered(query.fetch_all(&mut **connection)).await?
            }
            Connection::Sqlite(connection) => {
                let query = sqlx::query_as_with(text, sqlite(values)).persistent(is_kept);
                answered(query.fetch_all(&mut **connection)).await?
            }
        })
    }

    /// The row of a statement that has one at most.
    pub(super) async fn one<T: Record>(
        &mut self,
        statement: Statement,
    ) -> Result<Option<T>, StoreError> {
        Ok(self.all(statement).await?.pop())
    }

    /// The number that a statement answers.
    pub(super) async fn number(&mut self, statement: Statement) -> Result<Option<i64>, StoreError> {
        Ok(self.one::<(i64,)>(statement).await?.map(|(number,)| number))
    }

    /// Runs a statement that writes, and answers the id that an insert gave.
    pub(super) async fn run(&mut self, statement: Statement) -> Result<i64, StoreError> {
        self.statements.fetch_add(1, Ordering::Relaxed);
        let Statement { text, values, is_kept } = statement;
        // Statement takes no caller's value into its text.
        let text = AssertSqlSafe(text);
        Ok(match &mut self.connection {
            Connection::MySql(connection) => {
                let query = sqlx::query_with(text, mysql(values)).persistent(is_kept);
                let done = answered(query.execute(&mut **connection)).await?;
                i64::try_from(done.last_insert_id()).unwrap_or(i64::MAX)
            }
            Connection::Sqlite(connection) => {
                let query = sqlx::query_with(text, sqlite(values)).persistent(is_kept);
                let done = answered(query.execute(&mut **connection)).await?;
                done.last_insert_rowid()
            }
        })
    }

    /// Holds one entry until the transaction ends; its version, if it is there.
    pub(super) async fn hold(&mut self, noun: Noun, id: Id) -> Result<Option<i64>, StoreError> {
        let statement = hold(noun, self.row_lock(), id);
        self.number(statement).await
    }

    /// Holds one entry until the transaction ends, if it is there and of the version that the caller has seen.
    pub(super) async fn hold_version(
        &mut self,
        noun: Noun,
        id: Id,
        etag: Etag,
    ) -> Result<(), Error> {
        match self.hold(noun, id).await? {
            None => Err(Error::NotFound { noun, ids: vec![id] }),
            Some(version) if etag.allows(version) => Ok(()),
            Some(version) => Err(Error::EtagMismatch { noun, id, version }),
        }
    }

    /// Which of these are not there, in their order.
    pub(super) async fn missing(&mut self, noun: Noun, ids: &[Id]) -> Result<Vec<Id>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let there: Vec<(i64,)> = self.all(there(noun, ids)).await?;
        let there: HashSet<_> = there.into_iter().map(|(id,)| id).collect();
        Ok(ids.iter().copied().filter(|id| !there.contains(&id.get())).collect())
    }

    /// What makes a SELECT hold its rows. A write transaction of SQLite holds the whole file already.
    pub(super) fn row_lock(&self) -> &'static str {
        match self.connection {
            Connection::MySql(_) => " FOR UPDATE",
            Connection::Sqlite(_) => "",
        }
    }
}

pub(super) fn hold(noun: Noun, row_lock: &str, id: Id) -> Statement {
    let text = format!(
        "SELECT version FROM {} WHERE id = ? AND delete_time IS NULL{row_lock}",
        table(noun)
    );
    Statement::new(text).bind(id)
}

pub(super) fn there(noun: Noun, ids: &[Id]) -> Statement {
    let text = format!("SELECT id FROM {} WHERE delete_time IS NULL AND id IN ", table(noun));
    Statement::new(text).any_of(ids)
}

fn mysql(values: Vec<Value>) -> MySqlArguments {
    arguments(values).expect("numbers, texts and bytes can be encoded")
}

fn sqlite(values: Vec<Value>) -> SqliteArguments {
    arguments(values).expect("numbers, texts and bytes can be encoded")
}

fn arguments<A>(values: Vec<Value>) -> Result<A, BoxDynError>
where
    A: Arguments,
    for<'t> i64: Encode<'t, A::Database> + Type<A::Database>,
    for<'t> Option<i64>: Encode<'t, A::Database> + Type<A::Database>,
    for<'t> String: Encode<'t, A::Database> + Type<A::Database>,
    for<'t> Vec<u8>: Encode<'t, A::Database> + Type<A::Database>,
{
    let mut arguments = A::default();
    for value in values {
        match value {
            Value::Null => arguments.add(None::<i64>)?,
            Value::Number(number) => arguments.add(number)?,
            Value::Text(text) => arguments.add(text)?,
            Value::Bytes(bytes) => arguments.add(bytes)?,
        }
    }
    Ok(arguments)
}
