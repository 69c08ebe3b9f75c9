//! How a person sees work go on: one line per step, saying what it does and then how long it took.
//!
//! On a terminal a spinner shows the newest line of the step's log; elsewhere plain lines, and every half minute one
//! that says the step is still at it. A failed step shows the tail of its log, where all of it is, and what to do.

use crate::workspace;
use anyhow::{Context, Result, bail};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use std::{
    fmt,
    fs::File,
    io::{IsTerminal, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    process::{Command, ExitCode, ExitStatus, Stdio},
    sync::{Arc, LazyLock, Mutex, mpsc},
    thread::JoinHandle,
    time::{Duration, Instant},
};

/// How often a step that is not on a terminal says that it lives: rare enough not to fill a log, often enough that
/// nobody takes it for hung.
const STILL_THERE: Duration = Duration::from_secs(30);
/// How often a running program is looked at; short beside what a person notices.
const LOOK: Duration = Duration::from_millis(100);
/// How much of a failed step's log is shown; all of it stands in the file.
const TAIL_LINES: usize = 25;
/// Enough bytes to hold [`TAIL_LINES`] lines of a compiler.
const TAIL_BYTES: u64 = 16 * 1024;

/// The spinners of all steps under way, a line each.
static SPINNERS: LazyLock<MultiProgress> = LazyLock::new(MultiProgress::new);

/// A piece of work under way.
pub struct Step {
    what: String,
    started: Instant,
    bar: ProgressBar,
    newest: Arc<Mutex<String>>,
    heart: Option<(mpsc::Sender<()>, JoinHandle<()>)>,
}

/// Does `work` as one step named `what` ("build the images") and says how it ended.
pub fn step<T>(what: &str, work: impl FnOnce(&Step) -> Result<T>) -> Result<T> {
    let step = Step::start(what);
    let result = work(&step);
    step.end(result.is_ok());
    result
}

/// Gets something that is there most times: as [`step`], but without a line when there was nothing to say.
pub fn need<T>(what: &str, work: impl FnOnce(&Step) -> Result<T>) -> Result<T> {
    let step = Step::start(what);
    let result = work(&step);
    if result.is_ok() && step.newest().is_empty() {
        step.stop();
    } else {
        step.end(result.is_ok());
    }
    result
}

/// Runs `command` as one step; its output goes to a log. `advice` says what to do when it fails.
pub fn run(what: &str, command: &mut Command, advice: &str) -> Result<()> {
    step(what, |step| step.run(command, advice))
}

/// Has `run` run a program with its output in plain sight, for one whose output is the result, such as `cargo test`.
pub fn show(what: &str, advice: &str, run: impl FnOnce() -> Result<ExitStatus>) -> Result<()> {
    eprintln!("  .. {what}");
    let started = Instant::now();
    let status = run()?;
    let mark = if status.success() { "ok" } else { "!!" };
    eprintln!("  {mark} {what} ({})", seconds(started.elapsed()));
    if !status.success() {
        bail!("{what}: {status}; its output stands above.\nWhat to do: {advice}");
    }
    Ok(())
}

/// Makes the end of a program that speaks for itself ours: its exit code is our exit code.
pub fn handed_over(status: ExitStatus) -> Result<()> {
    if status.success() { Ok(()) } else { Err(Ended(status).into()) }
}

/// A program that speaks for itself ended with a code other than 0.
#[derive(Debug)]
pub struct Ended(ExitStatus);

impl Ended {
    /// The program's code; 1 when a signal ended it.
    pub fn code(&self) -> ExitCode {
        ExitCode::from(self.0.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(to)
    }
}

impl std::error::Error for Ended {}

impl Step {
    fn start(what: &str) -> Self {
        let newest = Arc::new(Mutex::new(String::new()));
        let bar = SPINNERS.add(ProgressBar::new_spinner());
        let mut heart = None;
        if std::io::stderr().is_terminal() {
            let style =
                ProgressStyle::with_template("  {spinner} {prefix} ({elapsed}) {wide_msg:.dim}");
            bar.set_style(style.expect("the template is well formed"));
            bar.set_prefix(what.to_owned());
            bar.enable_steady_tick(LOOK);
        } else {
            heart = Some(beat(what.to_owned(), Arc::clone(&newest)));
        }
        Self { what: what.to_owned(), started: Instant::now(), bar, newest, heart }
    }

    /// Tells what the step is doing now; off a terminal, by a line.
    pub fn say(&self, detail: &str) {
        if self.heart.is_some() {
            eprintln!("  .. {detail}");
        }
        self.show(detail);
    }

    /// As [`Self::say`], for what changes many times a second.
    fn show(&self, detail: &str) {
        self.bar.set_message(detail.to_owned());
        detail.clone_into(&mut self.newest.lock().expect("no holder panics"));
    }

    /// Runs `command` with its output in this step's log; `advice` says what to do when it fails.
    pub fn run(&self, command: &mut Command, advice: &str) -> Result<()> {
        let log = self.log()?;
        let file =
            File::create(&log).with_context(|| format!("{} cannot be written", log.display()))?;
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        let mut child = command
            .spawn()
            .with_context(|| format!("{} cannot be started", command.get_program().display()))?;
        let status = loop {
            if let Some(status) = child.try_wait()? {
                break status;
            }
            if let Some(line) = tail(&log).lines().rev().find(|line| !line.trim().is_empty()) {
                self.show(line.trim());
            }
            std::thread::sleep(LOOK);
        };
        if status.success() {
            return Ok(());
        }
        let lines = tail(&log);
        let lines: Vec<&str> = lines.lines().collect();
        let shown = lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n    | ");
        let (what, log) = (&self.what, log.display());
        bail!("{what}: {status}\n    | {shown}\nThe whole log: {log}\nWhat to do: {advice}")
    }

    fn log(&self) -> Result<PathBuf> {
        let folder = workspace::target().join("xtask");
        std::fs::create_dir_all(&folder)
            .with_context(|| format!("{} cannot be made", folder.display()))?;
        let name = self.what.replace(|letter: char| !letter.is_ascii_alphanumeric(), "-");
        Ok(folder.join(format!("{name}.log")))
    }

    fn newest(&self) -> String {
        self.newest.lock().expect("no holder panics").clone()
    }

    fn end(self, well: bool) {
        let mark = if well { "ok" } else { "!!" };
        let line = format!("  {mark} {} ({})", self.what, seconds(self.started.elapsed()));
        self.stop();
        SPINNERS.suspend(|| eprintln!("{line}"));
    }

    /// Takes away what moves.
    fn stop(self) {
        self.bar.finish_and_clear();
        if let Some((stop, heart)) = self.heart {
            drop(stop);
            heart.join().expect("the heart only prints");
        }
    }
}

/// Says every [`STILL_THERE`] that the step lives, until the sender is dropped.
fn beat(what: String, newest: Arc<Mutex<String>>) -> (mpsc::Sender<()>, JoinHandle<()>) {
    let (stop, stopped) = mpsc::channel();
    let heart = std::thread::spawn(move || {
        let started = Instant::now();
        while stopped.recv_timeout(STILL_THERE) == Err(mpsc::RecvTimeoutError::Timeout) {
            let newest = newest.lock().expect("no holder panics").clone();
            eprintln!("  .. {what} ({} so far) {newest}", seconds(started.elapsed()));
        }
    });
    (stop, heart)
}

/// The end of a log as text; what cannot be read is shown as nothing.
fn tail(log: &Path) -> String {
    let read = || -> std::io::Result<Vec<u8>> {
        let mut file = File::open(log)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    String::from_utf8_lossy(&read().unwrap_or_default()).into_owned()
}

fn seconds(time: Duration) -> String {
    match time.as_secs() {
        0..60 => format!("{:.1} s", time.as_secs_f64()),
        whole => format!("{} min {:02} s", whole / 60, whole % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_step_shows_the_tail_of_its_log_and_what_to_do() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo first; echo the reason >&2; exit 3"]);
        let error = run("fail on purpose", &mut command, "mend it").unwrap_err().to_string();
        for part in ["exit status: 3", "| the reason", "fail-on-purpose.log", "What to do: mend it"]
        {
            assert!(error.contains(part), "{part:?} is missing in:\n{error}");
        }
    }

    #[test]
    fn times_read_as_a_person_says_them() {
        assert_eq!(seconds(Duration::from_millis(1250)), "1.2 s");
        assert_eq!(seconds(Duration::from_secs(425)), "7 min 05 s");
    }
}
