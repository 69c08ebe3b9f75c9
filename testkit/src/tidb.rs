//! A TiDB server of its own: the distributed database that speaks MySQL's protocol, in one process that stands for a
//! whole cluster.
//!
//! Its embedded store takes statements, locks rows and detects deadlocks as TiKV does, and keeps nothing: it is there
//! for what SQL means on TiDB, and says nothing about durability or speed.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use anyhow::Result;

use crate::server::{Recipe, Server, on_a_free_port, write_private};
use crate::{go, mysql_client, program};

/// What every server here is told before anybody makes a table: to enforce the CHECKs of tables to come, which TiDB
/// otherwise reads over, and READ COMMITTED as the services use it.
const SETTINGS: &str =
    "SET GLOBAL tidb_enable_check_constraint = ON, GLOBAL transaction_isolation = 'READ-COMMITTED'";

/// What it logs for its port it logs for its socket, later.
const READY_WORDS: &str = "[\"server is running MySQL protocol\"] [socket=";

/// A running TiDB server. It and its data end when the guard is dropped, or when the process ends in any way.
///
/// `root` has no password; the server listens on 127.0.0.1 only.
pub struct TiDb {
    port: u16,
    socket: PathBuf,
    server: Mutex<Server>,
    databases: AtomicU32,
}

impl TiDb {
    /// Starts a server for the test that calls.
    ///
    /// # Panics
    /// When TiDB was not built or does not start; the message says what to do.
    pub fn start() -> Self {
        Self::try_start().unwrap_or_else(|error| panic!("{error:#}"))
    }

    /// The one server of this test process, started at the first call. Tests keep apart by [`Self::fresh_database`].
    ///
    /// # Panics
    /// As [`Self::start`].
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<TiDb> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    /// As [`Self::start`], with an error in place of the panic.
    pub fn try_start() -> Result<Self> {
        let program = go::built(go::TIDB)?;
        let (port, (server, socket)) = on_a_free_port(|port| {
            let mut server = Server::new(Recipe { name: "tidb", ready_words: READY_WORDS })?;
            let file = server.folder().join("tidb.toml");
            write_private(&file, &configuration(port, server.folder()))?;
            // The embedded store makes a folder where temporary ones belong, and does not always remove it.
            let mut command = Command::new(program::find("env", "coreutils")?);
            command.arg(format!("TMPDIR={}", server.folder().display()));
            // It ends before it needs the memory back.
            command.arg("GOGC=400").arg(&program);
            server.start(command.arg("--config").arg(file))?;
            let socket = server.folder().join("socket");
            Ok((server, socket))
        })?;
        let started =
            Self { port, socket, server: Mutex::new(server), databases: AtomicU32::new(0) };
        started.try_sql(SETTINGS)?;
        Ok(started)
    }

    /// The port it listens on, on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `mysql://root@127.0.0.1:PORT`, without a database.
    pub fn url(&self) -> String {
        format!("mysql://root@127.0.0.1:{}", self.port)
    }

    /// Creates an empty database of its own and returns its URL, `mysql://root@127.0.0.1:PORT/t_...`.
    ///
    /// # Panics
    /// When the server does not answer.
    pub fn fresh_database(&self) -> String {
        let name =
            format!("t_{}_{}", std::process::id(), self.databases.fetch_add(1, Ordering::Relaxed));
        self.sql(&format!("CREATE DATABASE {name}"));
        format!("{}/{name}", self.url())
    }

    /// Runs statements as root over the server's socket and returns the rows, columns separated by tabs.
    ///
    /// # Panics
    /// When a statement fails or the server does not answer.
    pub fn sql(&self, statements: &str) -> String {
        self.try_sql(statements).unwrap_or_else(|error| panic!("{error:#}"))
    }

    /// As [`Self::sql`], with an error in place of the panic.
    pub fn try_sql(&self, statements: &str) -> Result<String> {
        mysql_client::run(&self.socket, statements)
    }

    /// Ends the server as a crash does, and with it all its data: the embedded store cannot be started again on them.
    pub fn kill(&self) {
        self.server().kill();
    }

    /// Makes the server hang: connections stay open and nothing answers, until [`Self::resume`].
    pub fn pause(&self) {
        self.server().pause();
    }

    /// Ends a [`Self::pause`].
    pub fn resume(&self) {
        self.server().resume();
    }

    fn server(&self) -> MutexGuard<'_, Server> {
        // A test that panicked while it held the guard has not harmed the server behind it.
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Everything in the server's folder, and no second port for its status.
fn configuration(port: u16, folder: &Path) -> String {
    let folder = folder.display();
    format!(
        r#"
host = "127.0.0.1"
port = {port}
socket = "{folder}/socket"
store = "unistore"
path = ""
temp-dir = "{folder}/temporary"
tmp-storage-path = "{folder}/temporary"
[status]
report-status = false
"#
    )
}
