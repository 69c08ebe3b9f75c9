//! Processes that outlive the command that starts them, known by a file in the cluster's state folder.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};

use crate::server::{is_alive, last_lines};

/// How long the kernel may take to end a killed process that was busy on a disk.
const GONE_WITHIN: Duration = Duration::from_secs(10);
const POLL_EVERY: Duration = Duration::from_millis(20);

/// Starts `command` in a session of its own; `FOLDER/NAME.log` has its output, `FOLDER/NAME.process` says who it is.
pub(super) fn start(folder: &Path, name: &str, command: &Command) -> Result<()> {
    let log = File::create(log_file(folder, name))?;
    let child = Command::new("setsid")
        .arg(command.get_program())
        .args(command.get_args())
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .with_context(|| format!("cannot start {name}"))?;
    let pid = i32::try_from(child.id())
        .ok()
        .and_then(Pid::from_raw)
        .context("the kernel gave no process id")?;
    let identity = identity(pid).with_context(|| format!("{name} ended at its start"))?;
    fs::write(process_file(folder, name), identity)?;
    Ok(())
}

/// Waits until `holds`; an error shows the end of the log of `name`, at once when its process has ended.
pub(super) fn wait(
    folder: &Path,
    name: &str,
    within: Duration,
    mut holds: impl FnMut() -> bool,
) -> Result<()> {
    let deadline = Instant::now() + within;
    while !holds() {
        let ended = running(folder, name).is_none();
        if ended || Instant::now() > deadline {
            let log = fs::read_to_string(log_file(folder, name)).unwrap_or_default();
            let what = if ended {
                "has ended".to_owned()
            } else {
                format!("is not ready within {within:?}")
            };
            bail!("{name} {what}; its log ends with:\n{}", last_lines(&log));
        }
        thread::sleep(POLL_EVERY);
    }
    Ok(())
}

/// The process that was started as `name`, if it is still that one and has not ended.
pub(super) fn running(folder: &Path, name: &str) -> Option<Pid> {
    parse_running(&fs::read_to_string(process_file(folder, name)).ok()?)
}

/// The process of an [`identity`], if it still exists.
pub(super) fn parse_running(text: &str) -> Option<Pid> {
    let pid = Pid::from_raw(text.split_whitespace().next()?.parse().ok()?)?;
    (is_alive(pid) && identity(pid).as_deref() == Some(text)).then_some(pid)
}

/// Kills the processes, all at once, and waits until they are gone. Others of the same number are left alone.
pub(super) fn kill(folder: &Path, names: &[&str]) -> Result<()> {
    let running: Vec<_> = names.iter().filter_map(|name| running(folder, name)).collect();
    kill_all(&running)?;
    for name in names {
        let _absent_is_fine = fs::remove_file(process_file(folder, name));
    }
    Ok(())
}

/// Kills processes by their ids and waits until they are gone.
pub(super) fn kill_all(pids: &[Pid]) -> Result<()> {
    for pid in pids {
        let _gone_already = kill_process(*pid, Signal::KILL);
    }
    let deadline = Instant::now() + GONE_WITHIN;
    while let Some(pid) = pids.iter().find(|pid| is_alive(**pid)) {
        ensure!(Instant::now() < deadline, "process {} does not end", pid.as_raw_nonzero());
        thread::sleep(POLL_EVERY);
    }
    Ok(())
}

/// What tells a process from a later one with the same number, on this boot or the next: number, start, boot.
pub(super) fn identity(pid: Pid) -> Option<String> {
    let number = pid.as_raw_nonzero();
    let stat = fs::read_to_string(format!("/proc/{number}/stat")).ok()?;
    // The start, in ticks since the boot, is field 22; the state, field 3, follows the name in parentheses.
    let start = stat.rsplit_once(") ")?.1.split(' ').nth(19)?.to_owned();
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(format!("{number} {start} {}", boot.trim()))
}

fn log_file(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.log"))
}

fn process_file(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.process"))
}
