//! The gRPC server of a process: from the open port to the last answer.
//!
//! It stops in an order that loses no call: not ready and `NOT_SERVING`, a delay in which clients learn of it,
//! GOAWAY, streams that would last, calls in flight, detached writes, pools. Each step has a bound, because a client
//! can hang for ever.

mod body;
mod bounds;
mod calls;
mod measure;
mod routes;
mod stopping;

pub use bounds::Deadline;
pub use stopping::Stopping;

use crate::{Admin, Database, Metrics, Readiness, Settings, detached::finish_writes};
use bounds::Bounds;
use calls::CallLayer;
use measure::Measure;
use rand::RngExt;
use srv_config::{HotConfig, Restart};
use std::{net::SocketAddr, time::Duration};
use tokio::{
    net::TcpListener,
    sync::oneshot,
    task::{JoinHandle, JoinSet},
    time::{sleep, timeout},
};
use tonic::{
    service::Routes,
    transport::{Server, server::TcpIncoming},
};
use tonic_health::{ServingStatus, server::HealthReporter};

/// The name under which `/readyz` tells that the process starts or stops.
pub(crate) const READY_CONDITION: &str = "serving";

/// Request headers are small; more is an attack on memory.
const HEADER_BYTES_MAX: u32 = 16 * 1024;

/// A connection that is silent for this long is asked whether its client is still there.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(30);

/// A client that does not answer that within this time is gone.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);

/// For how long detached writes of callers that went away may go on after the drain; each statement has its own bound.
const WRITES_BOUND: Duration = Duration::from_secs(5);

/// For how long pools say goodbye. The database copes with connections that do not.
const CLOSE_BOUND: Duration = Duration::from_secs(2);

/// Why a process does not serve.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The port is taken or not allowed.
    #[error("cannot listen on {address}: free it, or choose another port with --grpc-port")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The descriptors given for reflection do not belong together.
    #[error("the file descriptors for reflection cannot be read")]
    Descriptors(#[from] tonic_reflection::server::Error),
    /// The server ended by itself.
    #[error("the gRPC server ended")]
    Server(#[from] tonic::transport::Error),
}

/// What a server is made of.
pub(crate) struct Plan<'a, H> {
    pub(crate) address: SocketAddr,
    pub(crate) routes: Routes,
    pub(crate) services: &'a [&'static str],
    pub(crate) descriptors: &'a [&'static [u8]],
    pub(crate) settings: Settings<H>,
    pub(crate) restart: Restart,
    pub(crate) metrics: Metrics,
}

/// What a server keeps alive while it runs, and lets go of in this order.
pub(crate) struct Held {
    pub(crate) readiness: Readiness,
    pub(crate) databases: Vec<Database>,
    pub(crate) admin: Admin,
    /// The configuration watch, credentials and the like.
    pub(crate) tasks: JoinSet<()>,
    pub(crate) drain_delay: Duration,
}

/// A server that is ready.
pub struct Serving {
    /// Where gRPC is served.
    pub grpc: SocketAddr,
    /// Where `/livez`, `/readyz` and `/metrics` are served.
    pub admin: SocketAddr,
    health: HealthReporter,
    services: Vec<&'static str>,
    drain: Duration,
    held: Held,
    go_away: oneshot::Sender<()>,
    stopping: Stopping,
    server: JoinHandle<Result<(), tonic::transport::Error>>,
}

impl Serving {
    /// Opens the port and serves; ready when it returns.
    pub(crate) async fn start<H: HotConfig>(
        plan: Plan<'_, H>,
        held: Held,
    ) -> Result<Self, ServeError> {
        let Plan { address, routes, services, descriptors, settings, restart, metrics } = plan;
        let refuse = |source| ServeError::Listen { address, source };
        let health = HealthReporter::new();
        let stopping = Stopping::default();
        let routes = routes::assemble(routes, descriptors, &settings, &health)?;
        let limits = move || settings.load().limits().clone();
        let bounds = Bounds::new(limits, stopping.clone(), services);
        let listener = TcpListener::bind(address).await.map_err(refuse)?;
        let grpc = listener.local_addr().map_err(refuse)?;
        let incoming = TcpIncoming::from(listener)
            .with_nodelay(Some(true))
            .with_keepalive(Some(KEEPALIVE_INTERVAL));
        let (go_away, told) = oneshot::channel::<()>();
        let shutdown = async move {
            let _ = told.await;
        };
        let server = server(&restart)
            .layer(CallLayer { measure: Measure::new(&metrics), bounds })
            .add_routes(routes)
            .serve_with_incoming_shutdown(incoming, shutdown);
        let serving = Self {
            grpc,
            admin: held.admin.address(),
            health,
            services: services.to_vec(),
            drain: seconds(restart.drain_seconds),
            held,
            go_away,
            stopping,
            server: tokio::spawn(server),
        };
        serving.report(ServingStatus::Serving).await;
        serving.held.readiness.has(READY_CONDITION);
        Ok(serving)
    }

    /// Serves until `stop` completes, then drains and stops. Ends early with the reason if the server does.
    pub async fn until(mut self, stop: impl Future<Output = ()>) -> Result<(), ServeError> {
        tokio::select! {
            ended = &mut self.server => Ok(ended.expect("the server does not panic")?),
            () = stop => self.stop().await,
        }
    }

    /// Drains and stops, as at SIGTERM.
    pub async fn stop(self) -> Result<(), ServeError> {
        let Self { drain, mut held, go_away, stopping, mut server, .. } = self.not_serving().await;
        sleep(held.drain_delay).await;
        // The receiver is gone only when the server already is.
        let _ = go_away.send(());
        stopping.begin();
        let ended = timeout(drain, &mut server).await;
        if ended.is_err() {
            tracing::warn!(
                "clients kept their connections for {drain:?} after GOAWAY; not waiting for them"
            );
            server.abort();
        }
        let unfinished = finish_writes(WRITES_BOUND).await;
        if unfinished > 0 {
            tracing::warn!(unfinished, "writes were still going on after {WRITES_BOUND:?}");
        }
        for database in &held.databases {
            let _ = timeout(CLOSE_BOUND, database.close()).await;
        }
        held.tasks.shutdown().await;
        match ended {
            Ok(ended) => Ok(ended.expect("the server does not panic")?),
            Err(_) => Ok(()),
        }
    }

    async fn not_serving(self) -> Self {
        self.held.readiness.lacks(READY_CONDITION, "the process is stopping");
        self.report(ServingStatus::NotServing).await;
        tracing::info!(delay = ?self.held.drain_delay, drain = ?self.drain, "stopping");
        self
    }

    async fn report(&self, status: ServingStatus) {
        for service in self.services.iter().copied().chain([""]) {
            self.health.set_service_status(service, status).await;
        }
    }
}

/// The transport's own bounds. `max_connection_age_grace` stays unset: tonic 0.14 would then cut connections without
/// GOAWAY. A call that a client still holds back when its connection ends by age never comes here, and one that is on
/// its way is not looked at: its own library says what their codes are (tonic's: CANCELLED and INTERNAL).
fn server(restart: &Restart) -> Server {
    let age = seconds(restart.connection_age_seconds);
    // Connections that clients opened to all pods at once must not all come back at once.
    let age = age.mul_f64(rand::rng().random_range(0.9..1.1));
    Server::builder()
        .max_concurrent_streams(u32::try_from(restart.calls_per_connection).ok())
        .max_connection_age(age)
        .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
        .http2_max_header_list_size(HEADER_BYTES_MAX)
}

pub(crate) fn seconds(seconds: i32) -> Duration {
    Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
}
