//! One process of a service, from its arguments to its exit.

use crate::{
    Admin, AdminError, ConfigError, ConfigSource, Database, DatabaseError, Local, Metrics,
    Readiness, ServeArguments, ServeError, Serving, Settings,
    config_watch::{Boot, Check, ConfigWatch},
    serve::{self, Held, Plan, seconds},
    shutdown, telemetry,
    telemetry::LogLevelHandle,
};
use futures::future::BoxFuture;
use srv_config::{HotConfig, LogFormat, Rejection, Restart, ServiceConfig};
use std::{net::SocketAddr, sync::Mutex, time::Duration};
use tokio::task::JoinSet;
use tonic::service::Routes;

/// A started process: it logs, has a configuration and answers on its admin port, but is not ready.
pub struct Process<C: ServiceConfig> {
    arguments: ServeArguments,
    local: Local,
    source: ConfigSource,
    boot: Boot<C>,
    settings: Settings<C::Hot>,
    log_level: LogLevelHandle,
    metrics: Metrics,
    readiness: Readiness,
    admin: Admin,
    check: Mutex<Option<Check<C::Hot>>>,
    connected: Mutex<Connected>,
}

/// The databases that the process closes at its end.
#[derive(Default)]
struct Connected {
    databases: Vec<Database>,
    names: Vec<String>,
    tasks: JoinSet<()>,
}

/// Why a process did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No configuration to start with.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The admin port is taken.
    #[error(transparent)]
    Admin(#[from] AdminError),
}

impl<C: ServiceConfig> Process<C> {
    /// Starts telemetry, reads the configuration and opens the admin port (alive, not ready).
    pub async fn start(arguments: ServeArguments, local: Local) -> Result<Self, StartError> {
        let (source, unusable_api) = ConfigSource::of(&arguments).await;
        let process = Self::start_with(arguments, local, source).await?;
        if let Some(error) = unusable_api {
            tracing::warn!(%error, "the Kubernetes API cannot be used; configuration comes from the directory only");
        }
        Ok(process)
    }

    /// Like [`Process::start`], with a configuration source of the caller's making: for tests against a control plane.
    pub async fn start_with(
        arguments: ServeArguments,
        local: Local,
        source: ConfigSource,
    ) -> Result<Self, StartError> {
        // The format is a configured one; what goes wrong before it is known is the error that we return.
        let boot = source.boot::<C>().await?;
        let is_local = arguments.config_dir.is_none();
        let format = if is_local { LogFormat::Text } else { boot.config.restart().log_format };
        let log_level = telemetry::start(format, boot.config.hot().log_level());
        for problem in &boot.problems {
            tracing::warn!(problem, "one source of the configuration could not be used at start");
        }
        let metrics = Metrics::new(local.process);
        let readiness = Readiness::default();
        readiness.lacks(serve::READY_CONDITION, "the process is starting");
        let port = arguments.admin_port.unwrap_or(if is_local {
            local.admin_port
        } else {
            port(boot.config.restart().admin_port)
        });
        let address = SocketAddr::new(arguments.listen, port);
        let admin = Admin::start(address, readiness.clone(), metrics.clone()).await?;
        Ok(Self {
            settings: Settings::new(boot.config.hot().clone()),
            arguments,
            local,
            source,
            boot,
            log_level,
            metrics,
            readiness,
            admin,
            check: Mutex::default(),
            connected: Mutex::default(),
        })
    }

    /// The hot fields; clone it to wherever they are used.
    pub fn settings(&self) -> Settings<C::Hot> {
        self.settings.clone()
    }

    /// The fields that this process started with.
    pub fn restart(&self) -> &Restart {
        self.boot.config.restart()
    }

    /// The process's instruments, for a service's own.
    pub fn metrics(&self) -> Metrics {
        self.metrics.clone()
    }

    /// What the process still waits for, for a service's own conditions.
    pub fn readiness(&self) -> Readiness {
        self.readiness.clone()
    }

    /// Where the admin port is.
    pub fn admin_address(&self) -> SocketAddr {
        self.admin.address()
    }

    /// Connects the database and probes it. Its credentials are followed until the end of the process, which closes it.
    pub async fn database(&self) -> Result<Database, DatabaseError> {
        const CONDITION: &str = "database";
        self.readiness.lacks(CONDITION, "not connected yet");
        let connections = u32::try_from(self.restart().database_connections).unwrap_or(1);
        let mut opened =
            self.arguments.database.open(self.local.database_file, connections).await?;
        self.readiness.has(CONDITION);
        let mut tasks = opened.attend(&self.metrics);
        let mut connected = self.connected.lock().expect("no holder of this lock panics");
        connected.tasks.spawn(async move { while tasks.join_next().await.is_some() {} });
        connected.names.push(opened.name);
        connected.databases.push(opened.database.clone());
        Ok(opened.database)
    }

    /// Asks `check` before new hot fields are put in force, and about those of the start before the process is ready.
    /// A refusal leaves the last good ones in force and is acknowledged; `check` is asked again every few seconds until
    /// it agrees or a newer revision comes. One check per process; it should answer within 5 s, and is dropped when a
    /// newer revision comes.
    pub fn check_changes(
        &self,
        check: impl Fn(C::Hot) -> BoxFuture<'static, Result<(), Rejection>> + Send + Sync + 'static,
    ) {
        *self.check.lock().expect("no holder of this lock panics") = Some(Box::new(check));
    }

    /// Serves until SIGTERM or SIGINT, then drains; a second signal ends the process at once. `services` are the full
    /// names (`inventory.v1.InventoryService`) for health and the start line, `descriptors` the encoded file descriptor
    /// sets for reflection.
    pub async fn serve(
        self,
        routes: Routes,
        services: &[&'static str],
        descriptors: &[&'static [u8]],
    ) -> Result<(), ServeError> {
        // Installed before the port opens, so that no signal is lost.
        let (requested, insisted) = (shutdown::requested(), shutdown::insisted());
        let stop = async {
            let signal = requested.await;
            tracing::info!(signal, "asked to stop");
        };
        let serving = self.listen(routes, services, descriptors).await?;
        tokio::select! {
            outcome = serving.until(stop) => outcome,
            signal = insisted => {
                tracing::warn!(signal, "asked to stop again; not waiting for calls in flight");
                Ok(())
            }
        }
    }

    /// Like [`Process::serve`], but returns when the port is open, with the real addresses and the way to stop it: for
    /// tests.
    pub async fn listen(
        self,
        routes: Routes,
        services: &[&'static str],
        descriptors: &[&'static [u8]],
    ) -> Result<Serving, ServeError> {
        let is_local = self.arguments.config_dir.is_none();
        let restart = self.boot.config.restart().clone();
        let own_port = if is_local { self.local.grpc_port } else { port(restart.grpc_port) };
        let address =
            SocketAddr::new(self.arguments.listen, self.arguments.grpc_port.unwrap_or(own_port));
        // Nobody routes to a process that a person started, so nobody has to learn that it stops.
        let drain_delay =
            if is_local { Duration::ZERO } else { seconds(restart.drain_delay_seconds) };
        let Connected { databases, names, mut tasks } =
            self.connected.into_inner().expect("no holder of this lock panics");
        let watch = ConfigWatch {
            settings: self.settings.clone(),
            log_level: self.log_level,
            readiness: self.readiness.clone(),
            check: self.check.into_inner().expect("no holder of this lock panics"),
        };
        let mut watching = watch.start(self.source, self.boot, &self.metrics);
        tasks.spawn(async move { while watching.join_next().await.is_some() {} });
        let plan = Plan {
            address,
            routes,
            services,
            descriptors,
            settings: self.settings,
            restart,
            metrics: self.metrics,
        };
        let held =
            Held { readiness: self.readiness, databases, admin: self.admin, tasks, drain_delay };
        let serving = Serving::start(plan, held).await?;
        let package = services
            .first()
            .and_then(|name| name.rsplit_once('.'))
            .map_or("gRPC", |(package, _)| package);
        let databases = if names.is_empty() { "no database".to_owned() } else { names.join(", ") };
        tracing::info!(
            "{package} serves on {} ({databases}), admin on {}",
            serving.grpc,
            serving.admin
        );
        Ok(serving)
    }
}

fn port(port: i32) -> u16 {
    u16::try_from(port).expect("a validated port")
}
