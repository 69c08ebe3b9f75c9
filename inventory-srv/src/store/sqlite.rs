//! The statements as SQLite understands them. There is one writer at a time, so rows are held still by the transaction
//! itself.

use super::statements::Statements;
use super::texts::{Dialect, statements};
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
