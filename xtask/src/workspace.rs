//! Where things stand in this workspace, and its cargo.

use crate::progress;
use anyhow::{Context, Result};
use std::{
    env,
    path::{Path, PathBuf},
    process::{Command, ExitStatus},
};

/// The folder with the root `Cargo.toml`.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask/ stands in the workspace's folder")
}

/// Where cargo and we put what can be made again.
pub fn target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// A release binary that has been built.
pub fn release_binary(name: &str) -> PathBuf {
    target().join("release").join(name)
}

/// A binary of the dev profile that has been built.
pub fn debug_binary(name: &str) -> PathBuf {
    target().join("debug").join(name)
}

/// The cargo that runs us, in the workspace's folder.
///
/// What `cargo run` told *us* about our own package is taken out of its environment: build scripts such as ring's
/// watch these variables, and would build half the workspace again for every change between us and a bare cargo.
pub fn cargo() -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root());
    let ours =
        ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_", "CARGO_PRIMARY_PACKAGE"];
    for (name, _) in env::vars_os() {
        if ours.iter().any(|prefix| name.to_string_lossy().starts_with(prefix)) {
            cargo.env_remove(name);
        }
    }
    cargo
}

/// What is always built together. Built apart, each would have the dependencies with features of its own, and every
/// dependency would be compiled as often; what a program does not use the linker leaves out all the same.
const TOGETHER: [&str; 4] = ["operator", "goods-srv", "inventory-srv", "e2e"];

/// Builds the release binaries: the operator, the services, the demo, and `more`.
pub fn build_release(what: &str, more: &[&str]) -> Result<()> {
    let mut cargo = cargo();
    cargo.args(["build", "--release", "--locked", "--bins"]);
    TOGETHER.iter().chain(more).for_each(|package| {
        cargo.args(["--package", package]);
    });
    progress::run(
        what,
        &mut cargo,
        "mend what the compiler says; a stale Cargo.lock is renewed by `cargo check`",
    )
}

/// Runs `command` with our input and output.
pub fn run(command: &mut Command) -> Result<ExitStatus> {
    command
        .status()
        .with_context(|| format!("{} cannot be started", command.get_program().display()))
}
