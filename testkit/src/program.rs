//! Finding the programs that tests run, and running one to its end.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

/// Where Debian puts servers; not on the `PATH` of an ordinary user.
const SYSTEM_FOLDERS: [&str; 4] = ["/usr/local/sbin", "/usr/sbin", "/usr/bin", "/sbin"];

/// The path of `name`, from `PATH` and then from the system folders.
pub(crate) fn lookup(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(SYSTEM_FOLDERS.map(PathBuf::from))
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}

/// The path of `name`, or an error that says how to get it.
pub(crate) fn find(name: &str, debian_package: &str) -> Result<PathBuf> {
    lookup(name).with_context(|| {
        format!(
            "{name} is not on this machine; `cargo xtask test` as root on Debian installs it, \
             or install the package {debian_package}"
        )
    })
}

/// Runs `command` to its end and returns what it printed; a failure carries the command and the words it said.
pub(crate) fn run(command: &mut Command) -> Result<String> {
    let what = describe(command);
    let output = command.output().with_context(|| format!("cannot run `{what}`"))?;
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("`{what}` failed ({}): {}{}", output.status, said.trim(), printed.trim());
    }
    Ok(printed)
}

/// The command as one would type it, without its folder and cut to a readable length.
fn describe(command: &Command) -> String {
    const LENGTH_MAX: usize = 120;
    let program = Path::new(command.get_program()).file_name().unwrap_or_default();
    let words = std::iter::once(program).chain(command.get_args()).map(OsStr::to_string_lossy);
    let typed = words.collect::<Vec<_>>().join(" ");
    match typed.char_indices().nth(LENGTH_MAX) {
        Some((cut, _)) => format!("{}...", &typed[..cut]),
        None => typed,
    }
}
