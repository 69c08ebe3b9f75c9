//! What a person sees: one line per claim, with the time it took.

use crate::{arguments::Arguments, install};
use std::{
    io::IsTerminal,
    time::{Duration, Instant},
};

/// Prints the acts and lines of the demo, and counts the claims.
pub(crate) struct Stage {
    start: Instant,
    claims: u32,
    colour: bool,
}

impl Stage {
    pub(crate) fn new() -> Self {
        let colour = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        Self { start: Instant::now(), claims: 0, colour }
    }

    /// Begins an act.
    pub(crate) fn act(&self, title: &str) {
        println!("\n{}", self.paint("1", title));
    }

    /// A claim that was checked and is true, and how long what it speaks of took.
    pub(crate) fn claim(&mut self, took: Duration, sentence: &str) {
        self.claims += 1;
        println!("  {} {:>9}  {sentence}", self.paint("32", "ok"), readable(took));
    }

    /// A line that adds to the claim above it.
    pub(crate) fn detail(&self, line: &str) {
        println!("                {line}");
    }

    /// A line that stands by itself.
    pub(crate) fn say(&self, line: &str) {
        println!("{line}");
    }

    pub(crate) fn failed(&self, error: &anyhow::Error) {
        println!("  {}  {error:#}", self.paint("31", "FALSE"));
    }

    /// The last line of a demo in which everything was true.
    pub(crate) fn all_true(&self) {
        let total = readable(self.start.elapsed());
        println!(
            "\n{} {} claims, each checked, in {total}.",
            self.paint("32;1", "All true:"),
            self.claims
        );
    }

    /// Shows the state of the shop after a failure, so that the reader need not ask for it.
    pub(crate) async fn tell_why(&self, arguments: &Arguments) {
        let Ok(cluster) = install::connect(arguments).await else { return };
        let namespace = arguments.namespace.as_str();
        for question in [
            ["get", "shop,pods,pvc", "-o", "wide"].as_slice(),
            &["get", "events", "--sort-by=.lastTimestamp"],
            &[
                "logs",
                "--selector=app.kubernetes.io/name",
                "--all-containers",
                "--tail=15",
                "--prefix",
            ],
        ] {
            let asked = [question, &["--namespace", namespace]].concat();
            println!("\n$ kubectl {}", asked.join(" "));
            match cluster.kubectl(&asked).await {
                Ok(answer) => println!("{}", answer.trim_end()),
                Err(error) => println!("{error:#}"),
            }
        }
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// A duration as a person says it: `12 ms`, `4.2 s`.
fn readable(duration: Duration) -> String {
    match duration.as_millis() {
        milliseconds @ ..1000 => format!("{milliseconds} ms"),
        _ => format!("{:.1} s", duration.as_secs_f64()),
    }
}
