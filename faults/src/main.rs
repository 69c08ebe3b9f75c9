//! `cargo xtask test faults`: exit code 1 unless every promise was kept and every fault came about.

use anyhow::{Result, ensure};
use clap::Parser;
use faults::{
    plan::SCENARIOS,
    play::play,
    scenario::{Form, Scenario},
};
use std::process::ExitCode;

/// Breaks what the stock service stands on, and checks that its promises are kept.
#[derive(Parser)]
struct Arguments {
    /// Only these scenarios; all of them without a name
    names: Vec<String>,
    /// The full counts, which take hours
    #[arg(long)]
    long: bool,
    /// Draw everything that is left to chance from this seed, as a failed run tells it
    #[arg(long, env = "SHOPKEEPER_SEED")]
    seed: Option<u64>,
    /// Only say which scenarios there are
    #[arg(long)]
    list: bool,
}

#[tokio::main(worker_threads = 2)]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let scenarios = match chosen(&arguments.names) {
        Ok(scenarios) => scenarios,
        Err(error) => {
            eprintln!("faults: {error:#}");
            return ExitCode::FAILURE;
        }
    };
    if arguments.list {
        scenarios.iter().for_each(|scenario| println!("{}", described(scenario)));
        return ExitCode::SUCCESS;
    }
    let form = if arguments.long { Form::Long } else { Form::Short };
    match play(&scenarios, form, arguments.seed).await {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

fn chosen(names: &[String]) -> Result<Vec<&'static Scenario>> {
    for name in names {
        let known = SCENARIOS.iter().any(|scenario| scenario.name == name);
        ensure!(known, "there is no scenario {name}; `--list` says which there are");
    }
    let is_chosen =
        |scenario: &&Scenario| names.is_empty() || names.iter().any(|name| name == scenario.name);
    Ok(SCENARIOS.iter().filter(is_chosen).collect())
}

fn described(scenario: &Scenario) -> String {
    let Scenario { name, rows, fault, counts, run: _ } = scenario;
    let (short, long) = (counts.short, counts.long);
    format!("{name:<30} {rows:<8} {short:>6} {long:>8}  {fault}")
}
