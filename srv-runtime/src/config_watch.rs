//! Follows the configuration while the process runs: newer revision -> valid? -> agreed by the service? -> hot half in
//! force -> acknowledged. Two sources feed one decision: the API (the push) and the mounted directory (boot copy and
//! fallback). Whatever fails, the last good configuration stays in force.

mod acknowledge;
mod api;
mod directory;
mod instruments;
mod snapshot;

use crate::{Metrics, Readiness, ServeArguments, Settings, telemetry::LogLevelHandle};
use acknowledge::Statement;
use futures::future::BoxFuture;
use instruments::Instruments;
use snapshot::{Advance, Snapshot};
use srv_config::{Acknowledgement, HotConfig, InvalidConfig, Outcome, Rejection, ServiceConfig};
use std::{path::PathBuf, pin::pin, time::Duration};
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
    time::{Instant, timeout, timeout_at},
};

/// How long a service may think about whether it can run with new hot fields.
const CHECK_TIMEOUT: Duration = Duration::from_secs(5);

/// How soon a refusal of the service is asked for again: what it missed (a Redis that refused the credentials) may be
/// repaired without a new revision.
const RECHECK: Duration = Duration::from_secs(3);

/// Readings that wait for a decision. Only the newest counts, and a decision takes microseconds unless the service has
/// to ask somebody; a source that is faster waits.
const READINGS_WAITING_MAX: usize = 8;

/// The name under which `/readyz` tells that the service refuses its first configuration.
const READY_CONDITION: &str = "configuration";

/// Where a process reads its configuration. Neither: the built-in defaults.
#[derive(Clone, Default)]
pub struct ConfigSource {
    /// The mounted directory: boot copy and fallback.
    pub directory: Option<PathBuf>,
    /// The object in the API: the push.
    pub kubernetes: Option<Kubernetes>,
}

impl ConfigSource {
    /// The source that these arguments name, and why the API is not in it although they name it: a missing API costs
    /// the push and the acknowledgements, never the service.
    pub(crate) async fn of(arguments: &ServeArguments) -> (Self, Option<kube::Error>) {
        let directory = arguments.config_dir.clone();
        let ServeArguments { config_map, pod_name, pod_namespace, .. } = arguments.clone();
        let (Some(config_map), Some(pod), Some(namespace)) = (config_map, pod_name, pod_namespace)
        else {
            return (Self { directory, kubernetes: None }, None);
        };
        match kube::Client::try_default().await {
            Ok(client) => {
                let kubernetes = Some(Kubernetes { client, namespace, config_map, pod });
                (Self { directory, kubernetes }, None)
            }
            Err(error) => (Self { directory, kubernetes: None }, Some(error)),
        }
    }
}

/// The ConfigMap to watch, and the pod that acknowledges.
#[derive(Clone)]
pub struct Kubernetes {
    /// How to reach the API server.
    pub client: kube::Client,
    /// The pod's namespace.
    pub namespace: String,
    /// `NAME-config`; acknowledgements go to `NAME-config-acks-<shard>`.
    pub config_map: String,
    /// The pod's name.
    pub pod: String,
}

/// Why there is no configuration to start with.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file of the directory cannot be read.
    #[error("cannot read {}: mount the ConfigMap there, or name another directory with --config-dir", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file, key or object does not hold what it should.
    #[error("{what}: {reason}")]
    Malformed {
        /// The file, key or object.
        what: String,
        /// Why, and what to write.
        reason: String,
    },
    /// The configuration is invalid, and there is no earlier one to stay with.
    #[error(
        "configuration revision {revision} is invalid, and there is no earlier one to stay with: {source}"
    )]
    Invalid {
        /// The newest revision.
        revision: srv_config::Revision,
        /// The field and the reason.
        source: InvalidConfig,
    },
}

/// What a service says to new hot fields before they are put in force.
pub(crate) type Check<H> =
    Box<dyn Fn(H) -> BoxFuture<'static, Result<(), Rejection>> + Send + Sync>;

/// The configuration that a process starts with.
pub(crate) struct Boot<C> {
    pub(crate) config: C,
    /// The newest reading. None without a source.
    newest: Option<Snapshot>,
    /// The newest reading is invalid, so `config` is an older one, which had been in force before.
    fell_back: bool,
    /// What went wrong with a source while another one answered; logs do not exist yet.
    pub(crate) problems: Vec<String>,
}

impl ConfigSource {
    /// Reads both sources once. The newest valid reading is what the process starts with.
    pub(crate) async fn boot<C: ServiceConfig>(&self) -> Result<Boot<C>, ConfigError> {
        let from_api = match &self.kubernetes {
            Some(kubernetes) => Some(api::read(kubernetes).await),
            None => None,
        };
        let from_directory = self.directory.as_deref().map(directory::read);
        let mut readings = Vec::new();
        let mut failure = None;
        let mut problems = Vec::new();
        for reading in [from_api, from_directory].into_iter().flatten() {
            match reading {
                Ok(snapshot) => readings.push(snapshot),
                Err(error) => {
                    problems.push(error.to_string());
                    failure = Some(error);
                }
            }
        }
        // Stable: of equal revisions the API's comes first.
        readings.sort_by_key(|snapshot| -snapshot.revision.number);
        let Some(newest) = readings.first().cloned() else {
            return match failure {
                Some(error) => Err(error),
                None => Ok(Boot { config: C::default(), newest: None, fell_back: false, problems }),
            };
        };
        let mut invalid = None;
        for Snapshot { text, revision, .. } in readings {
            match srv_config::parse::<C>(&text) {
                Ok(config) => {
                    let fell_back = invalid.is_some();
                    return Ok(Boot { config, newest: Some(newest), fell_back, problems });
                }
                Err(source) => {
                    invalid.get_or_insert(ConfigError::Invalid { revision, source });
                }
            }
        }
        Err(invalid.expect("at least one reading was invalid"))
    }
}

/// What a configuration watch changes.
pub(crate) struct ConfigWatch<C: ServiceConfig> {
    pub(crate) settings: Settings<C::Hot>,
    pub(crate) log_level: LogLevelHandle,
    pub(crate) readiness: Readiness,
    pub(crate) check: Option<Check<C::Hot>>,
}

impl<C: ServiceConfig> ConfigWatch<C> {
    /// Decides on what the process started with, then on everything newer, until the returned tasks are dropped.
    pub(crate) fn start(
        self,
        source: ConfigSource,
        boot: Boot<C>,
        metrics: &Metrics,
    ) -> JoinSet<()> {
        let instruments = Instruments::new(metrics);
        let (readings, incoming) = mpsc::channel(READINGS_WAITING_MAX);
        let (statements, to_write) = watch::channel(None);
        let mut tasks = JoinSet::new();
        if let Some(kubernetes) = source.kubernetes {
            tasks.spawn(acknowledge::keep(kubernetes.clone(), to_write));
            tasks.spawn(api::follow(kubernetes, readings.clone(), instruments.clone()));
        }
        if let Some(directory) = source.directory {
            tasks.spawn(directory::follow(directory, readings.clone(), instruments.clone()));
        }
        if !boot.fell_back {
            self.readiness.lacks(READY_CONDITION, "the service has not agreed to it yet");
        }
        let decider = Decider {
            watch: self,
            started_with: boot.config,
            instruments,
            statements,
            agreed_once: boot.fell_back,
        };
        // The decider keeps a sender, so that a process without sources does not spin on a closed channel.
        tasks.spawn(decider.run(boot.newest, incoming, readings));
        tasks
    }
}

/// Takes readings one by one and decides on the newest.
struct Decider<C: ServiceConfig> {
    watch: ConfigWatch<C>,
    started_with: C,
    instruments: Instruments,
    statements: watch::Sender<Option<Statement>>,
    /// Whether any configuration was agreed to; until then the process is not ready.
    agreed_once: bool,
}

/// How far the newest reading is.
#[derive(Clone, Copy)]
enum Verdict {
    Settled,
    /// By the service, whose reason may go away.
    Refused,
}

impl<C: ServiceConfig> Decider<C> {
    async fn run(
        mut self,
        mut newest: Option<Snapshot>,
        mut incoming: mpsc::Receiver<Snapshot>,
        _open: mpsc::Sender<Snapshot>,
    ) {
        loop {
            let Some(verdict) = self.decide_undisturbed(&mut newest, &mut incoming).await else {
                continue;
            };
            let recheck_at = Instant::now() + RECHECK;
            loop {
                let reading = incoming.recv();
                let reading = match verdict {
                    Verdict::Settled => reading.await,
                    Verdict::Refused => match timeout_at(recheck_at, reading).await {
                        Ok(reading) => reading,
                        Err(_) => break,
                    },
                };
                match advance(&mut newest, reading.expect("a sender is kept")) {
                    Advance::Revision => break,
                    Advance::Shards => self.move_shard(newest.as_ref()),
                    Advance::Nothing => {}
                }
            }
        }
    }

    /// Decides on the newest reading. Ones that bring no other revision, of which a watch that breaks again and again
    /// makes many, do not begin it anew. None if there is another revision by now.
    async fn decide_undisturbed(
        &mut self,
        newest: &mut Option<Snapshot>,
        incoming: &mut mpsc::Receiver<Snapshot>,
    ) -> Option<Verdict> {
        let asked = newest.clone();
        let verdict = {
            let mut deciding = pin!(self.decide(asked.as_ref()));
            loop {
                tokio::select! {
                    verdict = &mut deciding => break verdict,
                    reading = incoming.recv() => {
                        let reading = reading.expect("a sender is kept");
                        if advance(newest, reading) == Advance::Revision {
                            return None;
                        }
                    }
                }
            }
        };
        // The pods may have been spread anew meanwhile.
        self.move_shard(newest.as_ref());
        Some(verdict)
    }

    /// Valid? Agreed? Then in force, and only then acknowledged. Dropped at `await`, it has changed nothing.
    async fn decide(&mut self, newest: Option<&Snapshot>) -> Verdict {
        let parsed = match newest {
            None => Ok(self.started_with.clone()),
            Some(snapshot) => srv_config::parse::<C>(&snapshot.text),
        };
        let (outcome, verdict) = match parsed {
            Err(InvalidConfig { field, reason }) => {
                (Outcome::Rejected(Rejection { field, reason }), Verdict::Settled)
            }
            Ok(config) => match self.ask_service(config.hot()).await {
                Err(rejection) => (Outcome::Rejected(rejection), Verdict::Refused),
                Ok(()) => (self.put_in_force(&config), Verdict::Settled),
            },
        };
        self.tell(newest, outcome);
        verdict
    }

    async fn ask_service(&self, hot: &C::Hot) -> Result<(), Rejection> {
        let Some(check) = &self.watch.check else { return Ok(()) };
        timeout(CHECK_TIMEOUT, check(hot.clone())).await.unwrap_or_else(|_| {
            let reason = format!(
                "the service could not tell within {CHECK_TIMEOUT:?} whether it can run with this"
            );
            Err(Rejection { field: srv_config::CONFIG_FILE.to_owned(), reason })
        })
    }

    fn put_in_force(&mut self, config: &C) -> Outcome {
        self.watch.log_level.set(config.hot().log_level());
        self.watch.settings.replace(config.hot().clone());
        self.agreed_once = true;
        self.watch.readiness.has(READY_CONDITION);
        if config.restart() == self.started_with.restart() {
            Outcome::Applied
        } else {
            Outcome::AwaitsRestart
        }
    }

    fn tell(&self, newest: Option<&Snapshot>, outcome: Outcome) {
        if let (Outcome::Rejected(Rejection { field, reason }), false) =
            (&outcome, self.agreed_once)
        {
            self.watch.readiness.lacks(READY_CONDITION, format!("{field}: {reason}"));
        }
        let Some(Snapshot { revision, shards, .. }) = newest else { return };
        let acknowledgement = Acknowledgement { revision: revision.clone(), outcome };
        let statement = Statement { acknowledgement, shards: *shards };
        let outcome = &statement.acknowledgement.outcome;
        let repeated = self.statements.borrow().as_ref() == Some(&statement);
        if !repeated {
            match outcome {
                Outcome::Applied => tracing::info!(%revision, "configuration in force"),
                Outcome::AwaitsRestart => {
                    tracing::info!(%revision, "configuration in force, but for the fields under restart");
                }
                Outcome::Rejected(Rejection { field, reason }) => {
                    tracing::error!(%revision, field, reason, "configuration rejected; the last good one stays");
                }
            }
            self.instruments.decided(revision, outcome);
            self.statements.send_replace(Some(statement));
        }
    }

    /// The operator spread the pods anew; the same words go to another place.
    fn move_shard(&self, newest: Option<&Snapshot>) {
        let Some(shards) = newest.map(|snapshot| snapshot.shards) else { return };
        self.statements.send_if_modified(|statement| match statement {
            Some(statement) => std::mem::replace(&mut statement.shards, shards) != shards,
            None => false,
        });
    }
}

fn advance(newest: &mut Option<Snapshot>, reading: Snapshot) -> Advance {
    match newest {
        Some(newest) => newest.advance(reading),
        None => {
            *newest = Some(reading);
            Advance::Revision
        }
    }
}
