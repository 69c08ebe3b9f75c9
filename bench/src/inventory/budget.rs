//! How many rounds there is time for.

use std::time::{Duration, Instant};

/// What a block takes beyond its load, until it is known: fresh tables, processes, the audit.
const OVERHEAD_AT_FIRST: Duration = Duration::from_millis(900);

/// The rounds that are wanted, and the time that they may take.
pub(crate) struct Budget {
    rounds: usize,
    until: Option<Instant>,
    blocks: u32,
    overhead: Duration,
}

impl Budget {
    /// So many rounds, however long they take.
    pub(crate) fn unbounded(rounds: usize) -> Self {
        Self { rounds, until: None, blocks: 0, overhead: Duration::ZERO }
    }

    /// So many rounds, but fewer where the whole would take longer than `time` from now.
    pub(crate) fn of(time: Duration, rounds: usize) -> Self {
        Self { until: Some(Instant::now() + time), ..Self::unbounded(rounds) }
    }

    /// A block took so much longer than its load.
    pub(crate) fn note(&mut self, overhead: Duration) {
        self.blocks += 1;
        self.overhead += overhead;
    }

    /// How many rounds there is time for, at least one, when each has so many blocks of such a load and so many
    /// further blocks of another load come besides.
    pub(crate) fn rounds(&self, round: (usize, Duration), besides: (usize, Duration)) -> usize {
        let Some(until) = self.until else { return self.rounds };
        let overhead = match self.blocks {
            0 => OVERHEAD_AT_FIRST,
            blocks => self.overhead / blocks,
        };
        let seconds =
            |(blocks, load): (usize, Duration)| blocks as f64 * (load + overhead).as_secs_f64();
        let left = until.saturating_duration_since(Instant::now()).as_secs_f64();
        let for_rounds = (left - seconds(besides)).max(0.0);
        // A fraction is cut off.
        ((for_rounds / seconds(round)) as usize).clamp(1, self.rounds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn there_are_as_many_rounds_as_wanted_where_time_allows_and_never_none() {
        let nothing = (0, SECOND);
        assert_eq!(Budget::unbounded(5).rounds((1000, SECOND), nothing), 5);
        let mut budget = Budget::of(100 * SECOND, 3);
        assert_eq!(budget.rounds((10, SECOND), nothing), 3);
        // 1.9 s each at first.
        assert_eq!(budget.rounds((25, SECOND), nothing), 2);
        budget.note(3 * SECOND);
        assert_eq!(budget.rounds((10, SECOND), nothing), 2);
        assert_eq!(budget.rounds((10, SECOND), (10, SECOND)), 1);
        assert_eq!(budget.rounds((10, SECOND), (100, SECOND)), 1);
    }
}
