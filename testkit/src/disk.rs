//! A disk of a test's own that loses its power, or fills up: ext4 in a file, on a loop device. It needs root.
//!
//! A power cut keeps exactly what was synced. That it tears sectors or reorders writes is beyond it.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::program;

/// For how long the disk may be in use by processes that were killed.
const IDLE_WITHIN: Duration = Duration::from_secs(20);
const POLL_EVERY: Duration = Duration::from_millis(20);

/// `$0` is the disk's folder, `$1` where it is mounted. The end of stdin, which only we hold open, takes both away.
const WATCHDOG: &str = r#"
trap '' HUP INT TERM
read -r _
umount -l "$1"
rm -rf "$0"
"#;

/// `EXT4_IOC_SHUTDOWN` with `EXT4_GOING_FLAGS_NOLOGFLUSH`: from this moment nothing reaches the disk any more, neither
/// data nor journal. Perl is on every Debian, and calls it without a line of unsafe Rust.
const CUT_POWER: &str = r#"
open(my $disk, "<", $ARGV[0]) or die "$!\n";
my $flags = pack("L", 2);
ioctl($disk, 0x8004587d, $flags) or die "$!\n";
"#;

/// What takes the room on a full disk.
const BALLAST: &str = "ballast";
const BALLAST_PIECE: usize = 1 << 20;

/// A mounted disk. It goes when the guard is dropped, or when the process ends in any way.
pub struct Disk {
    folder: PathBuf,
    watchdog: Option<(Child, ChildStdin)>,
}

impl Disk {
    /// A disk of so many megabytes. An error says what is missing.
    pub fn new(megabytes: u32) -> Result<Self> {
        ensure!(
            rustix::process::geteuid().is_root(),
            "a disk of a test's own needs root, to be mounted: sudo -E cargo xtask ..."
        );
        let make = program::find("mkfs.ext4", "e2fsprogs")?;
        let folder = tempfile::Builder::new().prefix("shopkeeper-disk.").tempdir()?.keep();
        let mut disk = Self { folder, watchdog: None };
        File::create(disk.image())?.set_len(u64::from(megabytes) << 20)?;
        fs::create_dir(disk.path())?;
        // No blocks are kept for root: servers of a test that runs as root would find room on a full disk.
        program::run(Command::new(make).args(["-q", "-F", "-m", "0"]).arg(disk.image()))?;
        disk.mount()?;
        Ok(disk)
    }

    /// The folder in which the disk is mounted.
    pub fn path(&self) -> PathBuf {
        self.folder.join("mount")
    }

    /// Cuts the power. Every later write and sync on it fails. What runs on it is to be killed; then comes
    /// [`Self::restore_power`].
    pub fn cut_power(&self) -> Result<()> {
        let perl = program::find("perl", "perl-base")?;
        program::run(Command::new(perl).args(["-e", CUT_POWER]).arg(self.path()))
            .context("the disk's power cannot be cut")?;
        Ok(())
    }

    /// Mounts the disk again, as it is after the cut. Nothing may run on it.
    pub fn restore_power(&self) -> Result<()> {
        let umount = program::find("umount", "mount")?;
        let until = Instant::now() + IDLE_WITHIN;
        while let Err(error) = program::run(Command::new(&umount).arg(self.path())) {
            ensure!(Instant::now() < until, "something still runs on the disk: {error:#}");
            std::thread::sleep(POLL_EVERY);
        }
        self.mount_image()
    }

    /// Writes everything on it to the device, so that a cut loses nothing from before.
    pub fn sync(&self) -> Result<()> {
        program::run(Command::new("sync").arg("--file-system").arg(self.path()))?;
        Ok(())
    }

    /// Takes all the room that is left.
    pub fn fill(&self) -> Result<()> {
        let mut ballast =
            File::options().create(true).append(true).open(self.path().join(BALLAST))?;
        let piece = vec![0; BALLAST_PIECE];
        let mut length = piece.len();
        while length > 0 {
            match ballast.write(&piece[..length]) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::StorageFull => length /= 2,
                Err(error) => return Err(error).context("the disk cannot be filled"),
            }
        }
        // Otherwise room that was promised to others could still come out of what was not allocated yet.
        ballast.sync_all().context("the disk cannot be filled")
    }

    /// Gives back what [`Self::fill`] took.
    pub fn free(&self) -> Result<()> {
        fs::remove_file(self.path().join(BALLAST)).context("the disk is not full")
    }

    fn image(&self) -> PathBuf {
        self.folder.join("image")
    }

    fn mount(&mut self) -> Result<()> {
        let mut watchdog = Command::new("/bin/sh")
            .args(["-c", WATCHDOG])
            .args([&self.folder, &self.path()])
            // A Ctrl-C in the terminal goes to the test's process group; the watchdog must outlive it to do its work.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot run /bin/sh")?;
        let pipe = watchdog.stdin.take().expect("stdin is piped");
        self.watchdog = Some((watchdog, pipe));
        self.mount_image()
    }

    fn mount_image(&self) -> Result<()> {
        let mount = program::find("mount", "mount")?;
        let mut command = Command::new(mount);
        command.args(["-t", "ext4", "-o", "loop"]).args([&self.image(), Path::new(&self.path())]);
        program::run(&mut command).context("a loop device cannot be mounted here")?;
        Ok(())
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        match self.watchdog.take() {
            Some((mut watchdog, pipe)) => {
                drop(pipe);
                let _ = watchdog.wait();
            }
            // Best effort: a folder left in the temporary folder harms nobody.
            None => drop(fs::remove_dir_all(&self.folder)),
        }
    }
}
