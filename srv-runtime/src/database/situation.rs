//! What an error of a database means for the one who ran into it: the numbers of MySQL, MariaDB, TiDB and SQLite, once
//! for all services.

use sqlx::error::DatabaseError;
use sqlx::mysql::MySqlDatabaseError;
use sqlx::sqlite::SqliteError;

/// What became of a statement. Whatever it was, roll the transaction back: some of these undo only the statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Situation {
    /// Another writer was in the way; the same again may succeed.
    Conflict,
    /// A key exists that must be unique.
    Duplicate,
    /// No connection came free in the time that a call may wait for one. Nothing was done.
    Crowded,
    /// The database cannot be reached or refuses to work. Nothing was done, unless it was a COMMIT: then it is open.
    Away,
    /// Something that must not happen: a fault of ours or of the schema.
    Broken,
}

impl Situation {
    /// The situation behind this error.
    pub fn of(error: &sqlx::Error) -> Self {
        match error {
            sqlx::Error::Database(refused) => {
                if let Some(refused) = refused.try_downcast_ref() {
                    of_mysql(refused)
                } else if let Some(refused) = refused.try_downcast_ref() {
                    of_sqlite(refused)
                } else {
                    Self::Broken
                }
            }
            sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed => Self::Crowded,
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::Protocol(_)
            | sqlx::Error::WorkerCrashed
            | sqlx::Error::BeginFailed => Self::Away,
            _ => Self::Broken,
        }
    }
}

/// 1205 and 1062 undo no more than the statement.
fn of_mysql(error: &MySqlDatabaseError) -> Situation {
    match error.number() {
        // Duplicate key.
        1062 => Situation::Duplicate,
        // Lock wait timeout; deadlock; record changed since the snapshot. TiDB: write conflict, which in pessimistic
        // mode is rare; to be tried again; a schema that changed; a lock that was not resolved, or outlived its owner.
        1205 | 1213 | 1020 | 9007 | 8002 | 8005 | 8022 | 8028 | 9004 | 8229 => Situation::Conflict,
        // TiDB's words for a row that others were first at more often than its server tries again by itself, and
        // for one that others held for too long, where its store noticed; the number is that of errors without one.
        1105 if of_a_held_row(error.message()) => Situation::Conflict,
        // Too many connections; access denied (credentials are being changed); disk or table full; network; shutdown;
        // read-only; statement timeout; connection killed. TiDB: PD or TiKV away, busy, or throttling; a schema that it
        // could not read again in time. After a COMMIT with an unknown outcome it closes the connection instead.
        1040
        | 1044
        | 1045
        | 1203
        | 1226
        | 1698
        | 1021
        | 1114
        | 1053
        | 1077
        | 1079
        | 1158..=1161
        | 1290
        | 1317
        | 1461
        | 1792
        | 1836
        | 1927
        | 1969
        | 3024
        | 3169
        | 8027
        | 8252
        | 9001..=9003
        | 9005 => Situation::Away,
        _ => Situation::Broken,
    }
}

fn of_a_held_row(message: &str) -> bool {
    ["pessimistic lock retry limit", "lock wait timeout"]
        .iter()
        .any(|words| message.contains(words))
}

fn of_sqlite(error: &SqliteError) -> Situation {
    if error.is_unique_violation() {
        return Situation::Duplicate;
    }
    // The primary result code is the low byte of the extended one.
    match error.code().and_then(|code| code.parse::<i32>().ok()).map(|code| code & 0xff) {
        // Busy; locked.
        Some(5 | 6) => Situation::Conflict,
        // Read-only; input or output failed; disk full; cannot open.
        Some(8 | 10 | 13 | 14) => Situation::Away,
        _ => Situation::Broken,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tidb_says_in_words_that_a_row_was_held() {
        for words in ["pessimistic lock retry limit reached", "lock wait timeout"] {
            assert!(of_a_held_row(words), "{words}");
        }
        assert!(
            !of_a_held_row("index out of range"),
            "any other error without a number is a fault"
        );
    }
}
