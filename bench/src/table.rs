//! What a suite found: rows of a ratio and its floor.

use anyhow::{Context, Result};
use serde::Serialize;
use std::{fs, path::Path};

/// A suite's rows, and what a reader must know of the machine to believe them.
#[derive(Serialize)]
pub(crate) struct Table {
    pub(crate) suite: &'static str,
    pub(crate) machine: String,
    pub(crate) rows: Vec<Row>,
    /// Rows of the suite for which the product lacks something. They fail nothing and claim nothing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) not_measured: Vec<NotMeasured>,
    /// What the arms behind the rows did.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) arms: Vec<ArmFound>,
}

/// Ours against a baseline. A ratio is `floor`-checked: more is better.
#[derive(Serialize)]
pub(crate) struct Row {
    pub(crate) id: String,
    pub(crate) ours: f64,
    pub(crate) baseline: f64,
    pub(crate) ratio: f64,
    pub(crate) floor: f64,
    pub(crate) unit: &'static str,
    /// What is aimed at, where that is more than the floor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) goal: Option<f64>,
    /// The lowest and the highest ratio of a round, where there are rounds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) spread: Option<(f64, f64)>,
}

/// A row that is not measured, and why.
#[derive(Serialize)]
pub(crate) struct NotMeasured {
    pub(crate) id: String,
    pub(crate) why: String,
}

/// What an arm did, as medians over its rounds.
#[derive(Serialize)]
pub(crate) struct ArmFound {
    pub(crate) storage: String,
    pub(crate) name: String,
    pub(crate) orders_per_second: f64,
    pub(crate) answers_per_second: f64,
    pub(crate) p50_milliseconds: f64,
    pub(crate) p99_milliseconds: f64,
    pub(crate) service_cpu_seconds_per_1000: f64,
    pub(crate) database_cpu_seconds_per_1000: f64,
}

impl Row {
    /// A row in which less is better: the ratio says how many times the baseline is above ours.
    pub(crate) fn less_is_better(
        id: &str,
        ours: f64,
        baseline: f64,
        floor: f64,
        unit: &'static str,
    ) -> Self {
        let ratio = baseline / ours;
        Self { id: id.to_owned(), ours, baseline, ratio, floor, unit, goal: None, spread: None }
    }

    /// A row of several rounds: medians, the ratio being that of the rounds' ratios. At least one round.
    pub(crate) fn of_rounds(
        id: &str,
        ours: &[f64],
        baseline: &[f64],
        ratios: &[f64],
        (floor, goal): (f64, f64),
        unit: &'static str,
    ) -> Self {
        let lowest = ratios.iter().copied().fold(f64::INFINITY, f64::min);
        let highest = ratios.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        Self {
            id: id.to_owned(),
            ours: median(ours.to_vec()),
            baseline: median(baseline.to_vec()),
            ratio: median(ratios.to_vec()),
            floor,
            unit,
            goal: Some(goal),
            spread: Some((lowest, highest)),
        }
    }

    fn verdict(&self) -> &'static str {
        if self.ratio < self.floor {
            "  BELOW THE FLOOR"
        } else if self.goal.is_some_and(|goal| self.ratio < goal) {
            "  below the goal"
        } else {
            ""
        }
    }
}

impl Table {
    /// A table without rows yet.
    pub(crate) fn new(suite: &'static str, machine: String) -> Self {
        Self { suite, machine, rows: Vec::new(), not_measured: Vec::new(), arms: Vec::new() }
    }

    pub(crate) fn print(&self) {
        println!("\n{} on {}\n", self.suite, self.machine);
        println!(
            "{:<32} {:>10} {:>10} {:>7} {:>15} {:>6} {:>6}  unit",
            "id", "ours", "baseline", "ratio", "min-max", "floor", "goal"
        );
        for row in &self.rows {
            let spread = row.spread.map(|(low, high)| format!("{low:.2}-{high:.2}"));
            let goal = row.goal.map(|goal| format!("{goal:.2}"));
            println!(
                "{:<32} {:>10.2} {:>10.2} {:>7.2} {:>15} {:>6.2} {:>6}  {}{}",
                row.id,
                row.ours,
                row.baseline,
                row.ratio,
                spread.unwrap_or_default(),
                row.floor,
                goal.unwrap_or_default(),
                row.unit,
                row.verdict()
            );
        }
        for NotMeasured { id, why } in &self.not_measured {
            println!("{id:<32} not measured: {why}");
        }
    }

    pub(crate) fn write(&self, file: &Path) -> Result<()> {
        let json = serde_json::to_string_pretty(self)?;
        fs::write(file, json + "\n")
            .with_context(|| format!("{} cannot be written", file.display()))
    }

    pub(crate) fn is_above_every_floor(&self) -> bool {
        self.rows.iter().all(|row| row.ratio >= row.floor)
    }
}

/// The value below which `share` of the samples lie, which must not be empty.
pub(crate) fn percentile(samples: &mut [f64], share: f64) -> f64 {
    samples.sort_by(f64::total_cmp);
    let last = samples.len() - 1;
    samples[(last as f64 * share).round() as usize]
}

/// The middle of some values; of an even number the mean of the two in the middle. At least one.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let (low, high) = ((values.len() - 1) / 2, values.len() / 2);
    f64::midpoint(values[low], values[high])
}

/// Cores, processor and load, so that a figure is read beside the machine it comes from.
pub(crate) fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let processors = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model =
        processors.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or("?").to_owned();
    format!(
        "{cores} cores of {}, load {load}",
        model.map_or("an unnamed processor", |(_, name)| name)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_a_sample_at_its_place() {
        let mut samples: Vec<f64> = (1..=101).rev().map(f64::from).collect();
        assert_eq!(percentile(&mut samples, 0.5), 51.0);
        assert_eq!(percentile(&mut samples, 0.99), 100.0);
        assert_eq!(percentile(&mut samples, 1.0), 101.0);
    }

    #[test]
    fn a_median_is_the_middle() {
        assert_eq!(median(vec![3.0]), 3.0);
        assert_eq!(median(vec![9.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 2.0, 9.0]), 3.0);
    }

    fn row(ratio: f64) -> Row {
        Row::less_is_better("x", 1.0, ratio, 0.5, "ms")
    }

    #[test]
    fn a_row_below_its_floor_fails_the_table() {
        let table = |rows| Table { rows, ..Table::new("test", String::new()) };
        assert!(table(vec![row(0.5)]).is_above_every_floor());
        assert!(!table(vec![row(0.5), row(0.49)]).is_above_every_floor());
    }

    #[test]
    fn what_is_not_measured_fails_nothing() {
        let not_measured = vec![NotMeasured { id: "y".into(), why: "it is not there".into() }];
        let table = Table { not_measured, ..Table::new("test", String::new()) };
        assert!(table.is_above_every_floor());
    }

    #[test]
    fn a_row_of_rounds_tells_the_median_of_their_ratios_and_the_extremes() {
        let found = Row::of_rounds(
            "x",
            &[8.0, 4.0, 6.0],
            &[2.0, 2.0, 1.0],
            &[4.0, 2.0, 6.0],
            (3.0, 5.0),
            "",
        );
        assert_eq!((found.ours, found.baseline, found.ratio), (6.0, 2.0, 4.0));
        assert_eq!((found.spread, found.verdict()), (Some((2.0, 6.0)), "  below the goal"));
        assert_eq!((row(0.4).verdict(), row(0.6).verdict()), ("  BELOW THE FLOOR", ""));
    }
}
