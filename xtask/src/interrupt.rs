//! Being told to end (Ctrl-C, a supervisor's SIGTERM) while something is up that must come down first.

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process_group};
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    flag,
};
use std::{
    os::unix::process::CommandExt,
    process::{Command, ExitStatus},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::sleep,
    time::{Duration, Instant},
};

/// The exit code of a process that Ctrl-C ended, as a shell says it.
const ENDED_BY_INTERRUPT: i32 = 130;
/// How often we look; short beside what a person notices.
const LOOK: Duration = Duration::from_millis(50);

/// From its making on, the first signal to end is remembered instead of ending us; a second one ends us at once.
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Begins to remember.
    pub fn watch() -> Result<Self> {
        let told = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            // In this order: the first signal finds the flag down, raises it, and only a second finds it up.
            flag::register_conditional_shutdown(signal, ENDED_BY_INTERRUPT, Arc::clone(&told))?;
            flag::register(signal, Arc::clone(&told))?;
        }
        Ok(Self(told))
    }

    /// Fails if we have been told to end.
    pub fn check(&self) -> Result<()> {
        if self.0.load(Ordering::Relaxed) {
            bail!("interrupted");
        }
        Ok(())
    }

    /// Runs a program with our input and output. When we are told to end, so is it, with all that it started; what is
    /// not gone after `grace` is killed.
    pub fn run(&self, command: &mut Command, grace: Duration) -> Result<ExitStatus> {
        let program = command.get_program().to_owned();
        // A group of its own, so that the signal reaches what cargo or the demo has started as well.
        let mut child = command
            .process_group(0)
            .spawn()
            .with_context(|| format!("{} cannot be started", program.display()))?;
        let group = i32::try_from(child.id())
            .ok()
            .and_then(Pid::from_raw)
            .context("a process has an id")?;
        let mut kill_at = None;
        loop {
            if let Some(status) = child.try_wait()? {
                self.check()?;
                return Ok(status);
            }
            match kill_at {
                None if self.check().is_err() => {
                    kill_process_group(group, Signal::TERM)?;
                    kill_at = Some(Instant::now() + grace);
                }
                Some(late) if Instant::now() > late => kill_process_group(group, Signal::KILL)?,
                _ => {}
            }
            sleep(LOOK);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::process::{getpid, kill_process};
    use std::io::Read;

    const GRACE: Duration = Duration::from_secs(20);

    #[test]
    fn a_signal_ends_what_a_program_has_started_and_leaves_us_the_clearing_up() {
        let interrupt = Interrupt::watch().unwrap();
        let (mut output, input) = std::io::pipe().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", "sleep 60 & echo; wait"]).stdout(input);
        let started = Instant::now();
        let watcher = std::thread::spawn(move || {
            output.read_exact(&mut [0]).unwrap();
            kill_process(getpid(), Signal::TERM).unwrap();
            // It ends when the last process that could write into it has ended.
            output.read_to_end(&mut Vec::new()).unwrap();
        });
        assert_eq!(interrupt.run(&mut command, GRACE).unwrap_err().to_string(), "interrupted");
        drop(command);
        watcher.join().unwrap();
        assert!(started.elapsed() < GRACE, "it was killed, not ended");
    }
}
