//! How fast a lane works, as far as it is known, and how long a newcomer would wait.

use std::time::Duration;

/// How much the newest batch counts in the averages: the last ten or so make the picture.
const WEIGHT: f64 = 0.1;

/// Moving averages over a lane's batches.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pace {
    seconds: f64,
    jobs: f64,
}

impl Pace {
    /// One more batch of so many jobs took so long.
    pub(super) fn note(&mut self, jobs: usize, took: Duration) {
        let (jobs, seconds) = (jobs as f64, took.as_secs_f64());
        if self.seconds == 0.0 {
            *self = Self { seconds, jobs };
            return;
        }
        self.seconds += WEIGHT * (seconds - self.seconds);
        self.jobs += WEIGHT * (jobs - self.jobs);
    }

    /// How long a batch takes.
    pub(super) fn batch(&self) -> Duration {
        Duration::from_secs_f64(self.seconds)
    }

    /// How long a newcomer behind so many others waits for its answer, if batches hold at most `cap` jobs. A batch
    /// grows with its queue, so it is the cap that counts and not what batches held so far.
    pub(super) fn wait_behind(&self, queued: usize, cap: usize) -> Duration {
        let batches = (queued / cap.max(1) + 1) as f64;
        // The batch under way, too, is to be waited for: half of it on average.
        Duration::from_secs_f64(self.seconds * (batches + 0.5))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newcomer_waits_for_the_batches_before_it() {
        let mut pace = Pace::default();
        assert_eq!(pace.wait_behind(5000, 10), Duration::ZERO, "nothing is known yet");
        pace.note(10, Duration::from_millis(20));
        assert_eq!(pace.wait_behind(0, 10), Duration::from_millis(30));
        assert_eq!(pace.wait_behind(25, 10), Duration::from_millis(70));
    }

    #[test]
    fn the_pace_follows_what_batches_take() {
        let mut pace = Pace::default();
        (0..100).for_each(|_| pace.note(1, Duration::from_millis(1)));
        (0..100).for_each(|_| pace.note(1, Duration::from_millis(9)));
        let wait = pace.wait_behind(0, 1).as_secs_f64();
        assert!((0.012..0.0136).contains(&wait), "{wait}");
    }
}
