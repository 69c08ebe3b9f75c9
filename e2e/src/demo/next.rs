//! With `--keep`: what to try next.

use crate::{
    arguments::Arguments,
    install::{GRPC_PORT, Shop},
    shell::{Shell, line},
    stage::Stage,
};
use anyhow::{Result, bail, ensure};
use e2e::waiting;
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpStream};

/// How long `kubectl port-forward` may take to listen.
const LISTENS: Duration = Duration::from_secs(20);

/// Runs each line, and prints it with what it answered.
pub(crate) async fn try_what_comes_next(
    arguments: &Arguments,
    shop: &Shop,
    stage: &mut Stage,
) -> Result<()> {
    let start = Instant::now();
    let (shell, namespace) = (Shell::of(arguments), shop.namespace.as_str());
    let get = shop.cluster.kubectl_arguments(&["get", "shop", "--namespace", namespace]);
    let get = line("kubectl", get);
    let table = shell.run(&get).await?;
    ensure!(
        table.contains("inventory") && table.contains("1/1"),
        "`{get}` shows no ready shop:\n{table}"
    );

    let port = port_of_this_machine().await?;
    let service = format!("service/{}", shop.inventory_name());
    let ports = format!("{port}:{GRPC_PORT}");
    let forward = ["port-forward", "--namespace", namespace, &service, &ports];
    let forward = line("kubectl", shop.cluster.kubectl_arguments(&forward));
    let mut forwarding = shell.start(&forward)?;
    waiting::until("the port is forwarded", LISTENS, async || {
        if let Some(ended) = forwarding.try_wait()? {
            bail!("`{forward}` ended with {ended}");
        }
        Ok(TcpStream::connect(("127.0.0.1", port))
            .await
            .map(drop)
            .map_err(|error| error.to_string()))
    })
    .await?;
    let address = format!("127.0.0.1:{port}");
    let method = "inventory.v1.InventoryService/GetStock";
    let call = line("grpcurl", ["-plaintext", "-d", r#"{"goods_id": 1}"#, &address, method]);
    let answer = shell.run(&call).await?;
    forwarding.kill().await?;
    stage.claim(start.elapsed(), "each line below was run, as it stands");

    stage.say("\nTry next:");
    stage.say(&format!("  {}", shell.setup));
    stage.say(&format!("  {get}"));
    stage.say(&indented(&table));
    stage.say(&format!("  {forward} &"));
    stage.say(&format!("  {call}"));
    stage.say(&indented(&answer));
    Ok(())
}

/// The service's own port where it is free here, because it is the one that a person expects; otherwise any.
async fn port_of_this_machine() -> Result<u16> {
    let usual = TcpListener::bind(("127.0.0.1", GRPC_PORT)).await;
    let listener = match usual {
        Ok(listener) => listener,
        Err(_) => TcpListener::bind(("127.0.0.1", 0)).await?,
    };
    Ok(listener.local_addr()?.port())
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("    {line}")).collect::<Vec<_>>().join("\n")
}
