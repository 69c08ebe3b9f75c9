//! A MariaDB server of its own, with the settings that keep every acknowledged commit.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use anyhow::{Context, Result};

use crate::server::{Recipe, Server, on_a_free_port};
use crate::{cache, mysql_client, program, secret};

const SERVER_PACKAGE: &str = "mariadb-server-core";
const DUMP_PACKAGE: &str = "mariadb-client";

/// Settings of every server here: durable as production needs them (power loss keeps every acknowledged commit, also in
/// the binary log), READ COMMITTED as the services use it, and small.
const SETTINGS: [&str; 12] = [
    "--innodb-flush-log-at-trx-commit=1",
    "--sync-binlog=1",
    "--log-bin=binlog",
    "--binlog-format=ROW",
    "--server-id=1",
    "--transaction-isolation=READ-COMMITTED",
    "--character-set-server=utf8mb4",
    "--skip-name-resolve",
    "--max-connections=1000",
    "--innodb-buffer-pool-size=64M",
    "--innodb-log-file-size=16M",
    "--performance-schema=OFF",
];

/// A running MariaDB server. It and its data end when the guard is dropped, or when the process ends in any way.
///
/// `root` has no password and can only log in from 127.0.0.1; for any other address make an [`Account`].
pub struct MariaDb {
    port: u16,
    command: Command,
    socket: PathBuf,
    server: Mutex<Server>,
    databases: AtomicU32,
}

/// How a [`MariaDb`] is started.
#[derive(Clone, Debug, Default)]
pub struct MariaDbOptions {
    addresses: Vec<String>,
    settings: Vec<String>,
    environment: Vec<String>,
    folder: Option<PathBuf>,
}

/// A user that may log in from any address, with a password made at run time.
#[derive(Clone)]
pub struct Account {
    /// Its name.
    pub user: String,
    /// Its password.
    pub password: String,
    database: String,
    port: u16,
}

impl MariaDb {
    /// Starts a server for the test that calls.
    ///
    /// # Panics
    /// When MariaDB is not installed or does not start; the message says what to do.
    pub fn start() -> Self {
        Self::options().start().unwrap_or_else(|error| panic!("{error:#}"))
    }

    /// The one server of this test process, started at the first call. Tests keep apart by [`Self::fresh_database`].
    ///
    /// # Panics
    /// As [`Self::start`].
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<MariaDb> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    /// Options for a server that needs more than the defaults.
    pub fn options() -> MariaDbOptions {
        MariaDbOptions::default()
    }

    /// The port it listens on, on 127.0.0.1 and on the addresses of [`MariaDbOptions::bind`].
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The id of the server's process; none after [`Self::kill`].
    pub fn process_id(&self) -> Option<u32> {
        self.server().process_id()
    }

    /// Whether the server runs: it was not killed, and has not ended by itself.
    pub fn is_running(&self) -> bool {
        self.server().is_running()
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

    /// Creates a user that has all rights on `database` and may log in from everywhere. The database need not exist.
    ///
    /// # Panics
    /// When the server does not answer.
    pub fn account(&self, database: &str) -> Account {
        let (user, password) = (format!("u_{}", &secret::generate()[..12]), secret::generate());
        self.sql(&format!(
            "CREATE USER {user}@'%' IDENTIFIED BY '{password}'; GRANT ALL ON `{database}`.* TO {user}@'%'"
        ));
        Account { user, password, database: database.to_owned(), port: self.port }
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

    /// Writes a copy of the database of this URL into `file`, as of one moment, while others go on writing: with
    /// `mariadb-dump`, as people do.
    pub fn dump(&self, url: &str, file: &Path) -> Result<()> {
        let mut dump = Command::new(program::find("mariadb-dump", DUMP_PACKAGE)?);
        dump.args(["--no-defaults", "--user=root", "--single-transaction"])
            .arg(format!("--socket={}", self.socket.display()))
            .arg(format!("--result-file={}", file.display()))
            .arg(name_in(url));
        program::run(&mut dump)?;
        Ok(())
    }

    /// Fills the database of this URL, which is empty, with what [`Self::dump`] wrote.
    pub fn load(&self, url: &str, file: &Path) -> Result<()> {
        let (name, file) = (name_in(url), file.display());
        // A line each: both are commands of the client.
        self.try_sql(&format!("USE {name}\nSOURCE {file}\n")).map(drop)
    }

    /// Ends the server as a crash does. Its data stays for [`Self::restart`].
    pub fn kill(&self) {
        self.server().kill();
    }

    /// Kills the server if it runs and starts it again on the same port with the same data.
    ///
    /// # Panics
    /// When it does not start.
    pub fn restart(&self) {
        let mut server = self.server();
        server.kill();
        server.start(&self.command).unwrap_or_else(|error| panic!("{error:#}"));
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

impl MariaDbOptions {
    /// Also listens on this address of the machine, e.g. 10.244.0.1 for pods.
    pub fn bind(mut self, address: &str) -> Self {
        self.addresses.push(address.to_owned());
        self
    }

    /// A server setting, as on its command line without the dashes: `setting("innodb-lock-wait-timeout", "1")`.
    pub fn setting(mut self, name: &str, value: &str) -> Self {
        self.settings.push(format!("--{name}={value}"));
        self
    }

    /// A variable of the server's environment.
    pub fn environment(mut self, name: &str, value: &str) -> Self {
        self.environment.push(format!("{name}={value}"));
        self
    }

    /// Keeps the data below this folder, which exists, in place of the system's temporary folder: on its disk.
    pub fn data_below(mut self, folder: &Path) -> Self {
        self.folder = Some(folder.to_owned());
        self
    }

    /// Starts the server. An error says what is missing and how to get it, or shows the end of the server's log.
    pub fn start(self) -> Result<MariaDb> {
        let program = program::find("mariadbd", SERVER_PACKAGE)?;
        let template = template(&program)?;
        let parent = self.folder.clone().unwrap_or_else(std::env::temp_dir);
        let (port, (server, command, socket)) = on_a_free_port(|port| {
            let recipe = Recipe { name: "mariadb", ready_words: "ready for connections" };
            let mut server = Server::new_below(recipe, &parent)?;
            let data = server.folder().join("data");
            program::run(Command::new("cp").arg("-R").args([&template, &data]))?;
            let socket = server.folder().join("socket");
            let command = self.command(&program, port, &data, &socket);
            server.start(&command)?;
            Ok((server, command, socket))
        })?;
        Ok(MariaDb {
            port,
            command,
            socket,
            server: Mutex::new(server),
            databases: AtomicU32::new(0),
        })
    }

    fn command(&self, program: &Path, port: u16, data: &Path, socket: &Path) -> Command {
        let addresses = [vec!["127.0.0.1".to_owned()], self.addresses.clone()].concat().join(",");
        // `env` becomes the server, so the process is the same; the watchdog's own environment stays as it is.
        let mut command = Command::new("env");
        command
            .args(&self.environment)
            .arg(program)
            .arg("--no-defaults")
            .args(user_argument())
            .arg(format!("--datadir={}", data.display()))
            .arg(format!("--tmpdir={}", data.display()))
            .arg(format!("--socket={}", socket.display()))
            .arg(format!("--pid-file={}", socket.with_extension("pid").display()))
            .arg(format!("--bind-address={addresses}"))
            .arg(format!("--port={port}"))
            .args(SETTINGS)
            .args(&self.settings);
        command
    }
}

impl Account {
    /// The account's URL at an address the server listens on, e.g. `mysql://u_...:...@10.244.0.1:PORT/shop`.
    pub fn url(&self, address: &str) -> String {
        let Self { user, password, database, port } = self;
        format!("mysql://{user}:{password}@{address}:{port}/{database}")
    }
}

/// The database that a URL names.
fn name_in(url: &str) -> &str {
    url.rsplit_once('/').map_or(url, |(_, name)| name)
}

/// An initialised data folder to copy from: making one takes longer than the start of a server.
fn template(program: &Path) -> Result<PathBuf> {
    let version = program::run(Command::new(program).args(["--no-defaults", "--version"]))?;
    let version =
        version.split_whitespace().nth(2).context("mariadbd --version names no version")?;
    let install = program::find("mariadb-install-db", SERVER_PACKAGE)?;
    cache::once(&format!("mariadb-template-{version}"), |draft| {
        program::run(
            Command::new(install)
                .arg("--no-defaults")
                .args(user_argument())
                .args([
                    "--auth-root-authentication-method=normal",
                    "--skip-test-db",
                    "--skip-name-resolve",
                ])
                .arg("--innodb-log-file-size=16M")
                .arg(format!("--datadir={}", draft.display())),
        )?;
        Ok(())
    })
}

/// As root, MariaDB refuses to run until it is told that this is meant.
fn user_argument() -> Option<&'static str> {
    rustix::process::geteuid().is_root().then_some("--user=root")
}
