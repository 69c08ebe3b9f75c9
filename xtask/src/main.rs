//! The one door: `cargo xtask COMMAND`. Each command gets what it needs, shows what it does, and says what to run next.
//!
//! This crate stays light, because it is the first thing that a newcomer waits for. What is heavy (the demo, the
//! benchmarks) is a binary of another crate that is built and run from here.
#![expect(
    unreachable_pub,
    reason = "in a program, pub says what other modules may use; nothing leaves the crate"
)]

mod bench;
mod checks;
mod cluster;
mod demo;
mod e2e;
mod failures;
mod faults;
mod image;
mod interrupt;
mod needs;
mod node;
mod oversell;
mod progress;
mod tidy;
mod workspace;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Builds, shows and checks Shopkeeper. New here? `cargo xtask demo` shows the whole shop at work.
#[derive(Parser)]
#[command(bin_name = "cargo xtask", disable_help_subcommand = true)]
struct Door {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Shows the shop at work on a real cluster, from nothing, and checks every claim it makes
    Demo(demo::Arguments),
    /// Runs every test but those on a node, and breaks what the stock service stands on (`test faults`)
    Test(checks::Tests),
    /// Runs the tests on a real node (as root): pods, rolling updates, the chart
    E2e { filter: Option<String> },
    /// Measures one suite against its baseline and floor
    Bench(bench::Arguments),
    /// Shows naive methods of selling beside ours: which of them sell more than there is
    Oversell(oversell::Arguments),
    /// A local Kubernetes without Docker
    #[command(subcommand)]
    Cluster(cluster::Command),
    /// Builds the three OCI images into target/images, and says how the chart is installed with them
    Image(image::Arguments),
    /// Writes the generated files: the manifests of the custom resources, here and in the chart
    Codegen {
        /// Only say which are stale, and fail if one is
        #[arg(long)]
        check: bool,
    },
    /// Checks the house rules: who may know whom, sizes, names, lints
    Tidy,
    /// Checks licences, advisories and sources of all dependencies (installs cargo-deny: some minutes)
    Deny,
    /// Runs all that must pass before a change lands; what .ci/run runs
    Ci,
}

fn main() -> ExitCode {
    let result = match Door::parse().command {
        Command::Demo(arguments) => demo::command(&arguments),
        Command::Test(tests) => checks::test(&tests),
        Command::E2e { filter } => e2e::run(filter.as_deref()),
        Command::Bench(arguments) => bench::command(&arguments),
        Command::Oversell(arguments) => oversell::command(&arguments),
        Command::Cluster(command) => cluster::command(&command),
        Command::Image(arguments) => image::command(&arguments),
        Command::Codegen { check } => checks::codegen(check),
        Command::Tidy => tidy::command(),
        Command::Deny => checks::deny(),
        Command::Ci => checks::ci(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => match error.downcast_ref::<progress::Ended>() {
            Some(ended) => ended.code(),
            None => {
                eprintln!("\nxtask: {error:#}");
                ExitCode::FAILURE
            }
        },
    }
}
