//! The baseline: the same writes and watches as ours with nothing in between. A desired object changes; a stand-in
//! for the operator sees it and writes a ConfigMap; three stand-ins for pods see that and each patch an
//! acknowledgement; the stand-in for the operator sees all three and writes the status. Every stand-in has
//! connections of its own.

use anyhow::{Context, Result};
use futures::{Stream, StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api, Client, Config,
    api::{Patch, PatchParams, WatchEvent, WatchParams},
};
use serde_json::json;
use std::{collections::BTreeMap, pin::Pin, time::Duration};
use tokio::{task::JoinSet, time::Instant};

const PODS: usize = 3;
const DESIRED: &str = "chain-desired";
const CONFIG: &str = "chain-config";
const ACKNOWLEDGEMENTS: &str = "chain-acks";
const STATUS: &str = "chain-status";
/// A change that is not through after this long is a broken chain, not a slow one.
const LOST: Duration = Duration::from_secs(10);

/// When a change had reached every pod, and when the status said so.
#[derive(Clone, Copy)]
pub(crate) struct Times {
    pub(crate) applied: Duration,
    pub(crate) told: Duration,
}

/// A running chain.
pub(crate) struct Chain {
    objects: Api<ConfigMap>,
    acknowledgements: Changes,
    statuses: Changes,
    _stand_ins: JoinSet<Result<()>>,
}

type Changes = Pin<Box<dyn Stream<Item = kube::Result<ConfigMap>> + Send>>;

impl Chain {
    /// Makes the four objects in this namespace and starts the stand-ins.
    pub(crate) async fn start(config: &Config, namespace: &str) -> Result<Self> {
        let objects = objects(config, namespace)?;
        for name in [DESIRED, CONFIG, ACKNOWLEDGEMENTS, STATUS] {
            write(&objects, name, &json!({"change": "0"})).await?;
        }
        let mut stand_ins = JoinSet::new();
        stand_ins.spawn(operator(self::objects(config, namespace)?));
        for pod in 0..PODS {
            stand_ins.spawn(self::pod(self::objects(config, namespace)?, pod));
        }
        let watching = self::objects(config, namespace)?;
        let (acknowledgements, statuses) =
            (changes(&watching, ACKNOWLEDGEMENTS).await?, changes(&watching, STATUS).await?);
        Ok(Self { objects, acknowledgements, statuses, _stand_ins: stand_ins })
    }

    /// Sends change number `change` down the chain.
    pub(crate) async fn change(&mut self, change: usize) -> Result<Times> {
        let start = Instant::now();
        write(&self.objects, DESIRED, &json!({"change": change.to_string()})).await?;
        let applied = async {
            while let Some(object) = self.acknowledgements.try_next().await? {
                if all_pods_have(&object, &change.to_string()) {
                    return anyhow::Ok(start.elapsed());
                }
            }
            anyhow::bail!("the chain's watch ended")
        };
        let told = async {
            while let Some(object) = self.statuses.try_next().await? {
                if value(&object, "change") == Some(&change.to_string()) {
                    return anyhow::Ok(start.elapsed());
                }
            }
            anyhow::bail!("the chain's watch ended")
        };
        let both = futures::future::try_join(applied, told);
        let (applied, told) = tokio::time::timeout(LOST, both)
            .await
            .context("a change was lost in the bare chain")??;
        Ok(Times { applied, told })
    }
}

async fn operator(objects: Api<ConfigMap>) -> Result<()> {
    let mut desired = changes(&objects, DESIRED).await?;
    let mut acknowledgements = changes(&objects, ACKNOWLEDGEMENTS).await?;
    let mut current = String::new();
    loop {
        tokio::select! {
            Some(object) = desired.next() => {
                current = value(&object?, "change").cloned().unwrap_or_default();
                write(&objects, CONFIG, &json!({"change": current})).await?;
            }
            Some(object) = acknowledgements.next() => {
                if all_pods_have(&object?, &current) {
                    write(&objects, STATUS, &json!({"change": current})).await?;
                }
            }
            else => anyhow::bail!("the chain's watches ended"),
        }
    }
}

async fn pod(objects: Api<ConfigMap>, number: usize) -> Result<()> {
    let mut config = changes(&objects, CONFIG).await?;
    while let Some(object) = config.try_next().await? {
        let acknowledged = json!({"data": {format!("pod-{number}"): value(&object, "change")}});
        objects
            .patch(ACKNOWLEDGEMENTS, &PatchParams::default(), &Patch::Merge(acknowledged))
            .await?;
    }
    anyhow::bail!("the chain's watch ended")
}

fn objects(config: &Config, namespace: &str) -> Result<Api<ConfigMap>> {
    Ok(Api::namespaced(Client::try_from(config.clone())?, namespace))
}

async fn write(objects: &Api<ConfigMap>, name: &str, data: &serde_json::Value) -> Result<()> {
    let object =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data});
    objects.patch(name, &PatchParams::apply("chain").force(), &Patch::Apply(object)).await?;
    Ok(())
}

/// Every change of this object from now on.
async fn changes(objects: &Api<ConfigMap>, name: &str) -> Result<Changes> {
    let version = objects.get(name).await?.metadata.resource_version.unwrap_or_default();
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

fn value<'a>(object: &'a ConfigMap, key: &str) -> Option<&'a String> {
    object.data.as_ref()?.get(key)
}

fn all_pods_have(object: &ConfigMap, change: &str) -> bool {
    let none = BTreeMap::new();
    let data = object.data.as_ref().unwrap_or(&none);
    (0..PODS).all(|pod| data.get(&format!("pod-{pod}")).is_some_and(|seen| seen == change))
}
