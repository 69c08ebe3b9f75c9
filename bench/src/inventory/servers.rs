//! The servers that are compared with ours and are processes of this program: a bare one, and one that does it as the
//! course teaches, behind a Redis lock that is polled.

mod echo;
mod polling;

pub(crate) use echo::refusing as echo_refusing;

use anyhow::{Context, Result};
use clap::Subcommand;
use std::{io::Write, net::SocketAddr};
use tokio::net::TcpListener;

/// The words before the address in the line that a server writes when it serves.
pub(crate) const SERVES_ON: &str = "serves on ";

/// What a process of this program serves when it is started by another one.
#[derive(Subcommand)]
pub(crate) enum Serve {
    /// Answers each Sell at once.
    Echo(echo::Arguments),
    /// Sells under `conditional`, each call between a polled Redis lock and its release.
    PollingLock(polling::Arguments),
}

impl Serve {
    /// Serves until the process is killed.
    pub(crate) async fn run(self) -> Result<()> {
        match self {
            Self::Echo(arguments) => echo::serve(arguments).await,
            Self::PollingLock(arguments) => polling::serve(arguments).await,
        }
    }
}

/// A free port of the loopback, told on the standard output.
async fn listen() -> Result<TcpListener> {
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
    let mut output = std::io::stdout().lock();
    writeln!(output, "{SERVES_ON}{}", listener.local_addr()?).context("tell the address")?;
    output.flush()?;
    Ok(listener)
}
