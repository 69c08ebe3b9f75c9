//! Hands over to the release binary `oversell`: naive methods of selling beside ours, on a real MariaDB and Redis.

use crate::{needs, progress, workspace};
use anyhow::Result;
use std::{path::PathBuf, process::Command};

/// Where else the table goes.
#[derive(clap::Args)]
pub struct Arguments {
    /// Also write the table to FILE as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Also draw the table as a picture, FILE in SVG
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

/// Runs it; its exit code is ours: 1 unless every naive method oversells and each of ours sells what is there.
pub fn command(arguments: &Arguments) -> Result<()> {
    needs::databases()?;
    workspace::build_release("build the service and the naive methods", &["oversell"])?;
    let mut oversell = Command::new(workspace::release_binary("oversell"));
    if let Some(file) = &arguments.json {
        oversell.arg("--json").arg(file);
    }
    if let Some(file) = &arguments.svg {
        oversell.arg("--svg").arg(file);
    }
    progress::handed_over(workspace::run(&mut oversell)?)
}
