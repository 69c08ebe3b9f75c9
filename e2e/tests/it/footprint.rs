//! What a person pays: memory, and the time until a service is ready.

use anyhow::{Context, Result, ensure};
use e2e::shop::{SOON, Shop, told};
use std::{
    fs,
    process::{Command, Stdio},
    time::{Duration, Instant},
};
use tokio::io::{AsyncBufReadExt, BufReader};

const SERVICE_MEMORY_MAX: u64 = 30_000_000;
const OPERATOR_MEMORY_MAX: u64 = 24_000_000;
const START_MAX: Duration = Duration::from_secs(1);

#[tokio::test(flavor = "multi_thread")]
async fn idle_services_and_the_operator_keep_to_their_memory() -> Result<()> {
    let shop = Shop::of_three().await?;
    shop.make_volume("goods-data").await?;
    shop.apply_example("goods-sqlite.yaml").await?;
    shop.cluster.until_ready(&shop.namespace, "goodsservice/goods", "1/1", SOON).await?;
    for (program, limit) in [
        ("inventory-srv", SERVICE_MEMORY_MAX),
        ("goods-srv", SERVICE_MEMORY_MAX),
        ("operator", OPERATOR_MEMORY_MAX),
    ] {
        let resident = resident_memory_of(program)?;
        ensure!(!resident.is_empty(), "no process {program} is there");
        let most = resident.into_iter().max().unwrap_or_default();
        println!("{program}: {:.1} MB resident", most as f64 / 1e6);
        ensure!(most <= limit, "{program} takes {most} bytes of memory, more than {limit}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_is_ready_within_a_second_of_its_start() -> Result<()> {
    let binaries = told("SHOPKEEPER_E2E_BINARIES")?;
    for service in ["goods-srv", "inventory-srv"] {
        let folder =
            std::env::temp_dir().join(format!("shopkeeper-{service}-{}", std::process::id()));
        fs::create_dir_all(&folder)?;
        let start = Instant::now();
        let mut process = tokio::process::Command::new(binaries.join(service))
            .args(["serve", "--grpc-port", "0", "--admin-port", "0"])
            .current_dir(&folder)
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let mut lines = BufReader::new(process.stderr.take().expect("stderr is piped")).lines();
        let line = loop {
            let line = lines
                .next_line()
                .await?
                .with_context(|| format!("{service} ended before it served"))?;
            if line.contains(" serves on ") {
                break line;
            }
        };
        let took = start.elapsed();
        answers_grpcurl(service, &line)?;
        process.kill().await?;
        fs::remove_dir_all(&folder)?;
        println!("{service}: ready after {} ms, with a new database", took.as_millis());
        ensure!(took <= START_MAX, "{service} took {took:?} to be ready");
    }
    Ok(())
}

/// Whether it is what its start line says ("goods.v1 serves on ADDRESS (..."): grpcurl learns from its reflection which
/// services there are and how to ask for their health.
fn answers_grpcurl(service: &str, line: &str) -> Result<()> {
    let (package, address) = line.split_once(" serves on ").context("no start line")?;
    let package = package.rsplit(' ').next().unwrap_or_default();
    let address = address.split(' ').next().unwrap_or_default();
    let ask = |words: &[&str]| -> Result<String> {
        let output = Command::new(told("SHOPKEEPER_E2E_GRPCURL")?).args(words).output()?;
        ensure!(output.status.success(), "{service}: grpcurl {words:?}: {output:?}");
        Ok(String::from_utf8(output.stdout)?)
    };
    let services = ask(&["-plaintext", address, "list"])?;
    let ours = services.lines().find(|name| name.starts_with(&format!("{package}.")));
    let ours = ours.with_context(|| format!("{service} does not list {package}: {services}"))?;
    for name in ["", ours] {
        let asked = format!("{{\"service\": \"{name}\"}}");
        let health = ask(&["-plaintext", "-d", &asked, address, "grpc.health.v1.Health/Check"])?;
        ensure!(health.contains("\"SERVING\""), "{service}: {name:?} is {health}");
    }
    Ok(())
}

/// The resident memory in bytes of every process of this name: pods of the node are processes of this machine.
fn resident_memory_of(program: &str) -> Result<Vec<u64>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")?.flatten() {
        let status = fs::read_to_string(entry.path().join("status")).unwrap_or_default();
        let field =
            |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        if field("Name:") == Some(program)
            && let Some(kilobytes) = field("VmRSS:").and_then(|value| value.strip_suffix(" kB"))
        {
            found.push(kilobytes.trim().parse::<u64>()? * 1024);
        }
    }
    Ok(found)
}
