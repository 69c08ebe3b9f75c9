//! `cargo xtask oversell`: shows what the usual ways of selling do when everybody wants the same goods, beside ours.
//! Exit code 1 unless every naive method oversells and each of ours sells exactly what is there.

use anyhow::{Context, Result};
use clap::Parser;
use oversell::{Report, Rules, Servers, Trial, View, draw, play};
use std::{fs, path::PathBuf, process::ExitCode};

/// Shows which methods of selling oversell.
#[derive(Parser)]
struct Arguments {
    /// Also write the table to FILE as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Also draw the table as a picture, FILE in SVG
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// How many clients race
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(2..=512))]
    clients: u32,
    /// How many pieces there are
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(10..=5000))]
    stock: u32,
}

#[tokio::main]
async fn main() -> ExitCode {
    match show(&Arguments::parse()).await {
        Ok(report) if report.holds => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("oversell: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn show(arguments: &Arguments) -> Result<Report> {
    let servers = Servers::start()?;
    let rules = Rules { clients: arguments.clients, stock: arguments.stock };
    let report = play(&Trial::all(), rules, &servers, View::on_stdout()).await?;
    println!("\n{}", report.words());
    if let Some(file) = &arguments.json {
        report.write(file)?;
    }
    if let Some(file) = &arguments.svg {
        fs::write(file, draw(&report))
            .with_context(|| format!("{} cannot be written", file.display()))?;
    }
    Ok(report)
}
