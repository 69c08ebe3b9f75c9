//! A wall clock that a test moves, for the servers and programs that are started with it.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::preload;

const SOURCE: &str = include_str!("clock_shim.c");
/// The control file holds one number: by how many nanoseconds the clock is off.
const CONTROL_BYTES: u64 = 8;

/// A clock. Whoever runs with its [`Self::environment`] reads it in place of the machine's wall clock, and sees a jump
/// at once. How time passes (timers, timeouts) stays as it is, as when somebody sets a machine's clock.
pub struct Clock {
    library: PathBuf,
    control_path: PathBuf,
    control: File,
    _folder: TempDir,
}

impl Clock {
    /// A clock that is right. An error says what is missing: it compiles a few lines of C, once per machine.
    pub fn new() -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("shopkeeper-clock.").tempdir()?;
        let control_path = folder.path().join("control");
        let control = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&control_path)
            .with_context(|| format!("cannot make {}", control_path.display()))?;
        control.set_len(CONTROL_BYTES)?;
        let library = preload::library("clock-shim", SOURCE)?;
        Ok(Self { library, control_path, control, _folder: folder })
    }

    /// The variables of a server that is to read this clock.
    pub fn environment(&self) -> [(&'static str, String); 2] {
        [
            ("LD_PRELOAD", self.library.display().to_string()),
            ("CLOCK_SHIM_CONTROL", self.control_path.display().to_string()),
        ]
    }

    /// From now on the clock is this much ahead of the machine's.
    pub fn ahead(&self, by: Duration) -> Result<()> {
        self.set(i64::try_from(by.as_nanos()).context("a jump of centuries")?)
    }

    /// From now on the clock is this much behind the machine's.
    pub fn behind(&self, by: Duration) -> Result<()> {
        self.set(-i64::try_from(by.as_nanos()).context("a jump of centuries")?)
    }

    fn set(&self, nanoseconds: i64) -> Result<()> {
        self.control.write_all_at(&nanoseconds.to_ne_bytes(), 0).context("the clock stands still")
    }
}
