//! What a node leaves on the machine outside its own folders, and how it is put right again.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;
use rustix::process::Pid;

use crate::program;

/// Each line: a setting below `/proc/sys`, a space, its value before the node.
const REMEMBERED: &str = "kernel-settings.before";

/// Writes down settings of the kernel, named by their paths below `/proc/sys`.
pub(super) fn remember(folder: &Path, settings: &[&str]) -> Result<()> {
    let mut lines = Vec::new();
    for name in settings {
        // A kernel that lacks a setting needs no care about it.
        if let Ok(value) = fs::read_to_string(Path::new("/proc/sys").join(name)) {
            lines.push(format!("{name} {value}"));
        }
    }
    Ok(fs::write(folder.join(REMEMBERED), lines.concat())?)
}

/// Gives the settings the values that were written down.
pub(super) fn restore(folder: &Path) -> Result<()> {
    let remembered = fs::read_to_string(folder.join(REMEMBERED)).unwrap_or_default();
    for (name, before) in remembered.lines().filter_map(|line| line.split_once(' ')) {
        let file = Path::new("/proc/sys").join(name);
        if fs::read_to_string(&file)?.trim_end() != before {
            fs::write(file, before)?;
        }
    }
    Ok(())
}

/// The processes of all pods: containerd's shims, known by the socket in their command line, and all below them.
pub(super) fn containers(socket: &str) -> Vec<Pid> {
    let processes: Vec<(i32, i32)> =
        fs::read_dir("/proc").into_iter().flatten().flatten().filter_map(parent).collect();
    let is_shim = |pid: &i32| {
        let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let words: Vec<_> = command.split(|byte| *byte == 0).collect();
        words.first().is_some_and(|name| name.ends_with(b"containerd-shim-runc-v2"))
            && words.contains(&socket.as_bytes())
    };
    let mut ours: Vec<i32> = processes.iter().map(|(pid, _)| *pid).filter(is_shim).collect();
    let mut next = 0;
    while let Some(parent) = ours.get(next).copied() {
        ours.extend(processes.iter().filter(|(_, of)| *of == parent).map(|(pid, _)| *pid));
        next += 1;
    }
    ours.into_iter().filter_map(Pid::from_raw).collect()
}

/// Removes the sockets of containerd's shims: they lie in a folder that every containerd of the machine uses, and the
/// task's folder below `state` names them.
pub(super) fn remove_shim_sockets(state: &Path) {
    let tasks = fs::read_dir(state.join("io.containerd.runtime.v2.task/k8s.io"))
        .into_iter()
        .flatten()
        .flatten();
    for address in tasks.filter_map(|task| fs::read_to_string(task.path().join("address")).ok()) {
        if let Some(socket) = address.trim().strip_prefix("unix://") {
            let _shared_and_gone = fs::remove_file(socket);
        }
    }
}

/// A process and its parent, from an entry of `/proc`.
fn parent(entry: fs::DirEntry) -> Option<(i32, i32)> {
    let pid = entry.file_name().to_str()?.parse().ok()?;
    let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
    let parent = stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()?;
    Some((pid, parent))
}

/// Unmounts the volumes and file systems of pods, the innermost first.
pub(super) fn unmount_below(folders: &[&Path]) -> Result<()> {
    let mut mounts = mounts_below(folders)?;
    mounts.sort();
    for mount in mounts.iter().rev() {
        program::run(Command::new("umount").arg("--lazy").arg(mount))?;
    }
    Ok(())
}

/// What is mounted below these folders now. As long as anything is, they must not be removed: a mount may show a folder
/// of the user.
pub(super) fn mounts_below(folders: &[&Path]) -> Result<Vec<PathBuf>> {
    let mounts = fs::read_to_string("/proc/mounts")?;
    let places = mounts
        .lines()
        .filter_map(|line| line.split(' ').nth(1))
        .map(|place| place.replace("\\040", " "));
    Ok(places
        .map(PathBuf::from)
        .filter(|place| folders.iter().any(|folder| place.starts_with(folder)))
        .collect())
}

/// Removes the control groups of pods that are gone. The kernel keeps those that have a process.
pub(super) fn remove_empty_control_groups() {
    let root = Path::new("/sys/fs/cgroup");
    let controllers = fs::read_dir(root).into_iter().flatten().flatten().map(|entry| entry.path());
    for group in controllers.chain([root.to_owned()]).map(|folder| folder.join("kubepods")) {
        remove_group(&group);
    }
}

fn remove_group(group: &Path) {
    for entry in fs::read_dir(group).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_group(&entry.path());
        }
    }
    let _in_use_or_absent = fs::remove_dir(group);
}

/// Removes the files in `folder` that `is_ours` says yes to.
pub(super) fn remove_files(folder: &str, is_ours: impl Fn(&Path) -> bool) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if is_ours(&entry.path()) {
            let _next_time = fs::remove_file(entry.path());
        }
    }
}
