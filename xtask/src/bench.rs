//! Hands a suite to the release binary `bench`, with a node where the suite needs one.

use crate::{needs, node::Node, progress, workspace};
use anyhow::{Result, ensure};
use clap::ValueEnum;
use std::{path::PathBuf, process::Command};

/// What to measure, and how.
#[derive(clap::Args)]
pub struct Arguments {
    suite: Suite,
    /// Fewer rounds: a first look, not a verdict
    #[arg(long)]
    quick: bool,
    /// Also write the table to FILE as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// inventory: also draw the table into FILE as SVG
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// inventory: only rows whose id begins with ID, such as P1@ (may be given several times)
    #[arg(long, value_name = "ID")]
    only: Vec<String>,
    /// inventory: the strategy that is measured as ours, in place of groupCommit
    #[arg(long, value_name = "NAME")]
    strategy: Option<String>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Suite {
    /// From a change of a custom resource to every pod having applied it, on a node (as root)
    Config,
    /// The stock service on the goods that everybody wants, against other strategies and this machine's limits
    Inventory,
}

/// Runs one suite; its exit code is ours: 1 below a floor.
pub fn command(arguments: &Arguments) -> Result<()> {
    let Arguments { suite, svg, only, strategy, .. } = arguments;
    let asks = svg.is_some() || strategy.is_some() || !only.is_empty();
    ensure!(
        matches!(suite, Suite::Inventory) || !asks,
        "--svg, --only and --strategy belong to the suite inventory"
    );
    if let Suite::Config = suite {
        // Before anything is compiled, as the suite's first need.
        needs::node()?;
    }
    workspace::build_release("build the benchmarks and what they measure", &["bench"])?;
    let name = arguments.suite.to_possible_value().expect("no suite is hidden");
    let mut bench = Command::new(workspace::release_binary("bench"));
    bench.arg(name.get_name());
    if arguments.quick {
        bench.arg("--quick");
    }
    if let Some(file) = &arguments.json {
        bench.arg("--json").arg(file);
    }
    match arguments.suite {
        Suite::Config => on_a_node(&mut bench),
        Suite::Inventory => inventory(&mut bench, arguments),
    }
}

fn on_a_node(bench: &mut Command) -> Result<()> {
    needs::servers()?;
    let node = Node::ready()?;
    progress::handed_over(node.run(bench.envs(node.environment()))?)
}

fn inventory(bench: &mut Command, arguments: &Arguments) -> Result<()> {
    if let Some(file) = &arguments.svg {
        bench.arg("--svg").arg(file);
    }
    bench.args(arguments.only.iter().flat_map(|id| ["--only", id]));
    bench.args(arguments.strategy.iter().flat_map(|name| ["--strategy", name]));
    needs::databases()?;
    progress::handed_over(workspace::run(bench)?)
}
