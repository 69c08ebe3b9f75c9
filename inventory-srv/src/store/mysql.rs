//! The statements as MySQL 8, MariaDB and TiDB understand them, and what their errors mean.

use super::Situation;
use super::statements::Statements;
use super::texts::{Dialect, statements};
use sqlx::mysql::MySqlDatabaseError;
use std::sync::LazyLock;

pub(super) static STATEMENTS: LazyLock<Statements> = LazyLock::new(|| {
    statements(&Dialect {
        // Sessions run in UTC, so no hour comes twice. Inside an UPDATE it is the moment at which the statement began
        // to wait; where the time matters it is read by a statement after the locks are held.
        clock: "CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED)",
        greatest: "GREATEST",
        for_update: " FOR UPDATE",
        by: |index| format!(" FORCE INDEX ({index})"),
        // Only this form of DELETE takes an index.
        delete: |table, index| format!("DELETE {table} FROM {table} FORCE INDEX ({index})"),
        // MariaDB finds no range in a comparison of rows.
        older: |time, key| format!("({time} < ? OR ({time} = ? AND {key} < ?))"),
        behind: |columns| {
            let ways = columns.iter().enumerate().map(|(at, column)| {
                let same: String =
                    columns[..at].iter().map(|same| format!("{same} = ? AND ")).collect();
                format!("({same}{column} > ?)")
            });
            format!("({})", ways.collect::<Vec<_>>().join(" OR "))
        },
    })
});

/// Begins a transaction that sees what is committed now. The isolation holds for this transaction; TiDB reads anew with
/// every statement otherwise. It does not say READ ONLY, which TiDB refuses.
pub(super) const SNAPSHOT: &str = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; \
    START TRANSACTION WITH CONSISTENT SNAPSHOT";

/// What a server's error number means for the one who ran into it. Whatever it means, the transaction is rolled back:
/// 1205 and 1062 undo no more than the statement.
pub(super) fn situation(error: &MySqlDatabaseError) -> Situation {
    match error.number() {
        // Duplicate key.
        1062 => Situation::Duplicate,
        // Lock wait timeout; deadlock; record changed since the snapshot. TiDB: write conflict, which in pessimistic
        // mode is rare; to be tried again; a schema that changed; a lock that was not resolved, or outlived its owner.
        1205 | 1213 | 1020 | 9007 | 8002 | 8005 | 8022 | 8028 | 9004 | 8229 => Situation::Conflict,
        // TiDB's word for a row that others were first at, more often than its server tries again by itself; the number
        // is that of errors without one.
        1105 if error.message().contains("pessimistic lock retry limit") => Situation::Conflict,
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
