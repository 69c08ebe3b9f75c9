//! How long a sync and a commit take here and now. Every ratio against a baseline that commits each order by itself is
//! a function of this number, so it is printed beside them.

use anyhow::{Context, Result};
use sqlx::{Connection, Executor, MySqlConnection};
use std::{
    fmt,
    fs::File,
    os::unix::fs::FileExt,
    path::Path,
    time::{Duration, Instant},
};

/// Enough for a 99th percentile to be more than the worst sample.
const SAMPLES: usize = 200;
/// Before anything is counted: the connection, the file and the table are warm.
const WARM_UP: usize = 20;
/// What one sync of the disk probe writes: a block.
const BLOCK: [u8; 4096] = [1; 4096];

/// The median and the 99th percentile of some durations.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spread {
    pub(crate) median: Duration,
    pub(crate) p99: Duration,
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [median, p99] = [self.median, self.p99].map(|time| time.as_secs_f64() * 1000.0);
        write!(f, "p50 {median:.3} ms, p99 {p99:.3} ms")
    }
}

impl Spread {
    fn of(mut samples: Vec<Duration>) -> Self {
        samples.sort();
        let at = |share: f64| samples[((samples.len() - 1) as f64 * share).round() as usize];
        Self { median: at(0.5), p99: at(0.99) }
    }
}

/// How long an fdatasync of one block takes in this folder.
pub(crate) fn of_disk(folder: &Path) -> Result<Spread> {
    let probe = tempfile::Builder::new().prefix("sync-probe.").tempdir_in(folder)?;
    let file = File::create(probe.path().join("file"))
        .with_context(|| format!("{} cannot be written", folder.display()))?;
    let mut samples = Vec::with_capacity(SAMPLES);
    for index in 0..WARM_UP + SAMPLES {
        file.write_all_at(&BLOCK, (index * BLOCK.len()) as u64)?;
        let start = Instant::now();
        file.sync_data()?;
        if index >= WARM_UP {
            samples.push(start.elapsed());
        }
    }
    Ok(Spread::of(samples))
}

/// A table on which commits are measured, and its connection.
pub(crate) struct CommitProbe(MySqlConnection);

impl CommitProbe {
    /// Makes the table, in a database of its own on the server of this URL.
    pub(crate) async fn new(server: &str) -> Result<Self> {
        let mut connection = MySqlConnection::connect(server).await?;
        connection.execute("CREATE DATABASE IF NOT EXISTS commit_probe").await?;
        connection.execute("USE commit_probe").await?;
        let table = "CREATE TABLE IF NOT EXISTS probe (id INT AUTO_INCREMENT PRIMARY KEY)";
        connection.execute(table).await?;
        Ok(Self(connection))
    }

    /// How long one small commit takes, its round trip included.
    pub(crate) async fn measure(&mut self) -> Result<Spread> {
        let mut samples = Vec::with_capacity(SAMPLES);
        for index in 0..WARM_UP + SAMPLES {
            let start = Instant::now();
            self.0.execute("INSERT INTO probe VALUES ()").await?;
            if index >= WARM_UP {
                samples.push(start.elapsed());
            }
        }
        Ok(Spread::of(samples))
    }

    /// How many commits one [`Self::measure`] makes.
    pub(crate) const COMMITS: usize = WARM_UP + SAMPLES;
}
