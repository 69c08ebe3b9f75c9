//! A program under load: started on ports of its choice, its output kept in a file, and ended with this process
//! whatever ends this one.

use anyhow::{Context, Result, bail};
use std::{
    fs,
    io::{BufRead, BufReader},
    net::SocketAddr,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    time::{Duration, Instant},
};

/// How long a program may take until it says where it serves.
const READY_WITHIN: Duration = Duration::from_secs(20);
/// How often its output is looked at while waiting.
const LOOK: Duration = Duration::from_millis(2);
/// How much of the output a failure shows.
const LAST_LINES: usize = 12;

/// `$0` is the output file, the rest the program. The end of stdin, which only we hold open, ends the program: a `Drop`
/// alone would leave it running when this process is killed.
const WATCHDOG: &str = r#"
trap '' HUP INT TERM
"$@" >"$0" 2>&1 </dev/null &
echo $!
exec >/dev/null 2>&1
read -r _
kill -9 $!
wait $!
"#;

/// A running program. It is killed when dropped.
pub(crate) struct Process {
    shell: Child,
    pipe: Option<ChildStdin>,
    id: u32,
    output: PathBuf,
}

impl Process {
    /// Starts `program`; what it writes goes to `NAME.log` in `folder`.
    pub(crate) fn start(program: &Command, folder: &Path, name: &str) -> Result<Self> {
        let output = folder.join(format!("{name}.log"));
        fs::write(&output, "")?;
        let mut shell = Command::new("/bin/sh")
            .args(["-c", WATCHDOG])
            .arg(&output)
            .arg(program.get_program())
            .args(program.get_args())
            .current_dir(folder)
            // A Ctrl-C in the terminal goes to our process group; the watchdog must outlive us to do its work.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("/bin/sh cannot be started")?;
        let pipe = shell.stdin.take();
        let mut line = String::new();
        BufReader::new(shell.stdout.take().expect("stdout is piped")).read_line(&mut line)?;
        let id = line.trim().parse().context("the watchdog names no process")?;
        Ok(Self { shell, pipe, id, output })
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.id
    }

    /// The address that stands in its output behind `words`, as soon as it does.
    pub(crate) fn address(&self, words: &str) -> Result<SocketAddr> {
        let until = Instant::now() + READY_WITHIN;
        loop {
            let written = fs::read_to_string(&self.output).unwrap_or_default();
            if let Some((_, after)) = written.split_once(words)
                && let Some(address) = after.split_whitespace().next()
                && let Ok(address) = address.parse()
            {
                return Ok(address);
            }
            let running = Path::new("/proc").join(self.id.to_string()).join("exe").exists();
            if !running || Instant::now() > until {
                let lines: Vec<_> = written.lines().collect();
                let last = lines[lines.len().saturating_sub(LAST_LINES)..].join("\n");
                let what = if running { "does not come to serve" } else { "ended" };
                bail!("{} {what}; it wrote:\n{last}", self.output.display());
            }
            std::thread::sleep(LOOK);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.pipe.take());
        let _ = self.shell.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_found_by_its_address_and_ends_with_its_guard() {
        let folder = tempfile::tempdir().unwrap();
        let mut program = Command::new("sh");
        program.args(["-c", "echo serves on 127.0.0.1:4711 now; exec sleep 60"]);
        let process = Process::start(&program, folder.path(), "program").unwrap();
        assert_eq!(process.address("serves on ").unwrap(), "127.0.0.1:4711".parse().unwrap());
        let place = Path::new("/proc").join(process.id().to_string());
        assert!(place.exists());
        let start = Instant::now();
        drop(process);
        assert!(!place.exists());
        assert!(start.elapsed() < READY_WITHIN, "it was waited for, not ended");
    }

    #[test]
    fn a_program_that_ends_shows_its_last_words() {
        let folder = tempfile::tempdir().unwrap();
        let mut program = Command::new("sh");
        program.args(["-c", "echo no such database; exit 1"]);
        let process = Process::start(&program, folder.path(), "program").unwrap();
        let error = process.address("serves on ").unwrap_err().to_string();
        assert!(error.contains("ended; it wrote:\nno such database"), "{error}");
    }
}
