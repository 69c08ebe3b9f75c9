//! The API watch of the one ConfigMap: the push, a few milliseconds after the operator's write.

use super::{
    ConfigError, Kubernetes,
    instruments::Instruments,
    snapshot::{Origin, Snapshot},
};
use futures::StreamExt;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api,
    runtime::watcher::{self, Event, watcher},
};
use std::{pin::pin, time::Duration};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep},
};

/// The pause after the first failure of the watch; it doubles up to [`PAUSE_MAX`].
const PAUSE_MIN: Duration = Duration::from_millis(200);

/// The longest pause between two tries: one small request in 5 s per pod burdens no API server, and a change made while
/// it was away arrives soon after it is back.
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// For how long a start waits for the API when there is a boot copy to fall back on.
const FIRST_READING_TIMEOUT: Duration = Duration::from_secs(2);

/// The ConfigMap as it is now.
pub(super) async fn read(kubernetes: &Kubernetes) -> Result<Snapshot, ConfigError> {
    let what = || format!("ConfigMap {}/{}", kubernetes.namespace, kubernetes.config_map);
    let config_maps = config_maps(kubernetes);
    let reading = config_maps.get(&kubernetes.config_map);
    match tokio::time::timeout(FIRST_READING_TIMEOUT, reading).await {
        Ok(Ok(config_map)) => snapshot_of(&config_map),
        Ok(Err(error)) => {
            Err(ConfigError::Malformed { what: what(), reason: format!("cannot be read: {error}") })
        }
        Err(_) => Err(ConfigError::Malformed {
            what: what(),
            reason: format!("the API did not answer within {FIRST_READING_TIMEOUT:?}"),
        }),
    }
}

/// Sends every reading until nobody listens. A failure is told once, and everything is started anew after a pause, so
/// that a watch that works always begins with a reading.
pub(super) async fn follow(
    kubernetes: Kubernetes,
    readings: mpsc::Sender<Snapshot>,
    instruments: Instruments,
) {
    let mut pause = PAUSE_MIN;
    loop {
        let mut began = None;
        let watched_again = || {
            if pause > PAUSE_MIN {
                tracing::info!("the configuration is watched through the API again");
            }
            instruments.api_watched(true);
            began = Some(Instant::now());
        };
        let Err(error) = watch(&kubernetes, &readings, &instruments, watched_again).await else {
            return;
        };
        instruments.api_watched(false);
        instruments.source_failed("api");
        // A first list is no watch yet: where it is given and the watch is refused, the pause must grow.
        if began.is_some_and(|began| began.elapsed() > PAUSE_MAX) {
            pause = PAUSE_MIN;
        }
        if pause == PAUSE_MIN {
            tracing::warn!(%error, "the configuration cannot be watched through the API; the directory is");
        }
        sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

/// One watch, until it fails. `Ok`: nobody listens.
async fn watch(
    kubernetes: &Kubernetes,
    readings: &mpsc::Sender<Snapshot>,
    instruments: &Instruments,
    mut on_start: impl FnMut(),
) -> Result<(), watcher::Error> {
    let only_ours =
        watcher::Config::default().fields(&format!("metadata.name={}", kubernetes.config_map));
    let mut events = pin!(watcher(config_maps(kubernetes), only_ours));
    while let Some(event) = events.next().await {
        match event? {
            Event::Init => {}
            Event::InitDone => on_start(),
            Event::Delete(_) => {
                tracing::warn!(
                    "the configuration's ConfigMap was deleted; the last good one stays"
                );
            }
            Event::InitApply(config_map) | Event::Apply(config_map) => {
                match snapshot_of(&config_map) {
                    Ok(snapshot) => {
                        if readings.send(snapshot).await.is_err() {
                            return Ok(());
                        }
                    }
                    Err(error) => {
                        instruments.source_failed("api");
                        tracing::warn!(%error, "the configuration's ConfigMap is malformed; the last good one stays");
                    }
                }
            }
        }
    }
    Ok(())
}

fn config_maps(kubernetes: &Kubernetes) -> Api<ConfigMap> {
    Api::namespaced(kubernetes.client.clone(), &kubernetes.namespace)
}

fn snapshot_of(config_map: &ConfigMap) -> Result<Snapshot, ConfigError> {
    let name = config_map.metadata.name.as_deref().unwrap_or_default();
    Snapshot::from_entries(&format!("ConfigMap {name}"), Origin::Api, |key| {
        config_map.data.as_ref()?.get(key).cloned()
    })
}
