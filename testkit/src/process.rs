//! A program of ours, run as the servers are: it dies with its test, and can be killed, paused and started again.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::Result;

use crate::program;
use crate::server::{Recipe, Server};

/// A running program. It and its folder end when the guard is dropped, or when this process ends in any way.
pub struct Process {
    command: Command,
    output: PathBuf,
    folder: PathBuf,
    server: Mutex<Server>,
}

/// How a [`Process`] is started.
#[derive(Clone, Debug)]
pub struct ProcessOptions {
    name: &'static str,
    program: PathBuf,
    ready_words: &'static str,
    arguments: Vec<String>,
    environment: Vec<String>,
}

impl Process {
    /// A program that is ready when it has written these words. `name` is for messages and for the name of its log.
    pub fn options(
        name: &'static str,
        program: &Path,
        ready_words: &'static str,
    ) -> ProcessOptions {
        ProcessOptions {
            name,
            program: program.to_owned(),
            ready_words,
            arguments: Vec::new(),
            environment: Vec::new(),
        }
    }

    /// What it has written since it was last started.
    pub fn output(&self) -> String {
        fs::read_to_string(&self.output).unwrap_or_default()
    }

    /// The folder it runs in. It goes with the guard.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The id of the process; none after [`Self::kill`].
    pub fn process_id(&self) -> Option<u32> {
        self.server().process_id()
    }

    /// Ends it as a crash does.
    pub fn kill(&self) {
        self.server().kill();
    }

    /// Kills it if it runs, starts it again and waits until it is ready. An error shows the end of what it wrote.
    pub fn restart(&self) -> Result<()> {
        let mut server = self.server();
        server.kill();
        server.start(&self.command)
    }

    /// Makes it hang: connections stay open and nothing answers, until [`Self::resume`].
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

impl ProcessOptions {
    /// Arguments of its command line.
    pub fn arguments<A: AsRef<str>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.arguments.extend(arguments.into_iter().map(|argument| argument.as_ref().to_owned()));
        self
    }

    /// A variable of its environment, which holds nothing else.
    pub fn environment(mut self, name: &str, value: &str) -> Self {
        self.environment.push(format!("{name}={value}"));
        self
    }

    /// Starts it and waits until it is ready. An error shows the end of what it wrote.
    pub fn start(self) -> Result<Process> {
        let mut server = Server::new(Recipe { name: self.name, ready_words: self.ready_words })?;
        // `env` becomes the program, so the process is the same; the watchdog's own environment stays as it is.
        let mut command = Command::new(program::find("env", "coreutils")?);
        command.arg("-i").args(&self.environment).arg(&self.program).args(&self.arguments);
        server.start(&command)?;
        Ok(Process {
            command,
            output: server.log_file(),
            folder: server.folder().to_owned(),
            server: Mutex::new(server),
        })
    }
}
