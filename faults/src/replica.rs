//! A process of the stock service: the real program, as a pod runs it.

use anyhow::{Context as _, Result, ensure};
use futures::{FutureExt, future::BoxFuture};
use hyper::{
    Request, Response,
    body::Incoming,
    client::conn::http2::{self, SendRequest},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use proto::inventory::v1::inventory_service_client::InventoryServiceClient;
use srv_config::LockStrategy;
use std::{
    env, fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};
use testkit::Process;
use tokio::{net::TcpStream, sync::watch, task::block_in_place};
use tonic::{
    body::Body,
    transport::{Channel, Endpoint},
};
use tower::Service;

const NAME: &str = "inventory-srv";
/// The words before the address in its start line.
const SERVES_ON: &str = "inventory.v1 serves on ";

/// Where clients find a replica; none while it is not there.
pub type Door = watch::Receiver<Option<Channel>>;

/// How a replica is started.
#[derive(Clone, Debug)]
pub struct Start<'a> {
    /// The database, as the replica sees it.
    pub database_url: &'a str,
    /// Redis, as the replica sees it.
    pub redis_url: Option<&'a str>,
    /// How it holds rows still.
    pub strategy: LockStrategy,
    /// Further lines of its configuration.
    pub configuration: &'a str,
    /// Further options.
    pub options: &'a [&'a str],
    /// Its environment.
    pub environment: &'a [(&'static str, String)],
}

/// A running replica. It ends with the guard.
pub struct Replica {
    process: Process,
    door: watch::Sender<Option<Channel>>,
    /// What it complained of before it was killed.
    complaints: Mutex<Vec<String>>,
}

impl Replica {
    /// Starts it, with its configuration mounted at `folder`. An error shows the end of what it wrote.
    pub fn start(start: &Start<'_>, folder: &Path) -> Result<Self> {
        mount(folder, start)?;
        let mount = folder.display().to_string();
        let mut options = Process::options(NAME, &program()?, SERVES_ON)
            .arguments(["--config-dir", &mount, "--database-url", start.database_url])
            .arguments(["--grpc-port", "0", "--admin-port", "0"])
            .arguments(start.options);
        if let Some(url) = start.redis_url {
            options = options.arguments(["--redis-url", url]);
        }
        for (name, value) in start.environment {
            options = options.environment(name, value);
        }
        let process = block_in_place(|| options.start())?;
        let (door, complaints) = (watch::Sender::new(None), Mutex::default());
        let replica = Self { process, door, complaints };
        replica.open()?;
        Ok(replica)
    }

    /// Where clients find it.
    pub fn door(&self) -> Door {
        self.door.subscribe()
    }

    /// A client of this replica alone.
    pub fn client(&self) -> Result<InventoryServiceClient<Channel>> {
        let channel = self.door.borrow().clone();
        Ok(InventoryServiceClient::new(channel.context("the replica does not run")?))
    }

    /// A client of this replica alone whose calls end when the replica ends them, and not before: tonic's channel ends
    /// each by itself when its deadline has passed, and then it would not be seen when the replica answers.
    pub async fn patient_client(&self) -> Result<InventoryServiceClient<PatientChannel>> {
        let address = self.address()?;
        let stream = TokioIo::new(TcpStream::connect(address).await?);
        let (sender, connection) = http2::handshake(TokioExecutor::new(), stream).await?;
        // Ends with the last client.
        tokio::spawn(connection);
        let origin = format!("http://{address}").parse()?;
        Ok(InventoryServiceClient::with_origin(PatientChannel(sender), origin))
    }

    /// Ends it as a crash does.
    pub fn kill(&self) {
        block_in_place(|| self.process.kill());
        self.door.send_replace(None);
        self.complaints().extend(complaints(&self.process.output()));
    }

    /// Starts it again, at a new address.
    pub fn restart(&self) -> Result<()> {
        block_in_place(|| self.process.restart())?;
        self.open()
    }

    /// Makes it hang.
    pub fn pause(&self) {
        self.process.pause();
    }

    /// Lets it go on.
    pub fn resume(&self) {
        self.process.resume();
    }

    /// How many bytes of memory it has in use.
    pub fn memory(&self) -> Result<u64> {
        let id = self.process.process_id().context("the replica does not run")?;
        let status = fs::read_to_string(format!("/proc/{id}/status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes = line.and_then(|line| line.split_whitespace().next());
        let kilobytes: u64 = kilobytes.context("the kernel tells no VmRSS")?.parse()?;
        Ok(kilobytes * 1024)
    }

    /// The last complaints that it wrote, over all its lives: what a person looks at first when a promise was broken.
    pub fn last_words(&self) -> String {
        const LINES: usize = 8;
        let mut all = self.complaints().clone();
        if self.process.process_id().is_some() {
            all.extend(complaints(&self.process.output()));
        }
        all[all.len().saturating_sub(LINES)..].join("\n      ")
    }

    fn complaints(&self) -> MutexGuard<'_, Vec<String>> {
        // Nothing is left half done by a panic under this lock.
        self.complaints.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self) -> Result<()> {
        let endpoint = Endpoint::from_shared(format!("http://{}", self.address()?))?;
        self.door.send_replace(Some(endpoint.connect_lazy()));
        Ok(())
    }

    fn address(&self) -> Result<SocketAddr> {
        let output = self.process.output();
        let address =
            output.split_once(SERVES_ON).and_then(|(_, after)| after.split_whitespace().next());
        Ok(address.context("it does not say where it serves")?.parse()?)
    }
}

/// A connection without timers.
#[derive(Clone)]
pub struct PatientChannel(SendRequest<Body>);

impl Service<Request<Body>> for PatientChannel {
    type Response = Response<Incoming>;
    type Error = hyper::Error;
    type Future = BoxFuture<'static, Result<Response<Incoming>, hyper::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), hyper::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        self.0.send_request(request).boxed()
    }
}

/// The lines of an output in which something went wrong.
fn complaints(output: &str) -> impl Iterator<Item = String> {
    let is_one = |line: &&str| line.contains("WARN") || line.contains("ERROR");
    output.lines().filter(is_one).map(str::to_owned)
}

/// The program, which is built into the folder that this one is in.
pub fn program() -> Result<PathBuf> {
    let ourselves = env::current_exe()?;
    let folder = ourselves.parent().context("this program is in no folder")?;
    // Tests are a folder further down.
    let folder = if folder.ends_with("deps") { folder.parent().unwrap_or(folder) } else { folder };
    let program = folder.join(NAME);
    ensure!(
        program.is_file(),
        "{} is not there: `cargo xtask test faults` builds it",
        program.display()
    );
    Ok(program)
}

/// The files of a mounted ConfigMap.
fn mount(folder: &Path, start: &Start<'_>) -> Result<()> {
    let configuration = format!(
        "lockStrategy: {}\n{}restart:\n  logFormat: text\n  drainDelaySeconds: 0\n",
        start.strategy.as_str(),
        start.configuration
    );
    fs::create_dir_all(folder)?;
    fs::write(folder.join(srv_config::CONFIG_FILE), &configuration)?;
    let revision = format!("1-{}", srv_config::hash_of(&configuration));
    fs::write(folder.join(srv_config::REVISION_FILE), revision)?;
    fs::write(folder.join(srv_config::SHARDS_FILE), "1")?;
    Ok(())
}
