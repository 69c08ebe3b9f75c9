//! A Redis server of its own, without persistence unless asked for.

use std::fmt::Write;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use anyhow::Result;

use crate::server::{Recipe, Server, on_a_free_port, write_private};
use crate::{program, secret};

const SERVER_PACKAGE: &str = "redis-server";
const CLIENT_PACKAGE: &str = "redis-tools";

/// A running Redis server. It ends when the guard is dropped, or when the process ends in any way.
pub struct Redis {
    port: u16,
    password: Option<String>,
    command: Command,
    socket: PathBuf,
    server: Mutex<Server>,
}

/// How a [`Redis`] is started.
#[derive(Clone, Debug, Default)]
pub struct RedisOptions {
    addresses: Vec<String>,
    settings: Vec<(String, String)>,
    password: bool,
}

impl Redis {
    /// Starts a server for the test that calls.
    ///
    /// # Panics
    /// When Redis is not installed or does not start; the message says what to do.
    pub fn start() -> Self {
        Self::options().start().unwrap_or_else(|error| panic!("{error:#}"))
    }

    /// The one server of this test process, started at the first call. Tests keep apart by the names of their keys.
    ///
    /// # Panics
    /// As [`Self::start`].
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Redis> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    /// Options for a server that needs more than the defaults.
    pub fn options() -> RedisOptions {
        RedisOptions::default()
    }

    /// The port it listens on, on 127.0.0.1 and on the addresses of [`RedisOptions::bind`].
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `redis://127.0.0.1:PORT/`, with the password when there is one.
    pub fn url(&self) -> String {
        self.url_at("127.0.0.1")
    }

    /// The URL at another address the server listens on, e.g. 10.244.0.1 for pods.
    pub fn url_at(&self, address: &str) -> String {
        let login =
            self.password.as_ref().map(|password| format!(":{password}@")).unwrap_or_default();
        format!("redis://{login}{address}:{}/", self.port)
    }

    /// Runs one command with `redis-cli` over the server's socket and returns the answer without its last newline.
    ///
    /// # Panics
    /// When Redis answers with an error, or not at all.
    pub fn cli(&self, command: &[&str]) -> String {
        self.try_cli(command).unwrap_or_else(|error| panic!("{error:#}"))
    }

    /// As [`Self::cli`], with an error in place of the panic.
    pub fn try_cli(&self, words: &[&str]) -> Result<String> {
        let mut client = Command::new(program::find("redis-cli", CLIENT_PACKAGE)?);
        client.arg("-e").arg("-s").arg(&self.socket).args(words);
        if let Some(password) = &self.password {
            // Not an argument: those can be read by every user of the machine.
            client.env("REDISCLI_AUTH", password);
        }
        Ok(program::run(&mut client)?.trim_end_matches('\n').to_owned())
    }

    /// Ends the server as a crash does.
    pub fn kill(&self) {
        self.server().kill();
    }

    /// Kills the server if it runs and starts it again on the same port, empty unless persistence was asked for.
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

impl RedisOptions {
    /// Also listens on this address of the machine, e.g. 10.244.0.1 for pods. The server then has a password.
    pub fn bind(mut self, address: &str) -> Self {
        self.addresses.push(address.to_owned());
        self.password()
    }

    /// Clients need a password, made at run time; [`Redis::url`] has it.
    pub fn password(mut self) -> Self {
        self.password = true;
        self
    }

    /// A line of the server's configuration: `setting("appendonly", "yes")`.
    pub fn setting(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Starts the server. An error says what is missing and how to get it, or shows the end of the server's log.
    pub fn start(self) -> Result<Redis> {
        let program = program::find("redis-server", SERVER_PACKAGE)?;
        let password = self.password.then(secret::generate);
        let (port, (server, command, socket)) = on_a_free_port(|port| {
            let mut server =
                Server::new(Recipe { name: "redis", ready_words: "Ready to accept connections" })?;
            let socket = server.folder().join("socket");
            let file = server.folder().join("redis.conf");
            write_private(&file, &self.configuration(port, password.as_deref()))?;
            let mut command = Command::new(&program);
            command.arg(file);
            server.start(&command)?;
            Ok((server, command, socket))
        })?;
        Ok(Redis { port, password, command, socket, server: Mutex::new(server) })
    }

    /// Paths are relative: the server runs in its folder.
    fn configuration(&self, port: u16, password: Option<&str>) -> String {
        let mut text = format!(
            "port {port}\nbind 127.0.0.1 {}\nunixsocket socket\n",
            self.addresses.join(" ")
        );
        text += "save \"\"\nappendonly no\n";
        if let Some(password) = password {
            writeln!(text, "requirepass {password}").expect("a String takes every write");
        }
        for (name, value) in &self.settings {
            writeln!(text, "{name} {value}").expect("a String takes every write");
        }
        text
    }
}
