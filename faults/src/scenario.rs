//! A scenario: one kind of fault, how often, and what came of it.

use crate::history::Counts;
use anyhow::Result;
use futures::future::LocalBoxFuture;
use rand::{SeedableRng, rngs::StdRng};
use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// One kind of fault, under load, with the checker after it.
#[derive(Clone, Copy)]
pub struct Scenario {
    /// What it is called on the command line.
    pub name: &'static str,
    /// Its rows of the reliability plan.
    pub rows: &'static str,
    /// What is counted as one fault.
    pub fault: &'static str,
    /// How many of them must have come about.
    pub counts: Counted,
    /// Plays it.
    pub run: for<'a> fn(&'a Course) -> LocalBoxFuture<'a, Result<Outcome>>,
}

/// How often a fault comes about.
#[derive(Clone, Copy, Debug)]
pub struct Counted {
    /// In the short form, which runs before each change lands.
    pub short: u64,
    /// In the long form.
    pub long: u64,
}

/// Which form is played.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A few minutes in all.
    Short,
    /// The full counts: hours.
    Long,
}

impl Counted {
    /// How often in this form.
    pub fn of(self, form: Form) -> u64 {
        match form {
            Form::Short => self.short,
            Form::Long => self.long,
        }
    }
}

/// One run of a scenario.
pub struct Course {
    /// Everything that is left to chance is drawn from it.
    pub seed: u64,
    /// How many faults must come about.
    pub count: u64,
    /// Which form is played.
    pub form: Form,
    said: Mutex<String>,
}

impl Course {
    /// A run with this seed.
    pub fn new(seed: u64, count: u64, form: Form) -> Self {
        Self { seed, count, form, said: Mutex::default() }
    }

    /// The random numbers of this run.
    pub fn random(&self) -> StdRng {
        StdRng::seed_from_u64(self.seed)
    }

    /// Tells a person who waits how far it is.
    pub fn say(&self, words: impl Into<String>) {
        *self.said.lock().unwrap_or_else(PoisonError::into_inner) = words.into();
    }

    /// What was told last.
    pub fn said(&self) -> String {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// What came of a scenario.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// How many faults came about and hit something.
    pub faults: u64,
    /// What clients were told.
    pub told: Counts,
    /// What must have come about at least once, and how often it did: where it never did, the run has shown nothing.
    pub sometimes: BTreeMap<&'static str, u64>,
    /// Every promise that was broken.
    pub violations: Vec<String>,
    /// The longest time from the end of a fault until something was served again.
    pub slowest: Duration,
    /// What else a person may want to know.
    pub notes: Vec<String>,
}

impl Outcome {
    /// Something that must come about did, so many times more.
    pub fn came_about(&mut self, what: &'static str, times: u64) {
        *self.sometimes.entry(what).or_default() += times;
    }

    /// It was served again so long after a fault.
    pub fn served_after(&mut self, time: Duration) {
        self.slowest = self.slowest.max(time);
    }

    /// A promise that is no invariant of the books was not kept.
    pub fn broken(&mut self, what: impl Into<String>) {
        self.violations.push(what.into());
    }

    /// Why the run failed, if it did.
    pub fn failures(&self, promised: u64) -> Vec<String> {
        let mut failures = self.violations.clone();
        if self.faults < promised {
            let came = self.faults;
            failures.push(format!("only {came} of {promised} faults came about: it shows nothing"));
        }
        for (what, times) in &self.sometimes {
            if *times == 0 {
                failures.push(format!("never came about, so the run shows nothing: {what}"));
            }
        }
        failures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_fails_if_a_fault_that_it_promises_never_came_about() {
        let mut outcome = Outcome { faults: 3, ..Outcome::default() };
        assert_eq!(outcome.failures(3), Vec::<String>::new());
        assert_eq!(outcome.failures(4).len(), 1);
        outcome.came_about("an order is left open", 0);
        assert!(outcome.failures(3)[0].contains("an order is left open"));
        outcome.came_about("an order is left open", 1);
        assert_eq!(outcome.failures(3), Vec::<String>::new());
        outcome.broken("a promise");
        assert_eq!(outcome.failures(3), ["a promise"]);
    }
}
