//! The statements as MySQL 8, MariaDB and TiDB understand them.

use super::statements::Statements;
use super::texts::{Dialect, statements};
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
