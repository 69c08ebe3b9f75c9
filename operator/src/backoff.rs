//! How long to wait after a failure: twice as long after each one in a row, up to a bound, and spread at random so that
//! what failed together does not come back together.

use kube::runtime::utils::Backoff;
use std::time::Duration;

/// After how many failures in a row every wait has long reached its bound; counting further would only overflow.
const FAILURES_COUNTED_MAX: u32 = 16;

/// Waits that double from `first` to `longest`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Waits {
    pub(crate) first: Duration,
    pub(crate) longest: Duration,
}

impl Waits {
    /// The wait after `failures` earlier ones; `chance` from 0 to 1 spreads it between half and the whole.
    fn after(self, failures: u32, chance: f64) -> Duration {
        let whole = self.first.saturating_mul(1 << failures.min(FAILURES_COUNTED_MAX));
        whole.min(self.longest).mul_f64(0.5 + chance / 2.0)
    }
}

/// Failures in a row of one thing that is tried again and again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Failures {
    waits: Waits,
    count: u32,
}

impl Failures {
    /// None yet.
    pub(crate) fn none(waits: Waits) -> Self {
        Self { waits, count: 0 }
    }

    /// One more: how long to wait now.
    pub(crate) fn one_more(&mut self) -> Duration {
        let wait = self.waits.after(self.count, rand::random());
        self.count = (self.count + 1).min(FAILURES_COUNTED_MAX);
        wait
    }
}

/// Watches take their waits as an endless iterator.
impl Iterator for Failures {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        Some(self.one_more())
    }
}

impl Backoff for Failures {
    fn reset(&mut self) {
        self.count = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_up_to_a_bound_and_is_spread() {
        let waits = Waits { first: Duration::from_millis(250), longest: Duration::from_secs(120) };
        let whole =
            [0, 1, 2, 9, 16, u32::MAX].map(|failures| waits.after(failures, 1.0).as_millis());
        assert_eq!(whole, [250, 500, 1000, 120_000, 120_000, 120_000]);
        assert_eq!(waits.after(0, 0.0), Duration::from_millis(125));
    }

    #[test]
    fn a_success_starts_again_at_the_first_wait() {
        let wait = Duration::from_secs(1);
        let mut failures = Failures::none(Waits { first: wait, longest: wait * 60 });
        for _ in 0..5 {
            failures.one_more();
        }
        assert!(failures.one_more() > wait);
        failures.reset();
        assert!(failures.one_more() <= wait);
    }
}
