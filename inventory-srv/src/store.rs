//! The database: transactions, the few statements that run in them, and what their failures mean. SQL is named here and
//! below, and nowhere else.

mod account;
mod beginning;
mod expiry;
mod kept;
mod list;
mod moves;
mod mysql;
mod purge;
mod read;
mod rows;
mod schema;
mod script;
mod session;
mod sqlite;
mod statements;
mod tables;
mod texts;
mod write;
mod writes;

pub use account::{SUMMED_MAX, Summed};
pub use beginning::Beginning;
pub use kept::KeptConnection;
pub use list::{PAGE_MAX, SCANNED_MAX};
pub use purge::{DELETED_MAX, OPENED_MAX, Opening};
pub use read::Records;
pub use schema::{migrate, missing_versions};
pub use session::Session;
pub use tables::{Fingerprint, ROWS_MAX, StoredRow, TABLES, Table};
pub(crate) use writes::Writes;

use crate::decide::Changes;
use sqlx::pool::PoolConnection;
use sqlx::{Executor, MySql, MySqlConnection, Sqlite};
use srv_runtime::{Database, DatabaseKind, Situation, WriteTransaction, answered};

/// The database behind the service. Clones share its pools.
#[derive(Clone, Debug)]
pub struct Store {
    database: Database,
    writes: Writes,
}

impl Store {
    /// A store on this database, whose schema is up to date.
    pub fn new(database: Database) -> Self {
        Self { database, writes: Writes::default() }
    }

    /// Which kind of database it is.
    pub fn kind(&self) -> DatabaseKind {
        self.database.kind()
    }

    /// What is committed through this store, for those who keep stocks that they read.
    pub(crate) fn writes(&self) -> &Writes {
        &self.writes
    }

    /// Begins a transaction that may write. Only inside [`srv_runtime::detached`].
    pub async fn begin(&self) -> Result<Transaction<'static>, StoreError> {
        let begun = Begun::Whole(self.database.begin_write().await?);
        Ok(Transaction { begun, writes: self.writes.clone() })
    }

    /// A connection for reading what is committed at this moment, whatever is written meanwhile.
    pub async fn snapshot(&self) -> Result<Snapshot, StoreError> {
        Ok(Snapshot(match &self.database {
            Database::MySql(pool) => {
                WriteTransaction::MySql(Box::pin(pool.begin_with(mysql::SNAPSHOT)).await?)
            }
            // It is taken at the first read.
            Database::Sqlite(pools) => WriteTransaction::Sqlite(pools.read.begin().await?),
        }))
    }

    /// A connection for reading what is committed, statement by statement. The wait for it is boxed, like all waits for
    /// the pool: it may have to make a connection, and that takes 18 KB which every caller would carry.
    pub async fn read(&self) -> Result<Reader, StoreError> {
        Ok(match &self.database {
            Database::MySql(pool) => Reader::MySql(Box::pin(pool.acquire()).await?),
            Database::Sqlite(pools) => Reader::Sqlite(pools.read.acquire().await?),
        })
    }
}

/// A transaction that may write. Dropped without [`Transaction::commit`] it is rolled back; on a kept connection when
/// that is given back.
#[derive(Debug)]
pub struct Transaction<'c> {
    begun: Begun<'c>,
    writes: Writes,
}

#[derive(Debug)]
enum Begun<'c> {
    Whole(WriteTransaction<'c>),
    Kept(&'c mut MySqlConnection),
}

impl<'c> Transaction<'c> {
    /// One that was begun by a statement on this connection, whose keeper gives it back after an error.
    fn on_kept(connection: &'c mut MySqlConnection, writes: Writes) -> Self {
        Self { begun: Begun::Kept(connection), writes }
    }
}

impl Transaction<'_> {
    /// The statements, in this transaction.
    pub fn on(&mut self) -> Session<'_> {
        match &mut self.begun {
            Begun::Whole(transaction) => session(transaction),
            Begun::Kept(connection) => Session::MySql(connection),
        }
    }

    /// Commits these changes, which were written; they are durable when this returns, and whoever keeps a stock that
    /// they change knows that it is old.
    pub async fn commit(self, changes: &Changes) -> Result<(), StoreError> {
        self.writes.count_up(changes);
        let committed = match self.begun {
            Begun::Whole(transaction) => transaction.commit().await,
            Begun::Kept(connection) => answered(connection.execute("COMMIT")).await.map(drop),
        };
        // Without an answer, too, it may have been done.
        self.writes.tell(changes);
        committed.map_err(|error| match StoreError::from(error) {
            StoreError::Away(lost) => StoreError::OutcomeUnknown(lost),
            definite => definite,
        })
    }

    /// Rolls back. A failure is no failure of ours: the connection is lost, and the server rolls back.
    pub async fn rollback(self) {
        let rolled_back = match self.begun {
            Begun::Whole(transaction) => transaction.rollback().await,
            Begun::Kept(connection) => answered(connection.execute("ROLLBACK")).await.map(drop),
        };
        if let Err(error) = rolled_back {
            tracing::debug!(%error, "a rollback got no answer");
        }
    }
}

fn session<'s>(transaction: &'s mut WriteTransaction<'_>) -> Session<'s> {
    match transaction {
        WriteTransaction::MySql(transaction) => Session::MySql(transaction),
        WriteTransaction::Sqlite(transaction) => Session::Sqlite(transaction),
    }
}

/// A transaction that sees what was committed when it began, and only reads. Dropped, it is rolled back.
#[derive(Debug)]
pub struct Snapshot(WriteTransaction<'static>);

impl Snapshot {
    /// The statements, all as of the same moment.
    pub fn on(&mut self) -> Session<'_> {
        session(&mut self.0)
    }
}

/// A connection for reading what is committed.
#[derive(Debug)]
pub enum Reader {
    /// To MySQL.
    MySql(PoolConnection<MySql>),
    /// To SQLite.
    Sqlite(PoolConnection<Sqlite>),
}

impl Reader {
    /// The statements, each as of the moment at which it runs.
    pub fn on(&mut self) -> Session<'_> {
        match self {
            Self::MySql(connection) => Session::MySql(connection),
            Self::Sqlite(connection) => Session::Sqlite(connection),
        }
    }
}

/// What became of a statement that did not do what it should. Whatever it was, roll the transaction back: some of these
/// undo only the statement.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another writer was in the way; the same again may succeed.
    #[error("another writer was in the way")]
    Conflict(#[source] sqlx::Error),
    /// The key exists: someone else wrote it since we looked.
    #[error("the key exists")]
    Duplicate(#[source] sqlx::Error),
    /// What was read before the rows were held is no longer so; look again.
    #[error("the rows have changed since they were read")]
    Moved,
    /// No connection came free, or could be opened, in the time that a call may wait for one. Nothing was done.
    #[error(
        "no connection to the database could be had in time: all are busy, or no further one can be opened"
    )]
    Crowded(#[source] sqlx::Error),
    /// The database cannot be reached or refuses to work. Nothing was committed.
    #[error("the database is away")]
    Away(#[source] sqlx::Error),
    /// The connection was lost during COMMIT: only a look can tell whether it happened.
    #[error("the reply to COMMIT was lost")]
    OutcomeUnknown(#[source] sqlx::Error),
    /// Something that must not happen: a fault of ours or of the schema.
    #[error("the database refused a statement")]
    Broken(#[source] sqlx::Error),
    /// A row or a guard is not as every version of this service leaves it.
    #[error("{0}")]
    Corrupt(String),
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        match Situation::of(&error) {
            Situation::Conflict => Self::Conflict(error),
            Situation::Duplicate => Self::Duplicate(error),
            Situation::Crowded => Self::Crowded(error),
            Situation::Away => Self::Away(error),
            Situation::Broken => Self::Broken(error),
        }
    }
}

#[cfg(test)]
mod tests;
