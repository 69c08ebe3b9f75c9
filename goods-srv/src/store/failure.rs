//! What it means that a statement did not do what it should.

use sqlx::mysql::MySqlDatabaseError;
use sqlx::sqlite::SqliteError;

/// What became of a statement. Whatever it was, roll the transaction back: some of these undo only the statement.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another writer was in the way; the same again may succeed.
    #[error("another writer was in the way")]
    Conflict(#[source] sqlx::Error),
    /// A key exists that must be unique.
    #[error("the key exists")]
    Duplicate(#[source] sqlx::Error),
    /// The database cannot be reached or refuses to work. Nothing was committed.
    #[error("the database is away")]
    Away(#[source] sqlx::Error),
    /// The connection was lost during COMMIT.
    #[error("the reply to COMMIT was lost")]
    OutcomeUnknown(#[source] sqlx::Error),
    /// Something that must not happen: a fault of ours or of the schema.
    #[error("the database refused a statement")]
    Broken(#[source] sqlx::Error),
}

impl StoreError {
    /// The error of a COMMIT: without an answer it is open whether it happened.
    pub(super) fn of_commit(error: sqlx::Error) -> Self {
        match Self::from(error) {
            Self::Away(lost) => Self::OutcomeUnknown(lost),
            definite => definite,
        }
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        let situation = match &error {
            sqlx::Error::Database(refused) => {
                if let Some(refused) = refused.try_downcast_ref() {
                    of_mysql(refused)
                } else if let Some(refused) = refused.try_downcast_ref() {
                    of_sqlite(refused)
                } else {
                    Self::Broken
                }
            }
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::Protocol(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed
            | sqlx::Error::BeginFailed => Self::Away,
            _ => Self::Broken,
        };
        situation(error)
    }
}

fn of_mysql(error: &MySqlDatabaseError) -> fn(sqlx::Error) -> StoreError {
    match error.number() {
        // Duplicate key.
        1062 => StoreError::Duplicate,
        // Lock wait timeout; deadlock; record changed since the snapshot; TiDB's write conflict and retryable errors.
        1205 | 1213 | 1020 | 9007 | 8022 | 8028 => StoreError::Conflict,
        // Too many connections; access denied (credentials are being changed); disk or table full; shutdown; network;
        // read-only; statement timeout; connection killed; TiDB's regions that cannot be reached.
        1040 | 1203 | 1226 | 1044 | 1045 | 1698 | 1021 | 1114 => StoreError::Away,
        1053 | 1077 | 1079 | 1158..=1161 | 1290 | 1792 | 1836 => StoreError::Away,
        1317 | 1927 | 1969 | 3024 | 3169 | 9001 | 9002 | 9005 => StoreError::Away,
        _ => StoreError::Broken,
    }
}

fn of_sqlite(error: &SqliteError) -> fn(sqlx::Error) -> StoreError {
    use sqlx::error::DatabaseError;
    if error.is_unique_violation() {
        return StoreError::Duplicate;
    }
    // The primary result code is the low byte of the extended one.
    match error.code().and_then(|code| code.parse::<i32>().ok()).map(|code| code & 0xff) {
        // Busy; locked.
        Some(5 | 6) => StoreError::Conflict,
        // Read-only; input or output failed; disk full; cannot open.
        Some(8 | 10 | 13 | 14) => StoreError::Away,
        _ => StoreError::Broken,
    }
}
