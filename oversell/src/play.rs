//! One method after the other, so that none disturbs another.

use crate::{
    Rules, Servers,
    method::Trial,
    race,
    report::{Report, Row},
    tally::Tally,
    view::View,
};
use anyhow::{Context, Result};
use std::sync::Arc;

/// Lets the clients at the method of each trial, shows it as it goes on, and reports whether all did as claimed.
pub async fn play(
    trials: &[Trial],
    rules: Rules,
    servers: &Servers,
    mut view: View,
) -> Result<Report> {
    view.begin(trials, rules);
    let mut rows = Vec::new();
    for (place, trial) in trials.iter().enumerate() {
        let tally = Arc::new(Tally::default());
        let race = race::run(trial.method, rules, servers, Arc::clone(&tally));
        let outcome = view.watch(place, &tally, race).await;
        let outcome = outcome.with_context(|| trial.method.name())?;
        let row = Row::new(*trial, rules, &outcome);
        view.end(place, &row);
        rows.push(row);
    }
    Ok(Report::new(rules, rows))
}
