//! Runs the arms of one storage: first each sweep once, to find the best of a baseline; then round after round, each
//! arm in turn, so that a machine that becomes slower becomes slower for all of them.

use super::{
    arm::{Arm, Load},
    block::{self, Measured, Timing},
    budget::Budget,
    plan::{Against, Comparison, Group, Length, Quantity, Sweep},
    setting::Setting,
};
use crate::table::{ArmFound, Row, Table, median};
use anyhow::{Context, Result};
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// A tenth of it is a minute, as the promise about memory counts.
const TEN_MINUTES: Duration = Duration::from_secs(600);

/// How the arms are run.
pub(crate) struct Rounds {
    pub(crate) block: Timing,
    pub(crate) sweep: Timing,
    pub(crate) budget: Budget,
}

/// What is known of a storage's arms so far.
#[derive(Default)]
struct Known {
    /// The best arm of each sweep, and how many orders a second it accepted.
    best: BTreeMap<&'static str, (Arm, f64)>,
    /// The rounds of each arm.
    rounds: BTreeMap<String, Vec<Measured>>,
}

/// A row with its baseline found.
struct Found {
    comparison: Comparison,
    ours: Arm,
    baseline: Option<Arm>,
}

impl Rounds {
    /// Runs the group and adds its rows and arms to the table. `later` are the groups still to come.
    pub(crate) async fn run(
        &mut self,
        group: Group,
        later: &[Group],
        setting: &Setting,
        table: &mut Table,
    ) -> Result<()> {
        let mut known = Known::default();
        for sweep in group.sweeps() {
            let best = self.sweep(&sweep, setting).await?;
            known.best.insert(sweep.name, best);
        }
        let found: Vec<Found> =
            group.comparisons.into_iter().map(|row| known.found(row)).collect::<Result<_>>()?;
        let arms = distinct(&found);
        let (rounds, timing) = match group.length {
            Length::Rounds => (self.rounds(arms.len(), later), self.block),
            Length::TenMinutes => (1, Timing { length: TEN_MINUTES, ..self.block }),
        };
        for round in 1..=rounds {
            for arm in &arms {
                let rate = known.rate(arm);
                let measured = self.block(arm, rate, setting, timing).await?;
                println!("round {round}/{rounds}  {:<44} {measured}", arm.name);
                known.rounds.entry(arm.name.clone()).or_default().push(measured);
            }
        }
        table.arms.extend(arms.iter().map(|arm| known.arm(arm, &group.storage.to_string())));
        table.rows.extend(found.iter().map(|found| known.row(found)));
        Ok(())
    }

    /// How many rounds there is time for, when later groups shall have as many.
    fn rounds(&self, arms: usize, later: &[Group]) -> usize {
        let swept = |group: &Group| {
            group.sweeps().iter().map(|sweep| sweep.candidates.len()).sum::<usize>()
        };
        let sweeps: usize = later.iter().map(swept).sum();
        let arms = arms + later.iter().map(Group::arms).sum::<usize>();
        self.budget.rounds((arms, self.block.load()), (sweeps, self.sweep.load()))
    }

    async fn sweep(&mut self, sweep: &Sweep, setting: &Setting) -> Result<(Arm, f64)> {
        let mut best: Option<(Arm, f64)> = None;
        for arm in &sweep.candidates {
            let measured = self.block(arm, None, setting, self.sweep).await?;
            println!("sweep      {:<44} {measured}", arm.name);
            if best.as_ref().is_none_or(|(_, accepted)| measured.accepted > *accepted) {
                best = Some((arm.clone(), measured.accepted));
            }
        }
        let best = best.context("a sweep has candidates")?;
        println!("best of {:<47} {}", sweep.name, best.0);
        Ok(best)
    }

    async fn block(
        &mut self,
        arm: &Arm,
        rate: Option<f64>,
        setting: &Setting,
        timing: Timing,
    ) -> Result<Measured> {
        let start = Instant::now();
        let measured = block::run(arm, rate, setting, timing).await?;
        self.budget.note(start.elapsed().saturating_sub(timing.load()));
        Ok(measured)
    }
}

impl Known {
    fn found(&self, comparison: Comparison) -> Result<Found> {
        let best = |sweep: &Sweep| {
            let (arm, _) = self.best.get(sweep.name).context("every sweep was run")?;
            anyhow::Ok(arm.clone())
        };
        let baseline = match &comparison.against {
            Against::Number(..) => None,
            Against::Arm(arm) => Some(arm.clone()),
            Against::Best(sweep) => Some(best(sweep)?),
            Against::BestAt(sweep, times) => {
                let arm = best(sweep)?;
                let name = format!("{arm}, at {:.0} % of its maximum", times * 100.0);
                Some(arm.named(name).at(sweep.name, *times))
            }
        };
        let ours = comparison.ours.clone().map_err(anyhow::Error::msg)?;
        Ok(Found { comparison, ours, baseline })
    }

    /// The rate of an arm with an open loop, once it is known.
    fn rate(&self, arm: &Arm) -> Option<f64> {
        let Load::Open { of, times } = &arm.load else { return None };
        let swept = self.best.get(of.as_str()).map(|(_, accepted)| *accepted);
        let last = || self.rounds.get(of).and_then(|rounds| rounds.last());
        swept.or_else(|| last().map(|measured| measured.accepted)).map(|accepted| accepted * times)
    }

    fn row(&self, found: &Found) -> Row {
        let Comparison { id, quantity, against, floor, goal, .. } = &found.comparison;
        let values = |arm: &Arm| -> Vec<f64> {
            self.rounds[&arm.name].iter().map(|measured| quantity.of(measured)).collect()
        };
        let ours = values(&found.ours);
        let baseline = match (&found.baseline, against) {
            (Some(arm), _) => values(arm),
            (None, Against::Number(number, _)) => vec![*number; ours.len()],
            (None, _) => unreachable!("only a number has no arm"),
        };
        let ratio = |(ours, baseline): (&f64, &f64)| match quantity.less_is_better() {
            true => baseline / ours,
            false => ours / baseline,
        };
        let ratios: Vec<f64> = ours.iter().zip(&baseline).map(ratio).collect();
        Row::of_rounds(id, &ours, &baseline, &ratios, (*floor, *goal), quantity.unit())
    }

    fn arm(&self, arm: &Arm, storage: &str) -> ArmFound {
        let rounds = &self.rounds[&arm.name];
        let of = |value: fn(&Measured) -> f64| median(rounds.iter().map(value).collect());
        ArmFound {
            storage: storage.to_owned(),
            name: arm.name.clone(),
            orders_per_second: of(|measured| measured.accepted),
            answers_per_second: of(|measured| measured.answers),
            p50_milliseconds: of(|measured| measured.p50),
            p99_milliseconds: of(|measured| measured.p99),
            service_cpu_seconds_per_1000: of(|measured| measured.service_cpu),
            database_cpu_seconds_per_1000: of(|measured| measured.database_cpu),
        }
    }
}

impl Quantity {
    fn of(self, measured: &Measured) -> f64 {
        match self {
            Self::Accepted => measured.accepted,
            Self::Answers => measured.answers,
            Self::P50 => measured.p50,
            Self::P99 => measured.p99,
            Self::Memory => measured.memory,
            Self::Growth => measured.growth,
        }
    }

    fn less_is_better(self) -> bool {
        matches!(self, Self::P50 | Self::P99 | Self::Memory | Self::Growth)
    }

    fn unit(self) -> &'static str {
        match self {
            Self::Accepted => "orders/s",
            Self::Answers => "answers/s",
            Self::P50 | Self::P99 => "ms",
            Self::Memory => "MB",
            Self::Growth => "times",
        }
    }
}

/// The arms of the rows, each once; open loops behind closed ones, whose rates they need.
fn distinct(found: &[Found]) -> Vec<Arm> {
    let mut arms: Vec<Arm> = Vec::new();
    for arm in found.iter().flat_map(|row| row.baseline.iter().chain([&row.ours])) {
        if !arms.iter().any(|known| known.name == arm.name) {
            arms.push(arm.clone());
        }
    }
    arms.sort_by_key(|arm| matches!(arm.load, Load::Open { .. }));
    arms
}
