//! The local Kubernetes: testkit runs it, this is its command line.

use crate::{needs, progress::step};
use anyhow::{Context, Result};
use std::path::PathBuf;
use testkit::kubernetes::{Cluster, EtcdSync, Kind};

/// What to do with the local cluster.
#[derive(clap::Subcommand)]
pub enum Command {
    /// Brings up a node (as root), or the control plane alone; it stays up until `down`
    Up {
        /// Only etcd and kube-apiserver: no root, no pods
        #[arg(long)]
        control_plane: bool,
    },
    /// Gives the node an image, as `cargo xtask image` writes it
    Load { image: PathBuf },
    /// Prints what to `eval`, so that kubectl finds the cluster
    Env,
    /// Takes it down; the programs that were built for it stay
    Down,
}

/// Does it, and says what to run next.
pub fn command(command: &Command) -> Result<()> {
    match command {
        Command::Up { control_plane } => up(*control_plane),
        Command::Load { image } => {
            let cluster = running()?;
            step(&format!("load {}", image.display()), |_| cluster.load(image))
        }
        Command::Env => {
            print!("{}", running()?.environment());
            Ok(())
        }
        Command::Down => {
            step("take the cluster down", |step| Cluster::down(&|said| step.say(said)))
        }
    }
}

fn up(control_plane: bool) -> Result<()> {
    let kind = if control_plane { Kind::ControlPlane } else { Kind::Node };
    if kind == Kind::Node {
        needs::node()?;
    } else {
        needs::control_plane()?;
    }
    step("bring up Kubernetes", |step| Cluster::up(kind, EtcdSync::Never, &|said| step.say(said)))?;
    println!("Kubernetes is up. Next: eval \"$(cargo xtask cluster env)\" && kubectl get all -A");
    println!("It stays until: cargo xtask cluster down");
    Ok(())
}

fn running() -> Result<Cluster> {
    Cluster::running().context("no local cluster is up: `cargo xtask cluster up` brings one up")
}
