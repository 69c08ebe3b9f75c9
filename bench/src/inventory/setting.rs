//! Where the arms keep their stock: a MariaDB that syncs the binary log and the redo log at every commit, its data on
//! a real disk, or in memory with a sync of a given length put in.

use super::{
    shim::Shim,
    sync::{CommitProbe, Spread, of_disk},
};
use anyhow::{Context, Result, bail, ensure};
use std::{
    fmt, fs,
    path::{Path, PathBuf},
    time::Duration,
};
use tempfile::TempDir;
use testkit::MariaDb;

/// Beyond what testkit's servers have: what a shop's database has had time to become. There is room for a run's rows,
/// so that no arm waits for pages to be written back. Tables grow inside one file that grows in large steps, because
/// each step is a sync, and a fresh table would take as many in seconds as a grown one in hours. What a batch logs does
/// not go through a temporary file.
const SETTINGS: [(&str, &str); 6] = [
    ("innodb-buffer-pool-size", "1G"),
    ("innodb-log-file-size", "1G"),
    ("innodb-file-per-table", "OFF"),
    ("innodb-autoextend-increment", "512"),
    ("max-binlog-size", "1G"),
    ("binlog-cache-size", "2M"),
];
/// A file system in memory.
const MEMORY: &str = "/dev/shm";
/// A commit may be off the wanted time by so much in relation, and by so much in any case: the scheduler wakes late.
const TOLERANCE: f64 = 0.25;
const SLACK: Duration = Duration::from_micros(100);
/// How often it is looked at before that is believed: something else may have run for a moment.
const LOOKS: usize = 5;

/// What a commit waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Storage {
    /// Data in memory; all syncs of one commit together take so long.
    Injected(Duration),
    /// Data on the disk of the cache folder.
    Disk,
}

impl fmt::Display for Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Injected(sync) => write!(f, "{}ms", sync.as_secs_f64() * 1000.0),
            Self::Disk => f.write_str("disk"),
        }
    }
}

impl Storage {
    /// Whether one server can be this storage and that one, one after the other.
    pub(crate) fn is_like(self, other: Self) -> bool {
        matches!(self, Self::Disk) == matches!(other, Self::Disk)
    }
}

/// A database server, kept for as long as its storage is of the same kind.
pub(crate) struct Setting {
    pub(crate) server: MariaDb,
    pub(crate) folder: TempDir,
    shim: Option<Injection>,
    probe: CommitProbe,
}

struct Injection {
    shim: Shim,
    syncs_per_commit: f64,
    without: Spread,
}

impl Setting {
    /// Starts the server for this kind of storage.
    pub(crate) async fn start(storage: Storage) -> Result<Self> {
        match storage {
            Storage::Injected(_) => Self::in_memory().await,
            Storage::Disk => Self::on_disk().await,
        }
    }

    async fn in_memory() -> Result<Self> {
        let parent = Path::new(MEMORY);
        ensure!(parent.is_dir(), "{MEMORY} is not there: injected syncs need a folder in memory");
        let folder = folder_below(parent)?;
        let shim = Shim::new(folder.path())?;
        let mut options = MariaDb::options().data_below(folder.path());
        for (name, value) in shim.environment() {
            options = options.environment(name, &value);
        }
        let server = start(options)?;
        let mut probe = CommitProbe::new(&server.url()).await?;
        let before = shim.syncs()?;
        let without = probe.measure().await?;
        let syncs = (shim.syncs()? - before) as f64 / CommitProbe::COMMITS as f64;
        ensure!(
            syncs > 0.9,
            "a commit makes {syncs:.2} syncs: the shim is not in the server's way"
        );
        println!(
            "data in memory: a commit makes {syncs:.2} syncs and takes {without} without delay"
        );
        let shim = Some(Injection { shim, syncs_per_commit: syncs.round(), without });
        Ok(Self { server, folder, shim, probe })
    }

    async fn on_disk() -> Result<Self> {
        let cache = testkit::cache_folder();
        fs::create_dir_all(&cache)?;
        let (kind, place) = file_system_of(&cache)?;
        ensure!(
            kind != "tmpfs" && kind != "ramfs",
            "{} lies in memory ({kind} on {place}): set SHOPKEEPER_CACHE to a folder on a disk",
            cache.display()
        );
        println!("data on disk: {kind} on {place}");
        let folder = folder_below(&cache)?;
        let server = start(MariaDb::options().data_below(folder.path()))?;
        let probe = CommitProbe::new(&server.url()).await?;
        Ok(Self { server, folder, shim: None, probe })
    }

    /// Makes this server's storage `storage`, which is of its kind, and says how long a commit now takes. It fails when
    /// that is not what was wanted.
    pub(crate) async fn prepare(&mut self, storage: Storage) -> Result<()> {
        let (Storage::Injected(wanted), Some(injection)) = (storage, &self.shim) else {
            return self.tell("before").await;
        };
        injection.shim.set(wanted.div_f64(injection.syncs_per_commit))?;
        let mut sync = Duration::ZERO;
        for _ in 0..LOOKS {
            let commit = self.probe.measure().await?;
            println!("commit at {storage}: {commit}; without delay {}", injection.without);
            sync = commit.median.saturating_sub(injection.without.median);
            if sync.abs_diff(wanted) <= wanted.mul_f64(TOLERANCE) + SLACK {
                return Ok(());
            }
        }
        bail!(
            "a commit should wait {wanted:?} for its syncs and waits {sync:?}: the machine is too busy, or the server \
             syncs in another way than was seen at its start"
        )
    }

    /// Prints how long a commit takes now, and an fdatasync where there is a disk.
    pub(crate) async fn tell(&mut self, when: &str) -> Result<()> {
        let commit = self.probe.measure().await?;
        if self.shim.is_some() {
            println!("commit {when}: {commit}");
        } else {
            let disk = of_disk(self.folder.path())?;
            println!("fdatasync {when}: {disk}; commit {when}: {commit}");
        }
        Ok(())
    }

    /// Gives the room of finished arms back: their tables are dropped already, the binary log holds them still.
    pub(crate) fn forget_binary_log(&self) -> Result<()> {
        self.server.try_sql("RESET MASTER").map(drop)
    }
}

fn start(mut options: testkit::MariaDbOptions) -> Result<MariaDb> {
    for (name, value) in SETTINGS {
        options = options.setting(name, value);
    }
    options.start()
}

fn folder_below(parent: &Path) -> Result<TempDir> {
    tempfile::Builder::new()
        .prefix("shopkeeper-bench.")
        .tempdir_in(parent)
        .with_context(|| format!("{} cannot be written", parent.display()))
}

/// The kind of the file system that holds `folder`, and its device.
fn file_system_of(folder: &Path) -> Result<(String, String)> {
    let folder = fs::canonicalize(folder)?;
    let mounts = fs::read_to_string("/proc/self/mounts").context("/proc/self/mounts")?;
    let mut best: Option<(PathBuf, &str, &str)> = None;
    for line in mounts.lines() {
        let mut words = line.split(' ');
        let (Some(device), Some(point), Some(kind)) = (words.next(), words.next(), words.next())
        else {
            continue;
        };
        let longer = best.as_ref().is_none_or(|(known, ..)| point.len() >= known.as_os_str().len());
        if folder.starts_with(point) && longer {
            best = Some((PathBuf::from(point), kind, device));
        }
    }
    let (_, kind, device) = best.context("no file system holds the cache folder")?;
    Ok((kind.to_owned(), device.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_storage_is_named_as_in_the_ids_of_rows() {
        let injected = |microseconds| Storage::Injected(Duration::from_micros(microseconds));
        let names = [injected(100), injected(1000), injected(4000), Storage::Disk];
        assert_eq!(names.map(|storage| storage.to_string()), ["0.1ms", "1ms", "4ms", "disk"]);
    }

    #[tokio::test]
    async fn a_commit_in_memory_takes_what_the_shim_was_told() {
        let mut setting = Setting::start(Storage::Injected(Duration::ZERO)).await.unwrap();
        // Long against everything else that a commit waits for on a busy machine.
        setting.prepare(Storage::Injected(Duration::from_millis(20))).await.unwrap();
        let commit = setting.probe.measure().await.unwrap();
        assert!(commit.median >= Duration::from_millis(20), "{commit}");
    }

    #[test]
    fn the_file_system_of_a_folder_is_the_innermost_one() {
        assert_eq!(file_system_of(Path::new("/proc/self")).unwrap().0, "proc");
    }
}
