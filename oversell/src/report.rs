//! What became of every stock, and whether every method did what is claimed of it.

use crate::{
    Rules,
    method::{Claim, Trial},
    race::Outcome,
};
use anyhow::{Context, Result};
use serde::Serialize;
use std::{fs, path::Path, thread::available_parallelism};

/// All rows and the verdict.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// How many clients there were.
    pub clients: u32,
    /// How many pieces there were.
    pub stock: u32,
    /// How many processors clients, service and servers shared; orders per second mean nothing without it.
    pub processors: usize,
    /// A row for each trial, in their order.
    pub rows: Vec<Row>,
    /// Whether every method did what is claimed of it.
    pub holds: bool,
}

/// What one method did.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    /// The method's name.
    pub method: String,
    /// Whether it is claimed to sell exactly what there is; otherwise, to oversell.
    pub exact: bool,
    /// Orders whose clients were told that they have their piece.
    pub acknowledged: u64,
    /// By how many pieces the stock went down.
    pub deducted: i64,
    /// How many clients have a piece that is not there.
    pub oversold: u64,
    /// Acknowledged orders per second, to the last of them.
    pub orders_per_second: f64,
    /// How long 99 of 100 acknowledged orders took at most.
    pub p99_milliseconds: f64,
    /// Orders that were sent.
    pub tries: u64,
    /// Orders that ended in neither sold nor sold out.
    pub failed: u64,
    /// Whether it did what is claimed of it.
    pub holds: bool,
    /// That in a sentence, with the reason.
    pub finding: String,
}

impl Row {
    pub(crate) fn new(trial: Trial, rules: Rules, outcome: &Outcome) -> Self {
        let told = &outcome.told;
        let stock = u64::from(rules.stock);
        let deducted = i64::from(rules.stock) - outcome.left;
        let exact = trial.claim == Claim::SellsExactly;
        let holds = match trial.claim {
            Claim::Oversells => told.acknowledged > stock,
            Claim::SellsExactly => told.acknowledged == stock && deducted == i64::from(rules.stock),
        };
        let mut row = Self {
            method: trial.method.name(),
            exact,
            acknowledged: told.acknowledged,
            deducted,
            oversold: told.acknowledged.saturating_sub(stock),
            orders_per_second: told.orders_per_second(),
            p99_milliseconds: told.p99.as_secs_f64() * 1e3,
            tries: told.tries,
            failed: told.failed,
            holds,
            finding: String::new(),
        };
        row.finding = row.sentence(trial, rules.stock);
        if let Some(why) = &told.first_failure {
            row.finding +=
                &format!(" {} of {} orders failed; the first: {why}.", told.failed, told.tries);
        }
        row
    }

    fn sentence(&self, trial: Trial, stock: u32) -> String {
        let Self { method, acknowledged, deducted, .. } = self;
        let fault = trial.method.fault().unwrap_or("nothing is wrong with it");
        match (trial.claim, self.holds) {
            (Claim::Oversells, true) => format!(
                "{method}: {acknowledged} orders were told that they have one of {stock} pieces, and the stock went \
                 down by {deducted}: {fault}."
            ),
            (Claim::Oversells, false) => format!(
                "{method}: it was to oversell and did not: {acknowledged} orders acknowledged of a stock of {stock}."
            ),
            (Claim::SellsExactly, true) => {
                format!("{method}: {acknowledged} sold of {stock}, and the database agrees.")
            }
            (Claim::SellsExactly, false) => format!(
                "{method}: it was to sell exactly {stock} and did not: {acknowledged} orders acknowledged, {deducted} \
                 pieces deducted."
            ),
        }
    }
}

impl Report {
    pub(crate) fn new(rules: Rules, rows: Vec<Row>) -> Self {
        Self {
            clients: rules.clients,
            stock: rules.stock,
            processors: available_parallelism().map_or(0, usize::from),
            holds: !rows.is_empty() && rows.iter().all(|row| row.holds),
            rows,
        }
    }

    /// A sentence for each row, and the verdict.
    pub fn words(&self) -> String {
        let findings: String = self.rows.iter().map(|row| format!("- {}\n", row.finding)).collect();
        let wrong = self.rows.iter().filter(|row| !row.holds).count();
        let verdict = match wrong {
            0 => "Every naive method oversold, and each of ours sold exactly what was there.",
            _ => "Not every method did what is claimed of it.",
        };
        format!("{findings}\n{verdict}")
    }

    /// Writes it as JSON.
    pub fn write(&self, file: &Path) -> Result<()> {
        let json = serde_json::to_string_pretty(self)?;
        fs::write(file, json + "\n")
            .with_context(|| format!("{} cannot be written", file.display()))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::{method::Method, tally::Standing};
    use srv_config::LockStrategy;
    use std::time::Duration;

    const RULES: Rules = Rules { clients: 64, stock: 200 };

    pub(crate) fn row(method: Method, claim: Claim, acknowledged: u64, left: i64) -> Row {
        let told = Standing {
            acknowledged,
            tries: acknowledged,
            lasted: Duration::from_secs(2),
            p99: Duration::from_millis(30),
            ..Standing::default()
        };
        Row::new(Trial { method, claim }, RULES, &Outcome { told, left })
    }

    const OURS: Method = Method::Ours(LockStrategy::Conditional);

    #[test]
    fn oversold_is_what_was_acknowledged_beyond_the_stock() {
        let row = row(Method::NoLock, Claim::Oversells, 5_000, 160);
        assert_eq!((row.deducted, row.oversold, row.holds), (40, 4_800, true));
        assert_eq!((row.orders_per_second, row.p99_milliseconds), (2_500.0, 30.0));
        let row = self::row(Method::NoLock, Claim::Oversells, 180, 20);
        assert_eq!((row.deducted, row.oversold, row.holds), (180, 0, false));
    }

    #[test]
    fn one_piece_too_many_or_too_few_is_not_exact() {
        let holds = |acknowledged, left| row(OURS, Claim::SellsExactly, acknowledged, left).holds;
        assert!(holds(200, 0));
        for (acknowledged, left) in [(201, 0), (199, 0), (199, 1), (200, 1), (200, -1), (201, -1)] {
            assert!(!holds(acknowledged, left), "{acknowledged} acknowledged, {left} left");
        }
    }

    #[test]
    fn one_row_that_does_not_hold_fails_the_report() {
        let good = || row(OURS, Claim::SellsExactly, 200, 0);
        assert!(Report::new(RULES, vec![good(), good()]).holds);
        let bad = row(Method::NoLock, Claim::Oversells, 200, 0);
        let report = Report::new(RULES, vec![good(), bad]);
        assert!(!report.holds);
        assert!(report.words().contains("was to oversell and did not"), "{}", report.words());
        assert!(!Report::new(RULES, Vec::new()).holds, "nothing was tried");
    }
}
