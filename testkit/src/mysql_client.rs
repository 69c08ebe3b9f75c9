//! SQL as root, over the socket of a server that speaks MySQL's protocol.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::program;

const PACKAGE: &str = "mariadb-client-core";

/// Runs statements and returns the rows, columns separated by tabs.
pub(crate) fn run(socket: &Path, statements: &str) -> Result<String> {
    let client = program::find("mariadb", PACKAGE)?;
    program::run(
        Command::new(client)
            .args([
                "--no-defaults",
                "--user=root",
                "--batch",
                "--skip-column-names",
                "--connect-timeout=10",
            ])
            .arg(format!("--socket={}", socket.display()))
            .args(["--execute", statements]),
    )
}
