//! The statements as SQLite understands them, and what its errors mean. There is one writer at a time, so rows are held
//! still by the transaction itself.

use super::Situation;
use super::statements::Statements;
use super::texts::{Dialect, statements};
use sqlx::error::DatabaseError;
use sqlx::sqlite::SqliteError;
use std::sync::LazyLock;

pub(super) static STATEMENTS: LazyLock<Statements> = LazyLock::new(|| {
    statements(&Dialect {
        clock: "CAST(unixepoch('subsec') * 1000 AS INTEGER)",
        greatest: "MAX",
        for_update: "",
        // Without statistics it takes the index that fits.
        by: |_| String::new(),
        delete: |table, _| format!("DELETE FROM {table}"),
        // The first comparison says nothing new; both dialects have the same parameters for it.
        older: |time, key| format!("({time} <= ? AND ({time}, {key}) < (?, ?))"),
        // Likewise all but the last.
        behind: |columns| {
            let rows = (1..=columns.len()).map(|count| {
                let comparison = if count == columns.len() { ">" } else { ">=" };
                let parameters = vec!["?"; count].join(", ");
                format!("({}) {comparison} ({parameters})", columns[..count].join(", "))
            });
            format!("({})", rows.collect::<Vec<_>>().join(" AND "))
        },
    })
});

/// What an error means for the one who ran into it.
pub(super) fn situation(error: &SqliteError) -> Situation {
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
