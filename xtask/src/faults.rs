//! Hands over to the program `faults`: what the stock service promises while everything under it breaks.

use crate::{needs, progress, workspace};
use anyhow::Result;
use std::process::Command;

/// What is played.
#[derive(Default)]
pub struct Wanted<'a> {
    /// Only these scenarios; all of them where none is named.
    pub scenarios: &'a [String],
    /// The full counts.
    pub long: bool,
}

/// Plays scenarios; `build` builds the program and the service. It fails unless every promise was kept.
pub fn run(wanted: &Wanted<'_>, build: impl FnOnce() -> Result<()>) -> Result<()> {
    needs::databases()?;
    needs::faults()?;
    build()?;
    let mut faults = Command::new(workspace::debug_binary("faults"));
    faults.args(wanted.scenarios);
    if wanted.long {
        faults.arg("--long");
    }
    let advice = "each failed scenario says how it is played again; CONTRIBUTING.md tells more";
    progress::show("break what the stock service stands on", advice, || workspace::run(&mut faults))
}
