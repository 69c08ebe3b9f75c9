//! What became of the calls of a run.

use super::{Outcome, Window};
use hdrhistogram::Histogram;
use std::{sync::Mutex, time::Duration};
use tokio::time::Instant;

/// The longest latency that is told apart from a longer one; far above every deadline of a call.
const LONGEST_MICROSECONDS: u64 = 120_000_000;
/// Latencies are kept to three significant digits, so to one part in a thousand.
const DIGITS: u8 = 3;

/// How many calls ended in each way. `accepted` counts orders: a call may carry several.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) accepted: u64,
    pub(crate) refused: u64,
    pub(crate) unavailable: u64,
    pub(crate) failed: u64,
}

/// A run's counts and latencies.
#[derive(Clone, Debug)]
pub(crate) struct Tally {
    /// Latencies of answers (accepted or refused) within the window, in microseconds.
    pub(crate) latencies: Histogram<u64>,
    /// What ended within the window.
    pub(crate) counted: Counts,
    /// What ended at any time, warm-up included: what the books must agree with.
    pub(crate) ever: Counts,
    /// Calls that were due within the window and never made, because too many were in flight.
    pub(crate) dropped: u64,
    /// Calls that had no answer when the run gave up.
    pub(crate) abandoned: u64,
    /// The first failure's words.
    pub(crate) failure: Option<String>,
}

impl Counts {
    fn note(&mut self, outcome: &Outcome) {
        match outcome {
            Outcome::Accepted(orders) => self.accepted += orders,
            Outcome::Refused => self.refused += 1,
            Outcome::Unavailable => self.unavailable += 1,
            Outcome::Failed(_) => self.failed += 1,
        }
    }

    fn add(&mut self, other: Self) {
        self.accepted += other.accepted;
        self.refused += other.refused;
        self.unavailable += other.unavailable;
        self.failed += other.failed;
    }
}

impl Default for Tally {
    fn default() -> Self {
        let latencies = Histogram::new_with_bounds(1, LONGEST_MICROSECONDS, DIGITS);
        Self {
            latencies: latencies.expect("the bounds are constants that fit"),
            counted: Counts::default(),
            ever: Counts::default(),
            dropped: 0,
            abandoned: 0,
            failure: None,
        }
    }
}

impl Tally {
    /// Notes a call that began, or should have begun, at `start` and ended at `end`. Its latency is counted when
    /// `sampled`; that it ended is counted when it ended within the window.
    pub(super) fn note(
        &mut self,
        outcome: Outcome,
        start: Instant,
        end: Instant,
        window: &Window,
        sampled: bool,
    ) {
        self.ever.note(&outcome);
        if window.holds(end) {
            self.counted.note(&outcome);
        }
        if sampled && matches!(outcome, Outcome::Accepted(_) | Outcome::Refused) {
            self.latencies.saturating_record(microseconds(end - start));
        }
        if let Outcome::Failed(words) = outcome {
            self.failure.get_or_insert(words);
        }
    }

    /// The sum of what several connections saw.
    pub(super) fn sum<'a>(shards: impl IntoIterator<Item = &'a Mutex<Self>>) -> Self {
        let mut sum = Self::default();
        for shard in shards {
            let shard = shard.lock().expect("no holder panics");
            sum.latencies.add(&shard.latencies).expect("all histograms have the same bounds");
            sum.counted.add(shard.counted);
            sum.ever.add(shard.ever);
            sum.failure = sum.failure.or_else(|| shard.failure.clone());
        }
        sum
    }

    /// The latency below which `share` of the answers came, in milliseconds.
    pub(crate) fn milliseconds_at(&self, share: f64) -> f64 {
        self.latencies.value_at_quantile(share) as f64 / 1000.0
    }
}

fn microseconds(latency: Duration) -> u64 {
    u64::try_from(latency.as_micros()).unwrap_or(u64::MAX).max(1)
}
