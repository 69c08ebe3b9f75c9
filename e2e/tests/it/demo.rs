//! The demo on a cluster that exists, which the node is here to it: it leaves what it finds, and nothing of its own.

use anyhow::{Context, Result, ensure};
use e2e::shop::{RELEASE, SOON, SYSTEM, images_tag, install_operator, node, repository, told};
use e2e::{cluster::Cluster, waiting};
use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, api::ListParams};
use std::{env, fs, process::Stdio, time::Duration};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    process::Command,
    time::timeout,
};

/// A kubeconfig that stands before the right one: who forgets to name the context meets a closed door.
const OTHER: &str = r#"{"apiVersion": "v1", "kind": "Config", "current-context": "other",
  "clusters": [{"name": "other", "cluster": {"server": "https://127.0.0.1:1"}}],
  "users": [{"name": "other", "user": {}}],
  "contexts": [{"name": "other", "context": {"cluster": "other", "user": "other"}}]}"#;
/// How long one demo may take; the promise is three minutes, with the node and its images.
const PLAYED: Duration = Duration::from_secs(300);
const UIDS_OF_DEFINITIONS: [&str; 4] = ["get", "crd", "-o", "jsonpath={.items[*].metadata.uid}"];
const DEFINITIONS: [&str; 2] = ["goodsservices.shopkeeper.dev", "inventoryservices.shopkeeper.dev"];

#[tokio::test(flavor = "multi_thread")]
async fn where_our_definitions_are_already_the_demo_refuses_and_makes_nothing() -> Result<()> {
    let cluster = node().await?;
    install_operator(&cluster, &[]).await?;
    until_nothing_is_on_its_way_out(&cluster).await?;
    let before = everything(&cluster).await?;
    let played = timeout(PLAYED, demo("refused", &[])?.output()).await??;
    let said = String::from_utf8_lossy(&played.stdout);
    ensure!(played.status.code() == Some(1), "it ended with {}: {said}", played.status);
    ensure!(said.contains("CustomResourceDefinition goodsservices.shopkeeper.dev"), "{said}");
    as_it_was(&cluster, &before).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_played_demo_leaves_the_cluster_as_it_was_and_refuses_a_namespace_that_is_there()
-> Result<()> {
    let cluster = node_without_us().await?;
    let before = everything(&cluster).await?;
    let refused = timeout(PLAYED, demo("default", &[])?.output()).await??;
    ensure!(refused.status.code() == Some(1), "it played in the namespace default");
    let played = timeout(PLAYED, demo("played", &[])?.output()).await??;
    let said = String::from_utf8_lossy(&played.stdout);
    println!("{said}");
    ensure!(played.status.success(), "it ended with {}", played.status);
    ensure!(said.contains("Everything that the demo made is removed."), "it does not say so");
    as_it_was(&cluster, &before).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_demo_that_is_kept_is_removed_by_the_lines_that_it_prints() -> Result<()> {
    let cluster = node_without_us().await?;
    let before = everything(&cluster).await?;
    let played = timeout(PLAYED, demo("kept", &["--keep"])?.output()).await??;
    let said = String::from_utf8_lossy(&played.stdout);
    println!("{said}");
    ensure!(played.status.success(), "it ended with {}", played.status);
    ensure!(everything(&cluster).await? != before, "nothing was kept");
    let removal = said.split_once("To remove it:\n").context("no word on how to remove it")?.1;
    let lines: Vec<&str> = removal.lines().take_while(|line| line.starts_with("  ")).collect();
    let mut shell = Command::new("sh");
    // As a person's shell on a machine that has none of the tools.
    shell.args(["-ec", &lines.join("\n")]).env_remove("KUBECONFIG").env("PATH", "/usr/bin:/bin");
    let removed = timeout(PLAYED, shell.output()).await??;
    let failure = String::from_utf8_lossy(&removed.stderr);
    ensure!(removed.status.success(), "the printed lines fail: {failure}\n{lines:#?}");
    as_it_was(&cluster, &before).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_demo_leaves_the_cluster_as_it_was() -> Result<()> {
    let cluster = node_without_us().await?;
    let before = everything(&cluster).await?;
    for (moment, line) in [("opening", "The shop opens"), ("installed", "helm installed the chart")]
    {
        let mut demo = demo(moment, &[])?.spawn()?;
        let mut output = BufReader::new(demo.stdout.take().context("stdout is piped")?);
        let mut said = String::new();
        while !said.contains(line) {
            let read = timeout(PLAYED, output.read_line(&mut said)).await??;
            ensure!(read > 0, "it ended before it said {line:?}: {said}");
        }
        let id = demo.id().context("it runs")?.to_string();
        ensure!(Command::new("kill").args(["-TERM", &id]).status().await?.success(), "kill {id}");
        timeout(PLAYED, output.read_to_string(&mut said)).await??;
        let ended = demo.wait().await?;
        println!("{said}");
        ensure!(ended.code() == Some(1), "it ended with {ended}");
        ensure!(said.contains("Interrupted."), "it does not say so");
        as_it_was(&cluster, &before).await.context(moment)?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn definitions_that_someone_else_brings_meanwhile_stay() -> Result<()> {
    let cluster = node_without_us().await?;
    let mut demo = demo("late", &[])?.spawn()?;
    let mut output = BufReader::new(demo.stdout.take().context("stdout is piped")?);
    let mut said = String::new();
    while !said.contains("The shop opens") {
        let read = timeout(PLAYED, output.read_line(&mut said)).await??;
        ensure!(read > 0, "it ended before it opened: {said}");
    }
    // The demo has looked, and makes its namespace and volumes before it comes to these.
    let brought = cluster.kubectl(&["create", "-f", &repository("crds")]).await;
    let before = cluster.kubectl(&UIDS_OF_DEFINITIONS).await;
    timeout(PLAYED, output.read_to_string(&mut said)).await??;
    let ended = demo.wait().await?;
    let after = cluster.kubectl(&UIDS_OF_DEFINITIONS).await;
    // First away with what would be in the way of the other tests.
    node_without_us().await?;
    brought.context("the demo was quicker than we")?;
    ensure!(ended.code() == Some(1), "it ended with {ended}: {said}");
    ensure!(before? == after?, "definitions that are not the demo's were touched: {said}");
    Ok(())
}

/// The demo as `cargo xtask demo --context` runs it, in a namespace of the test's own.
fn demo(namespace: &str, more: &[&str]) -> Result<Command> {
    let namespace = match namespace {
        "default" => namespace.to_owned(),
        _ => format!("demo-{namespace}-{}", std::process::id()),
    };
    let folder = told("SHOPKEEPER_E2E_VOLUMES")?.join(&namespace);
    fs::create_dir_all(&folder)?;
    let other = folder.join("other.kubeconfig");
    fs::write(&other, OTHER)?;
    let files = ["/nowhere".into(), other, told("SHOPKEEPER_E2E_KUBECONFIG")?];
    let mut demo = Command::new(told("SHOPKEEPER_E2E_BINARIES")?.join("demo"));
    demo.env("KUBECONFIG", env::join_paths(files)?).args(["--context", "shopkeeper"]);
    demo.args(["--namespace", &namespace, "--images-tag", &images_tag()?]);
    demo.args(["--chart", &repository("helm/shopkeeper"), "--examples", &repository("examples")]);
    demo.arg("--local-volumes").arg(folder);
    for tool in ["kubectl", "helm", "grpcurl"] {
        let program = told(&format!("SHOPKEEPER_E2E_{}", tool.to_uppercase()))?;
        demo.arg(format!("--{tool}")).arg(program);
    }
    demo.args(more).stdout(Stdio::piped()).stderr(Stdio::inherit()).kill_on_drop(true);
    Ok(demo)
}

/// The node without the operator and the definitions of the other tests.
async fn node_without_us() -> Result<Cluster> {
    let cluster = node().await?;
    let uninstall = ["uninstall", RELEASE, "--namespace", SYSTEM, "--ignore-not-found", "--wait"];
    cluster.helm(&uninstall).await?;
    let delete = ["delete", "crd", "--ignore-not-found", "--timeout=120s"];
    cluster.kubectl(&[delete.as_slice(), &DEFINITIONS].concat()).await?;
    until_nothing_is_on_its_way_out(&cluster).await?;
    Ok(cluster)
}

async fn until_nothing_is_on_its_way_out(cluster: &Cluster) -> Result<()> {
    let namespaces: Api<Namespace> = Api::all(cluster.client.clone());
    waiting::until("no namespace is on its way out", SOON, async || {
        let all = namespaces.list(&ListParams::default()).await?.items;
        let going = all.iter().filter(|one| one.metadata.deletion_timestamp.is_some()).count();
        Ok(if going == 0 { Ok(()) } else { Err(format!("{going} are")) })
    })
    .await
}

async fn as_it_was(cluster: &Cluster, before: &str) -> Result<()> {
    let after = everything(cluster).await?;
    let gone = before.lines().filter(|line| !after.contains(line));
    let new = after.lines().filter(|line| !before.contains(line));
    let [gone, new]: [Vec<&str>; 2] = [gone.collect(), new.collect()];
    ensure!(gone.is_empty() && new.is_empty(), "gone from the cluster: {gone:?}; new: {new:?}");
    Ok(())
}

/// Kind, name and UID of all that is not in a namespace and that a demo could leave or take.
async fn everything(cluster: &Cluster) -> Result<String> {
    let kinds = "crd,namespace,persistentvolume,clusterrole,clusterrolebinding";
    let each = "{range .items[*]}{.kind}/{.metadata.name} {.metadata.uid}{\"\\n\"}{end}";
    cluster.kubectl(&["get", kinds, "-o", &format!("jsonpath={each}")]).await
}
