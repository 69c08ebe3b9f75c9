//! A configuration change: into the running pod, and back into the status.

use crate::{install::Shop, stage::Stage};
use anyhow::{Context, Result, ensure};
use crds::InventoryService;
use futures::{StreamExt, TryStreamExt};
use kube::api::{Api, Patch, PatchParams, WatchEvent, WatchParams};
use serde_json::json;
use std::time::{Duration, Instant};

/// How long the status may take to say `applied`; far above any promise, so that a slow machine is told from a broken
/// one.
const TO_BE_APPLIED: Duration = Duration::from_secs(10);

pub(crate) async fn change(shop: &Shop, stage: &mut Stage) -> Result<()> {
    let resources: Api<InventoryService> =
        Api::namespaced(shop.cluster.client.clone(), &shop.namespace);
    let before = resources.get(shop.inventory_name()).await?;
    let pods_before = shop.inventory_pods().await?;
    let old_revision = revision_of(&before).context("the status names no revision")?;

    let version = before.metadata.resource_version.clone().unwrap_or_default();
    let watch = WatchParams::default().fields(&format!("metadata.name={}", shop.inventory_name()));
    let mut events = resources.watch(&watch, &version).await?.boxed();

    let start = Instant::now();
    let change = json!({"spec": {"config": {"logLevel": "debug", "lockStrategy": "rowLock"}}});
    resources.patch(shop.inventory_name(), &PatchParams::default(), &Patch::Merge(change)).await?;
    let applied = tokio::time::timeout(TO_BE_APPLIED, async {
        while let Some(event) = events.try_next().await? {
            if let WatchEvent::Modified(resource) = event
                && let Some(config) = resource.status.and_then(|status| status.config)
                && config.revision != old_revision
                && config.applied == "1/1"
            {
                return Ok(config);
            }
        }
        anyhow::bail!("the watch of the resource ended")
    });
    let config = applied.await.context("the status did not say applied 1/1 within 10 s")??;
    let took = start.elapsed();

    let pods = shop.inventory_pods().await?;
    ensure!(
        pods == pods_before,
        "the pods were {pods_before:?} and are {pods:?}: one was replaced or restarted"
    );
    let log =
        shop.cluster.kubectl(&["logs", "--namespace", &shop.namespace, &pods[0].name]).await?;
    ensure!(
        log.contains(&config.revision),
        "the pod's log does not speak of revision {}",
        config.revision
    );
    stage.claim(took, "logLevel debug and lockStrategy rowLock, from the edit to the status:");
    stage.detail(&format!(
        "revision {}, applied {}, same pod {}, no restart",
        config.revision, config.applied, pods[0].name
    ));
    Ok(())
}

fn revision_of(resource: &InventoryService) -> Option<String> {
    Some(resource.status.as_ref()?.config.as_ref()?.revision.clone())
}
