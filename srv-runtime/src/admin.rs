//! The admin port: `/livez`, `/readyz` and `/metrics` over HTTP/1.

use crate::Metrics;
use axum::{Router, http::StatusCode, response::IntoResponse, routing::get};
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
};
use tokio::{net::TcpListener, task::JoinHandle};

/// What the process still waits for before it can serve. Ready when nothing is missing. Clones share one list.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<Mutex<BTreeMap<&'static str, String>>>);

impl Readiness {
    /// From now on the process is not ready, because `what` is missing for the reason `why`.
    pub fn lacks(&self, what: &'static str, why: impl Into<String>) {
        self.missing().insert(what, why.into());
    }

    /// `what` is there now.
    pub fn has(&self, what: &'static str) {
        self.missing().remove(what);
    }

    /// `None` when the process is ready, otherwise one line for each thing it lacks.
    pub fn unready(&self) -> Option<String> {
        let missing = self.missing();
        let lines = missing.iter().map(|(what, why)| format!("{what}: {why}\n"));
        (!missing.is_empty()).then(|| lines.collect())
    }

    fn missing(&self) -> std::sync::MutexGuard<'_, BTreeMap<&'static str, String>> {
        self.0.lock().expect("no holder of this lock panics")
    }
}

/// The admin port of a process, open until this is dropped.
pub struct Admin {
    address: SocketAddr,
    server: JoinHandle<()>,
}

/// The admin port could not be opened.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot listen on the admin address {address}: free it, or choose another one with --admin-port"
)]
pub struct AdminError {
    address: SocketAddr,
    #[source]
    source: std::io::Error,
}

impl Admin {
    /// Opens `address` (port 0 chooses a free one) and serves `/livez` (always 200: the event loop turns), `/readyz`
    /// (200, or 503 and what is missing, a line each) and `/metrics`.
    pub async fn start(
        address: SocketAddr,
        readiness: Readiness,
        metrics: Metrics,
    ) -> Result<Self, AdminError> {
        let refuse = |source| AdminError { address, source };
        let listener = TcpListener::bind(address).await.map_err(refuse)?;
        let address = listener.local_addr().map_err(refuse)?;
        let routes = routes(readiness, metrics);
        let server = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, routes).await {
                tracing::error!(%error, "the admin port closed");
            }
        });
        Ok(Self { address, server })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Admin {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn routes(readiness: Readiness, metrics: Metrics) -> Router {
    let ready = async move || match readiness.unready() {
        None => (StatusCode::OK, "ready\n".to_owned()),
        Some(missing) => (StatusCode::SERVICE_UNAVAILABLE, missing),
    };
    let numbers =
        async move || ([("content-type", prometheus::TEXT_FORMAT)], metrics.text()).into_response();
    Router::new()
        .route("/livez", get(async || "alive\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(numbers))
}
