//! One server process and its folder, bound to the life of this process.
//!
//! The server is a child of a small shell that reads a pipe whose other end only this process holds. When this process
//! ends, by whatever cause, the kernel closes the pipe, the shell kills the server and removes the folder. A `Drop`
//! alone would not do: statics are never dropped, and a killed process drops nothing.

use std::fmt;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};

/// How long a server may take until it answers. One second is usual; the rest is for a machine that also compiles.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// How often the log is looked at while waiting.
const POLL_EVERY: Duration = Duration::from_millis(10);
/// How many ports are tried: between finding a free port and the server's bind, another process may take it.
const PORTS_TRIED_MAX: u32 = 5;

/// `$0` is the folder, `$1` the log, the rest the server's command. A line on stdin asks to kill the server and keep
/// the folder; the end of stdin, to kill it and remove the folder. Hang-ups are ignored because the kernel sends one to
/// the shell's whole group when this process dies while the server is paused.
const WATCHDOG: &str = r#"
trap '' HUP INT TERM
log=$1; shift
: >"$log"
"$@" >>"$log" 2>&1 </dev/null &
echo $!
exec >/dev/null 2>&1
folder=$0
if read -r _; then folder=; fi
kill -9 $!
wait $!
[ -z "$folder" ] || rm -rf "$folder"
"#;

/// How one kind of server is started.
pub(crate) struct Recipe {
    /// For messages and for the name of the log file.
    pub name: &'static str,
    /// The words in the log after which the server answers.
    pub ready_words: &'static str,
}

/// A running server (or one that was killed and can be started again).
pub(crate) struct Server {
    recipe: Recipe,
    folder: PathBuf,
    watched: Option<Watched>,
}

/// The shell, the end of its pipe, and the server's process id.
struct Watched {
    shell: Child,
    pipe: ChildStdin,
    pid: Pid,
}

/// A server that did not come to answer.
#[derive(Debug)]
struct NotStarted {
    words: String,
    port_taken: bool,
}

impl fmt::Display for NotStarted {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.words)
    }
}

impl std::error::Error for NotStarted {}

impl Server {
    /// A server without a process yet, in a new temporary folder that goes away with it.
    pub(crate) fn new(recipe: Recipe) -> Result<Self> {
        Self::new_below(recipe, &std::env::temp_dir())
    }

    /// As [`Self::new`], with the folder below this one, which decides on what kind of disk the server keeps its data.
    pub(crate) fn new_below(recipe: Recipe, parent: &Path) -> Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix(&format!("shopkeeper-{}.", recipe.name))
            .tempdir_in(parent)
            .with_context(|| format!("cannot make a folder in {}", parent.display()))?
            .keep();
        Ok(Self { recipe, folder, watched: None })
    }

    /// The server's own folder.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Runs `command` under the watchdog and waits until the server says that it is ready.
    pub(crate) fn start(&mut self, command: &Command) -> Result<()> {
        ensure!(self.watched.is_none(), "{} runs already", self.recipe.name);
        let mut shell = Command::new("/bin/sh")
            .args(["-c", WATCHDOG])
            .args([self.folder.as_path(), &self.log_file()])
            .arg(command.get_program())
            .args(command.get_args())
            .current_dir(&self.folder)
            // A Ctrl-C in the terminal goes to the test's process group; the watchdog must outlive it to do its work.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot run /bin/sh")?;
        let pipe = shell.stdin.take().expect("stdin is piped");
        let mut line = String::new();
        BufReader::new(shell.stdout.take().expect("stdout is piped")).read_line(&mut line)?;
        let pid = line
            .trim()
            .parse()
            .ok()
            .and_then(Pid::from_raw)
            .context("the watchdog names no process")?;
        self.watched = Some(Watched { shell, pipe, pid });
        self.wait_until_ready()
    }

    fn wait_until_ready(&mut self) -> Result<()> {
        let deadline = Instant::now() + READY_WITHIN;
        let name = self.recipe.name;
        loop {
            if fs::read_to_string(self.log_file())
                .is_ok_and(|log| log.contains(self.recipe.ready_words))
            {
                return Ok(());
            }
            let ended = !self.is_running();
            if ended || Instant::now() > deadline {
                let log = fs::read_to_string(self.log_file()).unwrap_or_default();
                self.kill();
                let what = if ended { "ended at its start" } else { "is not ready in time" };
                let port_taken = log.to_lowercase().contains("address already in use");
                let words = format!("{name} {what}; its log ends with:\n{}", last_lines(&log));
                return Err(NotStarted { words, port_taken }.into());
            }
            std::thread::sleep(POLL_EVERY);
        }
    }

    /// Whether the process exists and has not ended.
    pub(crate) fn is_running(&self) -> bool {
        self.watched.as_ref().is_some_and(|watched| is_alive(watched.pid))
    }

    /// The id of the process, unless it was killed.
    pub(crate) fn process_id(&self) -> Option<u32> {
        self.watched.as_ref().map(|watched| watched.pid.as_raw_nonzero().get().unsigned_abs())
    }

    /// Kills the server without a word and keeps its folder. Nothing happens when it does not run.
    pub(crate) fn kill(&mut self) {
        if let Some(mut watched) = self.watched.take() {
            // Fails only when the watchdog is gone, and then so is the server.
            let _ = watched.pipe.write_all(b"kill\n");
            let _ = watched.shell.wait();
        }
    }

    /// Stops the server without ending it: connections stay open and nothing answers.
    pub(crate) fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets a paused server go on.
    pub(crate) fn resume(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        let watched = self.watched.as_ref().expect("the server was killed and not started again");
        kill_process(watched.pid, signal).expect("the watchdog has not reaped the server");
    }

    /// Where it writes what it has to say.
    pub(crate) fn log_file(&self) -> PathBuf {
        self.folder.join(format!("{}.log", self.recipe.name))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        match self.watched.take() {
            Some(Watched { mut shell, pipe, .. }) => {
                drop(pipe);
                let _ = shell.wait();
            }
            // Best effort: a folder left in the temporary folder harms nobody.
            None => drop(fs::remove_dir_all(&self.folder)),
        }
    }
}

/// Calls `start` with a free port until it succeeds, a bounded number of times; returns the port and what it made.
pub(crate) fn on_a_free_port<T>(mut start: impl FnMut(u16) -> Result<T>) -> Result<(u16, T)> {
    let mut tried = 0;
    loop {
        tried += 1;
        let port = free_port()?;
        match start(port) {
            Ok(started) => return Ok((port, started)),
            Err(error) if tried >= PORTS_TRIED_MAX => return Err(error),
            Err(error)
                if error.downcast_ref::<NotStarted>().is_some_and(|error| error.port_taken) => {}
            Err(error) => return Err(error),
        }
    }
}

/// A port that was free on all addresses a moment ago.
pub(crate) fn free_port() -> Result<u16> {
    Ok(TcpListener::bind(("0.0.0.0", 0)).context("no free port")?.local_addr()?.port())
}

/// False for a process that has ended, reaped or not.
pub(crate) fn is_alive(pid: Pid) -> bool {
    // The state follows the command's name, which stands in parentheses and may hold spaces.
    let stat =
        fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).unwrap_or_default();
    let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
    !matches!(state, None | Some('Z' | 'X'))
}

/// The end of a log, for an error.
pub(crate) fn last_lines(log: &str) -> String {
    const LINES: usize = 12;
    let lines: Vec<_> = log.lines().collect();
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}

/// Writes a file that only its owner may read.
pub(crate) fn write_private(path: &Path, text: &str) -> Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    File::options()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_another_process_took_meanwhile_is_given_up_for_the_next() {
        let taken = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let taken_port = taken.local_addr().unwrap().port();
        let mut tried = Vec::new();
        let (_, server) = on_a_free_port(|free| {
            let port = if tried.is_empty() { taken_port } else { free };
            tried.push(port);
            let mut server =
                Server::new(Recipe { name: "redis", ready_words: "Ready to accept connections" })?;
            let mut command = Command::new(crate::program::find("redis-server", "redis-server")?);
            command.args(["--bind", "127.0.0.1", "--save", "", "--port", &port.to_string()]);
            server.start(&command)?;
            Ok(server)
        })
        .unwrap();
        assert!(server.is_running());
        assert_eq!(tried.len(), 2);
    }
}
