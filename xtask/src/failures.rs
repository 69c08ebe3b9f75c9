//! Failed tests said again at the end, where a person looks: with thousands of tests, what one of them said stands
//! thousands of lines above.

use anyhow::{Context, Result};
use std::{
    io::{BufRead, BufReader, Read, Write},
    process::{Command, ExitStatus},
    sync::mpsc,
    thread,
    time::Duration,
};

/// How much is said again of one test, how much of a line, and of how many tests: what a screen or two hold. All of it
/// stands above.
const LINES_MAX: usize = 30;
const LETTERS_MAX: usize = 1000;
const TESTS_MAX: usize = 10;
/// How long the last lines may take once the tests have ended. Something that they left running may hold their output
/// open for ever.
const LAST_LINES_WITHIN: Duration = Duration::from_secs(5);

/// Runs `cargo test` by `run`, its output in plain sight, and says at the end what each failed test said.
pub fn repeat(
    mut cargo: Command,
    run: impl FnOnce(&mut Command) -> Result<ExitStatus>,
) -> Result<ExitStatus> {
    let (output, input) = std::io::pipe().context("no pipe for the tests' output")?;
    cargo.stdout(input);
    let (sender, failures) = mpsc::channel();
    thread::spawn(move || {
        let _ = sender.send(pass_on(output, std::io::stdout()));
    });
    let status = run(&mut cargo);
    // It holds the other end of the pipe.
    drop(cargo);
    let failures = failures.recv_timeout(LAST_LINES_WITHIN).unwrap_or_default();
    for Failure { test, lines } in failures.iter().take(TESTS_MAX) {
        eprintln!("  !! {test}");
        lines.iter().for_each(|line| eprintln!("    | {line}"));
    }
    if failures.len() > TESTS_MAX {
        eprintln!("  !! and {} more", failures.len() - TESTS_MAX);
    }
    status
}

/// What a test said that failed.
#[derive(Debug, Default, PartialEq, Eq)]
struct Failure {
    test: String,
    lines: Vec<String>,
}

/// Passes all lines on, and keeps what failed tests said: libtest prints it under `---- NAME stdout ----`, test after
/// test, until it lists the names under `failures:`. A stack is left out: most of it is that of the runtime.
fn pass_on(from: impl Read, mut to: impl Write) -> Vec<Failure> {
    let mut failures: Vec<Failure> = Vec::new();
    let mut is_said = false;
    for line in BufReader::new(from).split(b'\n').map_while(Result::ok) {
        // Whoever read our output has gone; the tests go on.
        let _ = to.write_all(&line).and_then(|()| to.write_all(b"\n"));
        let line = String::from_utf8_lossy(&line);
        let name = line.strip_prefix("---- ").and_then(|rest| rest.strip_suffix(" stdout ----"));
        if let Some(name) = name {
            failures.push(Failure { test: name.to_owned(), lines: Vec::new() });
            is_said = true;
        } else if ["failures:", "stack backtrace:"].contains(&line.as_ref()) {
            is_said = false;
        } else if is_said
            && let Some(failure) = failures.last_mut()
            && failure.lines.len() < LINES_MAX
            && !line.is_empty()
        {
            failure.lines.push(line.chars().take(LETTERS_MAX).collect());
        }
    }
    failures
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_failed_tests_said_is_kept_and_everything_is_passed_on() {
        let output = "running 3 tests\ntest a::b ... FAILED\ntest c ... ok\n\nfailures:\n\n\
            ---- a::b stdout ----\n\nthread 'a::b' panicked at a.rs:1:1:\n3 of 4\nstack backtrace:\n   0: b\n\n\
            ---- d stdout ----\nno reason\n\n\nfailures:\n    a::b\n    d\n\n\
            test result: FAILED. 1 passed; 2 failed\nno failure\n";
        let mut passed_on = Vec::new();
        let failures = pass_on(output.as_bytes(), &mut passed_on);
        let failure = |test: &str, lines: &[&str]| Failure {
            test: test.to_owned(),
            lines: lines.iter().map(|&line| line.to_owned()).collect(),
        };
        assert_eq!(
            failures,
            [
                failure("a::b", &["thread 'a::b' panicked at a.rs:1:1:", "3 of 4"]),
                failure("d", &["no reason"]),
            ]
        );
        assert_eq!(String::from_utf8(passed_on).unwrap(), output);
    }

    #[test]
    fn what_the_tests_left_running_is_not_waited_for_without_end() {
        let mut command = Command::new("sh");
        command.args(["-c", "sleep 60 & exit 3"]);
        let status = repeat(command, |command| Ok(command.status()?)).unwrap();
        assert_eq!(status.code(), Some(3));
    }
}
