//! Plays scenarios one after the other, and tells a person about each in one line.

use crate::scenario::{Course, Form, Outcome, Scenario};
use anyhow::{Result, anyhow};
use futures::FutureExt;
use indicatif::{ProgressBar, ProgressStyle};
use std::{
    any::Any,
    io::IsTerminal,
    panic::AssertUnwindSafe,
    pin::pin,
    time::{Duration, Instant},
};
use tokio::time::{MissedTickBehavior, interval, timeout};

/// How long one scenario may take: many times what it takes.
const TIME_MAX_SHORT: Duration = Duration::from_secs(120);
const TIME_MAX_LONG: Duration = Duration::from_secs(4 * 3600);
/// How long all of them may take in the short form, which somebody waits for: three times what they take.
const ALL_MAX_SHORT: Duration = Duration::from_secs(600);

/// How often a running scenario is drawn on a terminal, and how often it says elsewhere that it lives.
const REDRAW: Duration = Duration::from_millis(200);
const STILL_THERE: Duration = Duration::from_secs(30);

/// Plays these scenarios; answers how many failed. Each has a seed of its own, or all have this one.
pub async fn play(scenarios: &[&Scenario], form: Form, seed: Option<u64>) -> usize {
    let mut failed = 0;
    let began = Instant::now();
    for scenario in scenarios {
        // Short enough to be typed again.
        let seed = seed.unwrap_or_else(|| rand::random::<u32>().into());
        let course = Course::new(seed, scenario.counts.of(form), form);
        let started = Instant::now();
        let time_max = match form {
            Form::Short => TIME_MAX_SHORT.min(ALL_MAX_SHORT.saturating_sub(began.elapsed())),
            Form::Long => TIME_MAX_LONG,
        };
        let result = watch(scenario, &course, one(scenario, &course, time_max)).await;
        let failures = match &result {
            Ok(outcome) => outcome.failures(course.count),
            Err(error) => vec![format!("{error:#}")],
        };
        let outcome = result.unwrap_or_default();
        println!("{}", line(scenario, &outcome, started.elapsed(), seed, failures.is_empty()));
        if !failures.is_empty() {
            failed += 1;
            failures.iter().for_each(|failure| println!("    {failure}"));
            println!("    again: SHOPKEEPER_SEED={seed} cargo xtask test faults {}", scenario.name);
        }
    }
    let (count, time) = (scenarios.len(), seconds(began.elapsed()));
    match failed {
        0 => println!("All promises were kept in {count} scenarios ({time})."),
        _ => println!("{failed} of {count} scenarios failed ({time})."),
    }
    failed
}

async fn one(scenario: &Scenario, course: &Course, time_max: Duration) -> Result<Outcome> {
    // Servers of the testkit panic with the sentence that says what is missing.
    let played = AssertUnwindSafe((scenario.run)(course)).catch_unwind();
    match timeout(time_max, played).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(panic)) => Err(anyhow!("{}", words(&*panic))),
        Err(_) => Err(anyhow!("it takes longer than {time_max:?}; last: {}", course.said())),
    }
}

fn words(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("it panicked")
}

/// Shows that a scenario is at it until it is over.
async fn watch<T>(scenario: &Scenario, course: &Course, played: impl Future<Output = T>) -> T {
    let is_terminal = std::io::stderr().is_terminal();
    let bar = ProgressBar::new_spinner();
    let style = ProgressStyle::with_template("    {spinner} {prefix} ({elapsed}) {wide_msg:.dim}");
    bar.set_style(style.expect("the template is well formed"));
    bar.set_prefix(scenario.name);
    let mut played = pin!(played);
    let mut tick = interval(if is_terminal { REDRAW } else { STILL_THERE });
    tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
    tick.tick().await;
    loop {
        tokio::select! {
            done = &mut played => {
                bar.finish_and_clear();
                return done;
            }
            _ = tick.tick() => {
                bar.set_message(course.said());
                bar.tick();
                if !is_terminal {
                    eprintln!(".. {}: {}", scenario.name, course.said());
                }
            }
        }
    }
}

fn line(
    scenario: &Scenario,
    outcome: &Outcome,
    took: Duration,
    seed: u64,
    is_well: bool,
) -> String {
    let mark = if is_well { "ok" } else { "!!" };
    let Outcome { faults, told, sometimes: _, violations: _, slowest, notes } = outcome;
    let mut line = format!("{mark} {:<30} {faults} {}; {told}", scenario.name, scenario.fault);
    if !slowest.is_zero() {
        line += &format!("; served again after {} at most", seconds(*slowest));
    }
    for note in notes {
        line += &format!("; {note}");
    }
    line + &format!(" ({}, seed {seed})", seconds(took))
}

fn seconds(time: Duration) -> String {
    match time.as_secs() {
        0..60 => format!("{:.1} s", time.as_secs_f64()),
        whole => format!("{} min {:02} s", whole / 60, whole % 60),
    }
}
