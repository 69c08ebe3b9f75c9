//! What `cargo xtask demo` tells the demo.

use clap::Parser;
use std::path::PathBuf;

/// Shows the product at work on a cluster and checks every claim it makes.
#[derive(Parser)]
pub(crate) struct Arguments {
    /// The kubeconfig of the cluster; otherwise as kubectl finds it.
    #[arg(long)]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// Which context of the kubeconfig: a cluster that stays, and is to be left as it was. Otherwise the current one, a
    /// node of our own that goes away with all that is on it.
    #[arg(long)]
    pub(crate) context: Option<String>,
    /// The tag of the three images.
    #[arg(long)]
    pub(crate) images_tag: String,
    /// Where the cluster gets the images, such as `registry.example.com/shop`; otherwise they are loaded into it
    /// already.
    #[arg(long, default_value = "shopkeeper.local")]
    pub(crate) registry: String,
    /// The `helm` program.
    #[arg(long)]
    pub(crate) helm: PathBuf,
    /// The `kubectl` program.
    #[arg(long)]
    pub(crate) kubectl: PathBuf,
    /// The `grpcurl` program, which what to try next is tried with.
    #[arg(long, required_if_eq("keep", "true"))]
    pub(crate) grpcurl: Option<PathBuf>,
    /// The chart's folder.
    #[arg(long)]
    pub(crate) chart: PathBuf,
    /// The folder of the example resources.
    #[arg(long)]
    pub(crate) examples: PathBuf,
    /// A folder of the node for the volumes of the demo, on a cluster that provides none by itself.
    #[arg(long)]
    pub(crate) local_volumes: Option<PathBuf>,
    /// The namespace that the demo makes for itself.
    #[arg(long, default_value = "shopkeeper-demo")]
    pub(crate) namespace: String,
    /// Leave everything running and say what to try next.
    #[arg(long)]
    pub(crate) keep: bool,
}
