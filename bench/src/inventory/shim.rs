//! The library that gives a database in memory the syncs of a disk: compiled on this machine, preloaded into the
//! server, and told at any time how long a sync takes.

use anyhow::{Context, Result, bail};
use std::{
    fs::{self, File, OpenOptions},
    hash::{DefaultHasher, Hash, Hasher},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

const SOURCE: &str = include_str!("sync_shim.c");
/// The two numbers of the control file: nanoseconds a sync, and syncs so far.
const CONTROL_BYTES: u64 = 16;
const NANOSECONDS_AT: u64 = 0;
const SYNCS_AT: u64 = 8;

/// The compiled library and its control file.
pub(crate) struct Shim {
    library: PathBuf,
    control_path: PathBuf,
    control: File,
}

impl Shim {
    /// Compiles the library unless this text of it stands in the cache, and makes a control file in `folder`.
    pub(crate) fn new(folder: &Path) -> Result<Self> {
        let control_path = folder.join("sync-shim-control");
        let control = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(&control_path)
            .with_context(|| format!("{} cannot be made", control_path.display()))?;
        control.set_len(CONTROL_BYTES)?;
        Ok(Self { library: compiled()?, control_path, control })
    }

    /// The variables of a server that is to have these syncs.
    pub(crate) fn environment(&self) -> [(&'static str, String); 2] {
        [
            ("LD_PRELOAD", self.library.display().to_string()),
            ("SYNC_SHIM_CONTROL", self.control_path.display().to_string()),
        ]
    }

    /// From now on each sync takes so long.
    pub(crate) fn set(&self, sync: Duration) -> Result<()> {
        let nanoseconds = i64::try_from(sync.as_nanos()).context("a sync of centuries")?;
        self.control.write_all_at(&nanoseconds.to_ne_bytes(), NANOSECONDS_AT)?;
        Ok(())
    }

    /// How many syncs there were.
    pub(crate) fn syncs(&self) -> Result<i64> {
        let mut bytes = [0; 8];
        self.control.read_exact_at(&mut bytes, SYNCS_AT)?;
        Ok(i64::from_ne_bytes(bytes))
    }
}

fn compiled() -> Result<PathBuf> {
    let mut hash = DefaultHasher::new();
    SOURCE.hash(&mut hash);
    let cache = testkit::cache_folder();
    let library = cache.join(format!("sync-shim-{:016x}.so", hash.finish()));
    if library.is_file() {
        return Ok(library);
    }
    fs::create_dir_all(&cache).with_context(|| format!("{} cannot be made", cache.display()))?;
    let work = tempfile::Builder::new().prefix("sync-shim.").tempdir_in(&cache)?;
    let (source, draft) = (work.path().join("sync_shim.c"), work.path().join("sync_shim.so"));
    fs::write(&source, SOURCE)?;
    let output = Command::new("cc")
        .args(["-O2", "-shared", "-fPIC", "-o"])
        .args([&draft, &source])
        .output()
        .context("`cc` cannot be started: install a C compiler (Debian: gcc)")?;
    if !output.status.success() {
        bail!("cc refuses the sync shim: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    // Renamed into its place whole: a second benchmark sees it or does not.
    fs::rename(&draft, &library)?;
    Ok(library)
}
