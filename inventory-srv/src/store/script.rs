//! Statements that change rows and go to the database together.

use super::session::{Session, Value, Which, padded, parts};
use super::statements::{LIST_MAX, WRITTEN_ROWS_MAX};
use super::{StoreError, mysql};
use crate::order::OrderSn;

/// The longest text that MySQL gets in one piece, if no single statement is longer: a batch of a thousand orders fits,
/// and the 4 MiB that a server takes by default are far.
const TEXT_MAX: usize = 1024 * 1024;

/// Statements to be run one after the other. MySQL gets them as one text and answers once: a lane that waited for the
/// answer to each would spend more time waiting than the server works.
#[derive(Debug)]
pub(super) struct Script<'v> {
    is_written_out: bool,
    steps: Vec<Step<'v>>,
}

#[derive(Debug)]
struct Step<'v> {
    which: Which,
    length: usize,
    values: Vec<Value<'v>>,
    /// How many rows this and those before it must find that say nothing themselves.
    rows: Option<usize>,
}

impl<'v> Script<'v> {
    /// Nothing yet, to be run on this session.
    pub(super) fn on(session: &Session<'_>) -> Self {
        Self { is_written_out: matches!(session, Session::MySql(_)), steps: Vec::new() }
    }

    /// Adds a statement that must find so many rows. On SQLite its `length` is a power of two.
    pub(super) fn step(
        &mut self,
        which: Which,
        length: usize,
        values: Vec<Value<'v>>,
        rows: usize,
    ) {
        self.steps.push(Step { which, length, values, rows: Some(rows) });
    }

    /// Inserts rows, in parts.
    pub(super) fn insert<'r, R, V>(
        &mut self,
        which: Which,
        rows: &'r [R],
        columns: impl Fn(&'r R) -> V,
    ) where
        V: IntoIterator<Item = Value<'v>>,
    {
        let parts =
            if self.is_written_out { rows.chunks(WRITTEN_ROWS_MAX).collect() } else { parts(rows) };
        for part in parts {
            let values = part.iter().flat_map(&columns).collect();
            self.step(which, part.len(), values, part.len());
        }
    }

    /// Changes rows of these orders, in parts; so many must be found in all.
    pub(super) fn change(
        &mut self,
        which: Which,
        leading: &[Value<'v>],
        sns: &[&'v OrderSn],
        rows: usize,
    ) {
        for part in sns.chunks(LIST_MAX) {
            let list = padded(part);
            let length = list.len();
            let values = leading.iter().copied().chain(list.map(Value::from)).collect();
            self.steps.push(Step { which, length, values, rows: None });
        }
        if let Some(last) = self.steps.last_mut().filter(|_| !sns.is_empty()) {
            last.rows = Some(rows);
        }
    }
}

impl Session<'_> {
    /// Runs a script. [`StoreError::Moved`] if a statement does not find what it must; those behind it may have been
    /// run all the same. After any error the transaction must be rolled back.
    pub(super) async fn run(&mut self, script: Script<'_>) -> Result<(), StoreError> {
        let mut found = Vec::with_capacity(script.steps.len());
        let mut text = String::new();
        for Step { which, length, values, rows: _ } in &script.steps {
            if script.is_written_out {
                which(&mysql::STATEMENTS).write_out(*length, values, &mut text);
                if text.len() >= TEXT_MAX {
                    found.extend(self.execute_text(std::mem::take(&mut text)).await?);
                }
            } else {
                found.push(self.execute(*which, *length, values).await?);
            }
        }
        if !text.is_empty() {
            found.extend(self.execute_text(text).await?);
        }
        let wanted: Vec<_> = script.steps.iter().map(|step| step.rows).collect();
        check(&wanted, &found)
    }
}

/// Whether each statement found as many rows as it must; those that say nothing count towards the next that does. An
/// answer for every statement is needed: the guards against selling too much are such counts.
fn check(wanted: &[Option<usize>], found: &[u64]) -> Result<(), StoreError> {
    all_answered(wanted.len(), found.len())?;
    let mut sum = 0;
    for (wanted, found) in wanted.iter().zip(found) {
        sum += found;
        if let Some(rows) = wanted {
            expect(std::mem::take(&mut sum), *rows)?;
        }
    }
    Ok(())
}

/// Whether each statement of a text was answered.
pub(super) fn all_answered(sent: usize, answered: usize) -> Result<(), StoreError> {
    if sent == answered {
        return Ok(());
    }
    Err(StoreError::Corrupt(format!("{answered} of {sent} statements were answered")))
}

/// Whether a statement found as many rows as it must.
pub(super) fn expect(found: u64, rows: usize) -> Result<(), StoreError> {
    if found == rows as u64 { Ok(()) } else { Err(StoreError::Moved) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_statement_is_answered_and_found_what_it_must() {
        let wanted = [Some(1), None, Some(5), Some(0)];
        assert!(check(&wanted, &[1, 3, 2, 0]).is_ok());
        for wrong in [[0, 3, 2, 0], [1, 3, 1, 0], [1, 3, 2, 1], [2, 2, 2, 0]] {
            assert!(matches!(check(&wanted, &wrong), Err(StoreError::Moved)), "{wrong:?}");
        }
        for wrong in [&[][..], &[1, 3, 2], &[1, 3, 2, 0, 0]] {
            assert!(matches!(check(&wanted, wrong), Err(StoreError::Corrupt(_))), "{wrong:?}");
        }
    }
}
