//! Suite `config`: from the edit of a custom resource to every running pod, and to the status, on a real node with
//! three real pods, interleaved with the bare chain of the same writes and watches.

use crate::{
    chain::{Chain, Times},
    table::{Row, Table, machine, percentile},
};
use anyhow::{Context, Result};
use crds::InventoryService;
use e2e::shop::{NAME, Shop};
use futures::{Stream, StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api, Client,
    api::{Patch, PatchParams, WatchEvent, WatchParams},
};
use serde_json::json;
use srv_config::{Acknowledgement, Outcome};
use std::{pin::Pin, time::Duration};
use tokio::time::Instant;

const CHANGES: usize = 300;
const CHANGES_QUICK: usize = 30;
/// Before anything is counted: connections warm, caches filled.
const WARM_UP: usize = 10;
/// A change that is not through after this long is lost, not slow.
const LOST: Duration = Duration::from_secs(10);
/// What Nacos publishes of itself: the median and the worst of its own benchmark.
const NACOS_MEDIAN: f64 = 73.0;
const NACOS_WORST: f64 = 183.0;

/// Measures the suite.
pub(crate) async fn measure(quick: bool) -> Result<Table> {
    let changes = if quick { CHANGES_QUICK } else { CHANGES };
    println!("starting three pods ...");
    let shop = Shop::of_three().await?;
    let config = shop.cluster.config.clone();
    let mut chain = Chain::start(&config, &shop.namespace).await?;
    let mut ours = Ours::watch(&shop, Client::try_from(config)?).await?;
    println!("{changes} changes, each beside one of the bare chain; etcd: {}", how_etcd_syncs());

    let (mut samples, mut baseline) = (Vec::new(), Vec::new());
    for change in 0..WARM_UP + changes {
        let theirs = chain.change(change + 1).await?;
        let times = ours.change(change).await.with_context(|| format!("change {change}"))?;
        if change >= WARM_UP {
            samples.push(times);
            baseline.push(theirs);
        }
    }
    Ok(Table { rows: rows(&samples, &baseline), ..Table::new("config", machine()) })
}

/// Whether the etcd of this machine syncs each write, from its command line: most of a change's time is its writes.
fn how_etcd_syncs() -> &'static str {
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let command = processes
        .map(|process| std::fs::read_to_string(process.path().join("cmdline")).unwrap_or_default())
        .find(|command| {
            command.split('\0').next().is_some_and(|program| program.ends_with("/etcd"))
        });
    match command {
        None => "not on this machine, so it is not known how it syncs",
        Some(command) if command.contains("--unsafe-no-fsync") => {
            "does not sync its writes (--unsafe-no-fsync)"
        }
        Some(_) => "syncs every write",
    }
}

fn rows(ours: &[Times], chain: &[Times]) -> Vec<Row> {
    let applied = |times: &[Times], share| of(times, |times| times.applied, share);
    let told = |times: &[Times], share| of(times, |times| times.told, share);
    let row = Row::less_is_better;
    vec![
        row("applied-p50 / chain", applied(ours, 0.5), applied(chain, 0.5), 1.0 / 3.0, "ms"),
        row("applied-p99 / chain", applied(ours, 0.99), applied(chain, 0.99), 0.0, "ms"),
        row("applied-max / chain", applied(ours, 1.0), applied(chain, 1.0), 0.0, "ms"),
        row("applied-p50 / Nacos' median", applied(ours, 0.5), NACOS_MEDIAN, 1.0, "ms"),
        row("applied-p99 / Nacos' worst", applied(ours, 0.99), NACOS_WORST, 1.0, "ms"),
        row("status-p50 / chain", told(ours, 0.5), told(chain, 0.5), 0.0, "ms"),
        row("status-p99 / chain", told(ours, 0.99), told(chain, 0.99), 0.0, "ms"),
        row("status-max / chain", told(ours, 1.0), told(chain, 1.0), 0.0, "ms"),
        row("goal: applied-p50 <= 10 ms", applied(ours, 0.5), 10.0, 0.0, "ms"),
        row("goal: applied-p99 <= 40 ms", applied(ours, 0.99), 40.0, 0.0, "ms"),
        row("goal: status-p50 <= 25 ms", told(ours, 0.5), 25.0, 0.0, "ms"),
        row("goal: status-p99 <= 80 ms", told(ours, 0.99), 80.0, 0.0, "ms"),
    ]
}

fn of(times: &[Times], which: impl Fn(&Times) -> Duration, share: f64) -> f64 {
    let mut samples: Vec<f64> =
        times.iter().map(|times| which(times).as_secs_f64() * 1000.0).collect();
    percentile(&mut samples, share)
}

type Changes<K> = Pin<Box<dyn Stream<Item = kube::Result<K>> + Send>>;

/// The real operator and the real pods, seen from outside.
struct Ours {
    resources: Api<InventoryService>,
    acknowledgements: Changes<ConfigMap>,
    statuses: Changes<InventoryService>,
    revision: String,
}

impl Ours {
    async fn watch(shop: &Shop, client: Client) -> Result<Self> {
        let resources: Api<InventoryService> = Api::namespaced(client.clone(), &shop.namespace);
        let maps: Api<ConfigMap> = Api::namespaced(client, &shop.namespace);
        let resource = resources.get(NAME).await?;
        let status = resource
            .status
            .and_then(|status| status.config)
            .context("the status names no revision")?;
        Ok(Self {
            acknowledgements: changes(&maps, &format!("{NAME}-config-acks-0")).await?,
            statuses: changes(&resources, NAME).await?,
            resources,
            revision: status.revision,
        })
    }

    /// Changes a hot field, and waits until three pods have acknowledged a new revision and the status says so.
    async fn change(&mut self, change: usize) -> Result<Times> {
        let (old, acknowledgements, statuses) =
            (self.revision.clone(), &mut self.acknowledgements, &mut self.statuses);
        let deadline = 1000 + change as i32;
        let start = Instant::now();
        let patch = json!({"spec": {"config": {"limits": {"deadlineMilliseconds": deadline}}}});
        self.resources.patch(NAME, &PatchParams::default(), &Patch::Merge(patch)).await?;
        let applied = async {
            while let Some(object) = acknowledgements.try_next().await? {
                if applied_by(&object, &old) == 3 {
                    return anyhow::Ok(start.elapsed());
                }
            }
            anyhow::bail!("the watch of the acknowledgements ended")
        };
        let told = async {
            while let Some(resource) = statuses.try_next().await? {
                let config = resource.status.and_then(|status| status.config).unwrap_or_default();
                if config.revision != old && config.applied == "3/3" {
                    return anyhow::Ok((start.elapsed(), config.revision));
                }
            }
            anyhow::bail!("the watch of the resource ended")
        };
        let both = futures::future::try_join(applied, told);
        let (applied, (told, revision)) =
            tokio::time::timeout(LOST, both).await.context("it was lost")??;
        self.revision = revision;
        Ok(Times { applied, told })
    }
}

/// How many pods acknowledged one and the same revision other than `old`.
fn applied_by(object: &ConfigMap, old: &str) -> usize {
    let entries = object.data.iter().flatten();
    let newer =
        entries.filter_map(|(_, entry)| serde_json::from_str::<Acknowledgement>(entry).ok());
    newer
        .filter(|entry| entry.outcome == Outcome::Applied && entry.revision.to_string() != old)
        .count()
}

/// Every change of this object from now on.
async fn changes<K>(objects: &Api<K>, name: &str) -> Result<Changes<K>>
where
    K: kube::Resource + Clone + std::fmt::Debug + serde::de::DeserializeOwned + Send + 'static,
{
    let version = objects.get(name).await?.meta().resource_version.clone().unwrap_or_default();
    let only = WatchParams::default().fields(&format!("metadata.name={name}"));
    let events = objects.watch(&only, &version).await?;
    Ok(events
        .try_filter_map(async |event| {
            Ok(match event {
                WatchEvent::Added(object) | WatchEvent::Modified(object) => Some(object),
                _ => None,
            })
        })
        .boxed())
}
