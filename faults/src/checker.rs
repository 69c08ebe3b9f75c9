//! The checker: holds what clients were told against what is on record, and names every promise that was broken. Pure:
//! it reads no database and no clock.

mod model;
mod order;
mod rows;
mod time;

use crate::{books::Books, history::History};
use std::fmt;

/// How many violations of one check are told; the rest is counted.
const TOLD_MAX: usize = 10;

/// What must hold whatever breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Invariant {
    /// I1: stock never falls below zero or below what is held.
    NoOversell,
    /// I2: what was acknowledged is on record once, what was refused is not, what is open is or is not.
    NoLossNoDouble,
    /// I3: the ledger of each goods is a chain that ends at what is on hand, and what is reserved is what holds hold.
    Conservation,
    /// I4: all lines of an order or none.
    Whole,
    /// I5: all answers about an order number fit together.
    OneAnswer,
    /// I6: what was answered before something else was sent also came before it.
    InOrder,
}

impl Invariant {
    /// Every one of them.
    pub const ALL: [Self; 6] = [
        Self::NoOversell,
        Self::NoLossNoDouble,
        Self::Conservation,
        Self::Whole,
        Self::OneAnswer,
        Self::InOrder,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::NoOversell => "I1 no oversell",
            Self::NoLossNoDouble => "I2 no loss, no double",
            Self::Conservation => "I3 conservation",
            Self::Whole => "I4 all or nothing",
            Self::OneAnswer => "I5 one answer per key",
            Self::InOrder => "I6 in order",
        }
    }
}

/// A broken promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which one.
    pub invariant: Invariant,
    /// What shows it.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.invariant.name(), self.what)
    }
}

/// Whether the database's clock went as ours did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// A hold dies exactly at its end.
    Steady,
    /// It jumped: a hold may be dead at any time, and live again.
    Jumps,
}

/// Everything that was promised and is not so; nothing when all is well.
pub fn violations(history: &History, books: &Books, clock: Clock) -> Vec<Violation> {
    let mut found = Found::default();
    rows::check(books, &mut found);
    order::check(history, books, clock, &mut found);
    time::check(history, books, &mut found);
    found.told()
}

/// What was found so far.
#[derive(Default)]
struct Found(Vec<Violation>);

impl Found {
    fn add(&mut self, invariant: Invariant, what: String) {
        self.0.push(Violation { invariant, what });
    }

    /// Of each invariant's violations the first, and how many more there are.
    fn told(self) -> Vec<Violation> {
        let mut told = Vec::new();
        for invariant in Invariant::ALL {
            let mut all = self.0.iter().filter(|violation| violation.invariant == invariant);
            told.extend(all.by_ref().take(TOLD_MAX).cloned());
            let more = all.count();
            if more > 0 {
                told.push(Violation { invariant, what: format!("and {more} more") });
            }
        }
        told
    }
}

#[cfg(test)]
mod tests;
