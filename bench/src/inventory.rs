//! Suite `inventory`: how fast the stock service is on the goods that everybody wants, against the other strategies of
//! the same binary, against what the course teaches, and against the ceilings of this machine.
//!
//! [`plan`] says what is compared; [`rounds`] runs each arm in turn, on fresh tables and with audited books; what is
//! told is the median of the rounds' ratios.

mod arm;
mod block;
mod books;
mod budget;
mod bulk;
mod caller;
mod chart;
mod library;
mod meter;
mod plan;
mod process;
mod rounds;
mod sent;
mod servers;
mod setting;
mod shim;
mod sync;
mod target;

pub(crate) use servers::Serve;

use crate::table::{NotMeasured, Table, machine};
use anyhow::{Context, Result, ensure};
use block::Timing;
use budget::Budget;
use plan::Group;
use rounds::Rounds;
use setting::{Setting, Storage};
use std::{collections::VecDeque, fs, path::PathBuf, time::Duration};

/// How the suite is run.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The strategy that is measured as ours
    #[arg(long, value_name = "NAME", default_value = "groupCommit")]
    strategy: String,
    /// Also draws the rows as an SVG chart into FILE
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Only rows whose id begins so, such as P1@; may be given several times
    #[arg(long, value_name = "ID")]
    only: Vec<String>,
}

/// The whole measurement, and a look that a person waits for.
const BLOCK: Timing = Timing {
    warm_up: Duration::from_secs(2),
    length: Duration::from_secs(20),
    patience: Duration::from_secs(6),
};
const SWEEP: Timing = Timing { length: Duration::from_secs(10), ..BLOCK };
const ROUNDS: usize = 5;
/// In their first second fresh tables grow extent by extent, each with a sync of its own.
const QUICK_BLOCK: Timing = Timing {
    warm_up: Duration::from_secs(1),
    length: Duration::from_secs(3),
    patience: Duration::from_millis(500),
};
const QUICK_SWEEP: Timing =
    Timing { warm_up: Duration::from_millis(300), length: Duration::from_secs(1), ..QUICK_BLOCK };
const QUICK_ROUNDS: usize = 3;
/// The most that a quick run takes in all: fewer rounds are run where three would take longer.
const QUICK_BUDGET: Duration = Duration::from_secs(285);

/// Measures the suite.
pub(crate) async fn measure(arguments: &Arguments, quick: bool) -> Result<Table> {
    let mut groups = plan::groups(&arguments.strategy);
    if quick {
        groups.iter_mut().for_each(Group::be_quick);
    }
    if !arguments.only.is_empty() {
        let wanted = |id: &str| arguments.only.iter().any(|start| id.starts_with(start.as_str()));
        groups.iter_mut().for_each(|group| group.comparisons.retain(|row| wanted(&row.id)));
        let rows: usize = groups.iter().map(|group| group.comparisons.len()).sum();
        ensure!(rows > 0, "no row's id begins with {}", arguments.only.join(" or "));
    }
    let mut table = Table::new("inventory", machine());
    set_aside(&mut groups, &mut table);
    let rounds = if quick {
        let budget = Budget::of(QUICK_BUDGET, QUICK_ROUNDS);
        Rounds { block: QUICK_BLOCK, sweep: QUICK_SWEEP, budget }
    } else {
        Rounds { block: BLOCK, sweep: SWEEP, budget: Budget::unbounded(ROUNDS) }
    };
    if let Err(error) = run(rounds, groups, &mut table).await {
        // What was measured until then took long.
        table.print();
        return Err(error.context("the run ended before its time; the rows above are those it had"));
    }
    if let Some(file) = &arguments.svg {
        fs::write(file, chart::draw(&table))
            .with_context(|| format!("{} cannot be written", file.display()))?;
    }
    Ok(table)
}

/// Rows that cannot be measured yet are listed and not run.
fn set_aside(groups: &mut Vec<Group>, table: &mut Table) {
    for group in groups.iter_mut() {
        group.comparisons.retain(|row| {
            let Err(why) = &row.ours else { return true };
            table.not_measured.push(NotMeasured { id: row.id.clone(), why: why.clone() });
            false
        });
    }
    groups.retain(|group| !group.comparisons.is_empty());
}

async fn run(mut rounds: Rounds, groups: Vec<Group>, table: &mut Table) -> Result<()> {
    let mut setting: Option<(Storage, Setting)> = None;
    let mut groups = groups.into_iter().collect::<VecDeque<_>>();
    while let Some(group) = groups.pop_front() {
        let storage = group.storage;
        let fits = setting.as_ref().is_some_and(|(of, _)| of.is_like(storage));
        if !fits {
            // The old server goes first: two would share the memory.
            drop(setting.take());
            setting = Some((storage, Setting::start(storage).await?));
        }
        let (_, setting) = setting.as_mut().expect("it was just started");
        println!("\n== commits that wait for {storage} ==");
        setting.prepare(storage).await?;
        rounds.run(group, groups.make_contiguous(), setting, table).await?;
        setting.tell("after").await?;
    }
    Ok(())
}
