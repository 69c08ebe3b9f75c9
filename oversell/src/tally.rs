//! What the clients at one method are told, counted while they run.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// How many orders all clients of one method send at most. A naive method may never run out of stock, because it
/// writes back numbers from before: it would go on for ever.
const TRIES_MAX: u64 = 10_000;

/// For how long clients begin orders at most: enough for every try on a disk that takes 5 ms for each COMMIT, and what
/// oversells has done so long before.
const TIME_MAX: Duration = Duration::from_secs(60);

/// What a race is taken to last at least: before the first sale there is no time to divide by.
const SHORTEST: Duration = Duration::from_millis(1);

/// The count. Clients share it.
#[derive(Debug, Default)]
pub(crate) struct Tally(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    began: Option<Instant>,
    last_sold: Option<Instant>,
    tries: u64,
    times: Vec<Duration>,
    failed: u64,
    first_failure: Option<String>,
}

/// How it stands at a moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Standing {
    /// Orders whose clients were told that they have their piece.
    pub(crate) acknowledged: u64,
    /// Orders that were sent.
    pub(crate) tries: u64,
    /// Orders that ended in neither sold nor sold out.
    pub(crate) failed: u64,
    /// Why the first of those did.
    pub(crate) first_failure: Option<String>,
    /// From the first order's start to the last sale.
    pub(crate) lasted: Duration,
    /// How long 99 of 100 acknowledged orders took at most.
    pub(crate) p99: Duration,
}

impl Standing {
    /// Acknowledged orders per second, to the last of them.
    pub(crate) fn orders_per_second(&self) -> f64 {
        self.acknowledged as f64 / self.lasted.max(SHORTEST).as_secs_f64()
    }
}

impl Tally {
    /// The number of the next order, if another may be sent at this moment.
    pub(crate) fn next(&self, now: Instant) -> Option<u64> {
        let mut counts = self.counts();
        let began = *counts.began.get_or_insert(now);
        let more = counts.tries < TRIES_MAX && now - began < TIME_MAX;
        more.then(|| {
            counts.tries += 1;
            counts.tries
        })
    }

    /// An order that was sent at `began` is acknowledged at `now`.
    pub(crate) fn sold(&self, began: Instant, now: Instant) {
        let mut counts = self.counts();
        counts.last_sold = counts.last_sold.max(Some(now));
        counts.times.push(now - began);
    }

    /// An order ended in neither sold nor sold out.
    pub(crate) fn failed(&self, why: String) {
        let mut counts = self.counts();
        counts.failed += 1;
        counts.first_failure.get_or_insert(why);
    }

    /// How it stands now.
    pub(crate) fn standing(&self) -> Standing {
        let counts = self.counts();
        let mut times = counts.times.clone();
        times.sort_unstable();
        let lasted = counts.began.zip(counts.last_sold).map(|(began, last)| last - began);
        Standing {
            acknowledged: times.len() as u64,
            tries: counts.tries,
            failed: counts.failed,
            first_failure: counts.first_failure.clone(),
            lasted: lasted.unwrap_or_default(),
            p99: p99(&times),
        }
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        // Each change is one step, so a panic elsewhere leaves none half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The smallest of the sorted times that 99 of 100 do not exceed; zero when there are none.
fn p99(sorted: &[Duration]) -> Duration {
    let place = (sorted.len() * 99).div_ceil(100);
    place.checked_sub(1).map_or(Duration::ZERO, |at| sorted[at])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_p99_is_the_smallest_time_that_99_of_100_do_not_exceed() {
        let times: Vec<_> = (1..=200).map(Duration::from_millis).collect();
        assert_eq!(p99(&times), Duration::from_millis(198));
        assert_eq!(p99(&times[..1]), Duration::from_millis(1));
        assert_eq!(p99(&[]), Duration::ZERO);
    }

    #[test]
    fn the_time_ends_with_the_last_sale() {
        let tally = Tally::default();
        let began = Instant::now();
        assert_eq!(tally.standing().lasted, Duration::ZERO);
        assert_eq!(tally.next(began), Some(1));
        tally.sold(began, began + Duration::from_millis(30));
        assert_eq!(tally.next(began + Duration::from_millis(500)), Some(2));
        let standing = tally.standing();
        assert_eq!((standing.acknowledged, standing.lasted.as_millis()), (1, 30));
        assert_eq!(standing.orders_per_second().round(), 33.0);
    }

    #[test]
    fn tries_end_by_their_number_and_by_the_time() {
        let (tally, now) = (Tally::default(), Instant::now());
        assert_eq!((0..=TRIES_MAX).filter_map(|_| tally.next(now)).last(), Some(TRIES_MAX));
        let tally = Tally::default();
        assert_eq!(tally.next(now), Some(1));
        assert_eq!(tally.next(now + TIME_MAX), None);
    }

    #[test]
    fn the_first_failure_is_kept() {
        let tally = Tally::default();
        tally.failed("one".to_owned());
        tally.failed("two".to_owned());
        let standing = tally.standing();
        assert_eq!((standing.failed, standing.first_failure.as_deref()), (2, Some("one")));
    }
}
