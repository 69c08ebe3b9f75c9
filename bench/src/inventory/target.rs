//! An arm that runs: fresh tables, what answers, and connections to it. At its end the books are audited.

use super::{
    arm::{Arm, CONNECTIONS, Sends, Server, Tables as Where},
    books::{Place, Tables, Told},
    bulk::Bulk,
    caller::{Caller, Library},
    library,
    meter::Meter,
    process::Process,
    sent::Grpc,
    servers::{SERVES_ON, echo_refusing},
    setting::Setting,
};
use anyhow::{Context, Result, bail};
use srv_config::hash_of;
use srv_runtime::Database;
use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};
use tempfile::TempDir;
use testkit::Redis;
use tokio::time::timeout;
use tonic::Status;

/// The words before the address in the service's start line.
const SERVICE_SERVES_ON: &str = "inventory.v1 serves on ";
/// For how long the library's pool says goodbye.
const CLOSE_BOUND: Duration = Duration::from_secs(5);

/// A running arm.
pub(crate) struct Target {
    pub(crate) callers: Vec<Caller>,
    pub(crate) meter: Meter,
    processes: Vec<Process>,
    library: Option<Database>,
    tables: Option<Tables>,
    redis: Option<Redis>,
    folder: TempDir,
}

impl Target {
    /// Starts what the arm needs, with its tables in this setting.
    pub(crate) async fn start(arm: &Arm, setting: &Setting) -> Result<Self> {
        let mut target = Self {
            callers: Vec::new(),
            meter: Meter { service: Vec::new(), database: setting.server.process_id() },
            processes: Vec::new(),
            library: None,
            tables: None,
            redis: arm.needs_redis().then(|| Redis::options().start()).transpose()?,
            folder: tempfile::Builder::new()
                .prefix("shopkeeper-bench-arm.")
                .tempdir_in(setting.folder.path())?,
        };
        target.serve(arm, setting).await.with_context(|| format!("start the arm {arm}"))?;
        Ok(target)
    }

    async fn serve(&mut self, arm: &Arm, setting: &Setting) -> Result<()> {
        match &arm.server {
            Server::Service { strategy, pool, replicas, configuration } => {
                let url = self.make_tables(arm, Place::Server(setting)).await?;
                for replica in 0..*replicas {
                    let configuration = configuration_of(strategy, *pool, configuration);
                    let program = self.service(&url, replica, &configuration)?;
                    self.start_process(&program, SERVICE_SERVES_ON, arm, *replicas).await?;
                }
            }
            Server::PollingLock { pool, pause } => {
                let url = self.make_tables(arm, Place::Server(setting)).await?;
                let redis = self.redis.as_ref().context("a polled lock has a Redis")?.url();
                let mut program = ourselves("polling-lock")?;
                program.args(["--database-url", &url, "--redis-url", &redis]);
                program.args(["--pool", &pool.to_string()]);
                program.args(["--pause-milliseconds", &pause.as_millis().to_string()]);
                self.start_process(&program, SERVES_ON, arm, 1).await?;
            }
            Server::Echo => self.start_process(&ourselves("echo")?, SERVES_ON, arm, 1).await?,
            Server::RefusingEcho { strategy } => {
                let status = status_of_sold_out(strategy, setting).await?;
                let mut program = ourselves("echo")?;
                program.args(echo_refusing(&status));
                self.start_process(&program, SERVES_ON, arm, 1).await?;
            }
            Server::Library { strategy, pool, tables } => {
                let folder = self.folder.path().to_owned();
                let place = match tables {
                    Where::Server => Place::Server(setting),
                    Where::SqliteFile => Place::File(&folder),
                };
                let url = self.make_tables(arm, place).await?;
                let (inventory, database) = library::open(&url, strategy, *pool).await?;
                self.library = Some(database);
                self.callers = vec![Caller::Library(Library::new(inventory, arm.sends))];
                self.meter.service = vec![std::process::id()];
            }
            Server::BulkInsert { orders } => {
                let url = self.make_tables(arm, Place::Server(setting)).await?;
                self.callers = vec![Caller::Bulk(Bulk::connect(&url, *orders).await?)];
                self.meter.service = vec![std::process::id()];
            }
        }
        Ok(())
    }

    async fn make_tables(&mut self, arm: &Arm, place: Place<'_>) -> Result<String> {
        let tables = Tables::new(place, arm.sends.goods().into(), arm.sends.pieces()).await?;
        let url = tables.url().to_owned();
        self.tables = Some(tables);
        Ok(url)
    }

    /// Starts one of `among` processes and opens its share of the connections.
    async fn start_process(
        &mut self,
        program: &Command,
        serves_on: &str,
        arm: &Arm,
        among: usize,
    ) -> Result<()> {
        let name = format!("process-{}", self.processes.len());
        let process = Process::start(program, self.folder.path(), &name)?;
        let address = process.address(serves_on)?;
        for _ in 0..CONNECTIONS / among {
            self.callers.push(Caller::Grpc(Grpc::connect(address, arm.sends).await?));
        }
        self.meter.service.push(process.id());
        self.processes.push(process);
        Ok(())
    }

    /// `inventory-srv` as a pod runs it: options, and a mounted configuration directory.
    fn service(&self, url: &str, replica: usize, configuration: &str) -> Result<Command> {
        let mount = self.folder.path().join(format!("config-{replica}"));
        mount_configuration(&mount, configuration)?;
        let mut program = Command::new(beside_us("inventory-srv")?);
        program.arg("--config-dir").arg(mount).args(["--database-url", url]);
        program.args(["--grpc-port", "0", "--admin-port", "0"]);
        if let Some(redis) = &self.redis {
            program.args(["--redis-url", &redis.url()]);
        }
        Ok(program)
    }

    /// Ends what answers, audits the books against what callers were told, and gives the room back.
    pub(crate) async fn finish(self, setting: &Setting, told: Told) -> Result<()> {
        let Self { callers, processes, library, tables, redis, folder, meter: _ } = self;
        drop(processes);
        for caller in &callers {
            if let Caller::Bulk(bulk) = caller {
                bulk.settle().await?;
            }
        }
        drop(callers);
        if let Some(database) = library {
            let _ = timeout(CLOSE_BOUND, database.close()).await;
        }
        if let Some(tables) = tables {
            tables.audit(told).await?;
            tables.drop(setting).await?;
        }
        drop((redis, folder));
        Ok(())
    }
}

/// The status that the service gives under this strategy when the goods are sold out.
async fn status_of_sold_out(strategy: &str, setting: &Setting) -> Result<Status> {
    let arm = Arm::service(strategy, 1).sending(Sends::SellSoldOut);
    let target = Box::pin(Target::start(&arm, setting)).await?;
    let Some(Caller::Grpc(grpc)) = target.callers.first() else {
        bail!("the service has no connection")
    };
    let answer = grpc.sell(0, None).await;
    target.finish(setting, Told::default()).await?;
    answer.err().context("goods of which there are none were sold")
}

fn configuration_of(strategy: &str, pool: u32, more: &str) -> String {
    format!(
        "lockStrategy: {strategy}\n{more}restart:\n  databaseConnections: {pool}\n  logFormat: text\n  \
         drainDelaySeconds: 0\n"
    )
}

/// The three files of a mounted ConfigMap.
fn mount_configuration(folder: &Path, configuration: &str) -> Result<()> {
    fs::create_dir_all(folder)?;
    fs::write(folder.join(srv_config::CONFIG_FILE), configuration)?;
    fs::write(folder.join(srv_config::REVISION_FILE), format!("1-{}", hash_of(configuration)))?;
    fs::write(folder.join(srv_config::SHARDS_FILE), "1")?;
    Ok(())
}

/// This program, serving.
fn ourselves(what: &str) -> Result<Command> {
    let mut program = Command::new(env::current_exe()?);
    program.args(["serve", what]);
    Ok(program)
}

/// A program of the same build.
fn beside_us(name: &str) -> Result<PathBuf> {
    let program = env::current_exe()?.with_file_name(name);
    if !program.is_file() {
        bail!("{} is not there: `cargo xtask bench inventory` builds it", program.display());
    }
    Ok(program)
}

#[cfg(test)]
mod tests {
    use super::*;
    use srv_config::{InventoryConfig, LockStrategy};

    #[test]
    fn an_arm_s_configuration_is_one_that_the_service_reads() {
        for strategy in LockStrategy::ALL {
            let text = configuration_of(strategy.as_str(), 7, "limits:\n  callsInFlight: 9\n");
            let config: InventoryConfig = srv_config::parse(&text).unwrap();
            assert_eq!(config.hot.lock_strategy, strategy);
            assert_eq!(config.hot.limits.calls_in_flight, 9);
            assert_eq!(config.restart.database_connections, 7);
        }
    }
}
