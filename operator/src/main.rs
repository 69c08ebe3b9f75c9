//! From arguments to [`operator::run`].

use anyhow::Context as _;
use clap::Parser;
use operator::Options;
use srv_config::{LogFormat, LogLevel};
use srv_runtime::{Admin, Metrics, shutdown, telemetry, termination};
use std::{net::SocketAddr, process::ExitCode};

/// Looks after GoodsService and InventoryService resources: their pods, their configuration, their status.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The image of a GoodsService that names none.
    #[arg(long, env = "SHOPKEEPER_GOODS_IMAGE")]
    goods_image: String,
    /// The image of an InventoryService that names none.
    #[arg(long, env = "SHOPKEEPER_INVENTORY_IMAGE")]
    inventory_image: String,
    /// The namespaces to look after, separated by commas; none means all.
    #[arg(long, env = "SHOPKEEPER_WATCH_NAMESPACES", value_delimiter = ',')]
    watch_namespaces: Vec<String>,
    /// Where to serve /livez, /readyz and /metrics.
    #[arg(long, env = "SHOPKEEPER_ADMIN_LISTEN", default_value = "0.0.0.0:9090")]
    admin_listen: SocketAddr,
    /// How log lines are written: json or text.
    #[arg(long, env = "SHOPKEEPER_LOG_FORMAT", default_value = "json", value_parser = word::<LogFormat>)]
    log_format: LogFormat,
    /// How much is logged: error, warn, info, debug or trace.
    #[arg(long, env = "SHOPKEEPER_LOG_LEVEL", default_value = "info", value_parser = word::<LogLevel>)]
    log_level: LogLevel,
}

/// A word as the custom resources spell it, too.
fn word<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_json::from_value(text.into()).map_err(|error| error.to_string())
}

#[tokio::main]
async fn main() -> ExitCode {
    termination::conclude(run(Arguments::parse()).await)
}

async fn run(arguments: Arguments) -> anyhow::Result<()> {
    telemetry::start(arguments.log_format, arguments.log_level);
    let stop = shutdown::requested();
    let (metrics, readiness) = (Metrics::new("operator"), operator::readiness());
    let admin = Admin::start(arguments.admin_listen, readiness.clone(), metrics.clone()).await?;
    let client = kube::Client::try_default()
        .await
        .context("cannot tell where the API server is: run in a pod, or set KUBECONFIG")?;
    let namespaces: Vec<String> =
        arguments.watch_namespaces.into_iter().filter(|namespace| !namespace.is_empty()).collect();
    let scope =
        if namespaces.is_empty() { "all namespaces".to_owned() } else { namespaces.join(", ") };
    tracing::info!("operator looks after {scope}, admin on {}", admin.address());
    let options = Options {
        goods_image: arguments.goods_image,
        inventory_image: arguments.inventory_image,
        namespaces,
    };
    operator::run(client, options, readiness, metrics, async move {
        let signal = stop.await;
        tracing::info!("{signal}: the operator ends");
    })
    .await;
    Ok(())
}
