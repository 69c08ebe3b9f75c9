//! The embedded database: one file, one writer, durable at COMMIT.

use super::{DatabaseError, Situation};
use sqlx::{
    Connection, Sqlite, SqlitePool, Transaction,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use std::{fs::OpenOptions, io, os::unix::fs::OpenOptionsExt, path::Path, time::Duration};
use tokio::time::{Instant, sleep};

/// How long a statement waits for another process that writes (a backup, a shell).
const BUSY_TIMEOUT: Duration = Duration::from_secs(3);

/// The pause between two tries to make a file a WAL one while others do the same.
const BUSY_PAUSE: Duration = Duration::from_millis(10);

/// How long a call waits for the one writing connection, or a reading one: below the default deadline of a call.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(4);

/// Stock and orders are nobody's business but the service's.
const FILE_MODE: u32 = 0o600;

/// The pools of a SQLite file.
#[derive(Clone, Debug)]
pub struct SqlitePools {
    /// Exactly one connection, because SQLite has one writer. Begin with [`SqlitePools::begin_write`].
    pub write: SqlitePool,
    /// Connections that refuse to write.
    pub read: SqlitePool,
}

impl SqlitePools {
    /// Begins a write transaction (`BEGIN IMMEDIATE`: one that upgrades from reading to writing fails with
    /// `SQLITE_BUSY` when another process wrote meanwhile).
    pub async fn begin_write(&self) -> Result<Transaction<'static, Sqlite>, sqlx::Error> {
        self.write.begin_with("BEGIN IMMEDIATE").await
    }
}

/// Opens the file, creating it if it is missing, with one connection for writing and `readers` for reading.
pub(super) async fn open(
    options: SqliteConnectOptions,
    readers: u32,
) -> Result<SqlitePools, DatabaseError> {
    let file = options.get_filename().to_owned();
    let failed = |source| DatabaseError::File { file: file.clone(), source };
    create(&file).map_err(|error| failed(error.into()))?;
    let options =
        options.synchronous(SqliteSynchronous::Full).busy_timeout(BUSY_TIMEOUT).foreign_keys(true);
    // Pools keep their connections: opening one costs more than most statements.
    let pool = |connections: u32| {
        SqlitePoolOptions::new()
            .max_connections(connections)
            .min_connections(1)
            .idle_timeout(None)
            .max_lifetime(None)
            .test_before_acquire(false)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            // A full disk ends a transaction by itself. sqlx then fails to roll back what is rolled back already, and
            // takes the connection for one in a transaction for ever: no other could begin on it.
            .after_release(|connection, _| {
                Box::pin(async move {
                    if connection.is_in_transaction() {
                        // A rollback may be on its way still, and is done when this one has its turn.
                        connection.ping().await?;
                    }
                    Ok(!connection.is_in_transaction())
                })
            })
    };
    // The first connection makes the file a WAL one; that stays with the file.
    let writer = options.clone().journal_mode(SqliteJournalMode::Wal);
    let until = Instant::now() + BUSY_TIMEOUT;
    let write = loop {
        match pool(1).connect_with(writer.clone()).await {
            // Who meets another that makes it one is told so at once, whatever the timeout is.
            Err(error) if is_in_the_way(&error) && Instant::now() < until => {
                sleep(BUSY_PAUSE).await;
            }
            opened => break opened.map_err(failed)?,
        }
    };
    let reader = options.pragma("query_only", "ON");
    let read = pool(readers).connect_with(reader).await.map_err(failed)?;
    Ok(SqlitePools { write, read })
}

fn is_in_the_way(error: &sqlx::Error) -> bool {
    matches!(Situation::of(error), Situation::Conflict)
}

/// Only a file that is missing gets the mode; SQLite gives it on to its companions.
fn create(file: &Path) -> io::Result<()> {
    match OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(file) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::future::join_all;

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn several_who_open_a_new_file_at_once_all_get_it() {
        for round in 0..100 {
            let folder = tempfile::tempdir().unwrap();
            let file = folder.path().join("new.db");
            let opened = (0..5).map(|_| {
                let options = SqliteConnectOptions::new().filename(&file);
                tokio::spawn(open(options, 1))
            });
            for opened in join_all(opened).await {
                opened.unwrap().unwrap_or_else(|error| panic!("in round {round}: {error:?}"));
            }
        }
    }
}
