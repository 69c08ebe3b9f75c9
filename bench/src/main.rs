//! `cargo xtask bench SUITE`: a table of ratios, ours against a baseline, interleaved in one run. Exit code 1 below a
//! floor.

mod chain;
mod config;
mod inventory;
mod load;
mod sell_server;
mod table;

use clap::{Parser, Subcommand};
use std::{path::PathBuf, process::ExitCode};

/// That of the service, because some arms are the service in this process and others are to be as fast as can be.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Measures one suite.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    suite: Suite,
    /// Fewer rounds: for a look, not for a claim.
    #[arg(long, global = true)]
    quick: bool,
    /// Also writes the rows to this file as JSON.
    #[arg(long, global = true)]
    json: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Suite {
    /// From the edit of a custom resource to every running pod, and to the status.
    Config,
    /// The stock service on the goods that everybody wants: against other strategies and against this machine's limits.
    Inventory(inventory::Arguments),
    /// What some arms start.
    #[command(subcommand, hide = true)]
    Serve(inventory::Serve),
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let measured = match arguments.suite {
        Suite::Config => config::measure(arguments.quick).await,
        Suite::Inventory(options) => inventory::measure(&options, arguments.quick).await,
        Suite::Serve(serve) => return served(serve.run().await),
    };
    let told = measured.and_then(|table| {
        table.print();
        if let Some(file) = &arguments.json {
            table.write(file)?;
        }
        Ok(table.is_above_every_floor())
    });
    match told {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn served(outcome: anyhow::Result<()>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}
