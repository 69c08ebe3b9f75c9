//! The last words of a process that cannot go on.

use std::{error::Error, fs::OpenOptions, io::Write, path::Path, process::ExitCode};

/// Where the kubelet reads a container's termination message. It exists in every container and rarely anywhere else.
const TERMINATION_LOG: &str = "/dev/termination-log";

/// The kubelet keeps 4096 bytes of a termination message; a longer one would lose its end.
const MESSAGE_BYTES_MAX: usize = 4096;

/// Ends a process: exit code 0, or 1 after the error, with its causes, was written as one line to stderr and to the
/// container's termination log where there is one. For the last line of `main`.
pub fn conclude<E: Into<Box<dyn Error + Send + Sync>>>(outcome: Result<(), E>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let line = last_words(&*error.into());
            eprintln!("{line}");
            leave(Path::new(TERMINATION_LOG), &line);
            ExitCode::FAILURE
        }
    }
}

/// The error and its causes on one line; a cause that the text before it already tells is not repeated.
fn last_words(error: &(dyn Error + 'static)) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !line.contains(&text) {
            line.push_str(": ");
            line.push_str(&text);
        }
        cause = error.source();
    }
    line.replace('\n', " ")
}

/// Only a file that exists: on a machine without a kubelet none is made.
fn leave(log: &Path, line: &str) {
    let end = line.floor_char_boundary(MESSAGE_BYTES_MAX.min(line.len()));
    if let Ok(mut log) = OpenOptions::new().write(true).truncate(true).open(log) {
        let _ = log.write_all(&line.as_bytes()[..end]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("the database did not answer\nat 127.0.0.1")]
    struct Outer(#[source] std::io::Error);

    #[test]
    fn last_words_are_one_line_with_their_cause() {
        let error = Outer(std::io::Error::other("connection refused"));
        assert_eq!(
            last_words(&error),
            "the database did not answer at 127.0.0.1: connection refused"
        );
    }

    #[test]
    fn the_termination_log_gets_the_line_only_where_it_exists() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("termination-log");
        leave(&log, "lost");
        assert!(!log.exists(), "a file was made");
        std::fs::write(&log, "what stood there before, longer").unwrap();
        leave(&log, &"é".repeat(3000));
        assert_eq!(std::fs::read_to_string(&log).unwrap(), "é".repeat(2048));
    }
}
