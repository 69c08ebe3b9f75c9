//! The simulation is the same whenever a seed is played, breaks nothing by itself, and each bug that is put into it is
//! found by the checker.

use super::*;
use crate::checker::Invariant;
use std::collections::BTreeSet;

/// In so many seeds each bug must show.
const SEEDS: std::ops::Range<u64> = 0..30;

fn play(seed: u64) -> Run {
    end(seed, begin(seed, None)).unwrap()
}

/// What the checker finds in each seed.
fn found(bug: Option<Bug>) -> Vec<BTreeSet<Invariant>> {
    let playing: Vec<_> = SEEDS.map(|seed| (seed, begin(seed, bug))).collect();
    let runs = playing.into_iter().map(|(seed, playing)| end(seed, playing).unwrap());
    runs.map(|run| run.found.iter().map(|violation| violation.invariant).collect()).collect()
}

#[test]
fn a_seed_gives_the_same_run_whenever_it_is_played() {
    for seed in [1, 2, 3] {
        let (one, two) = (play(seed), play(seed));
        for (one, two) in one.history.calls.iter().zip(&two.history.calls) {
            assert_eq!(one, two);
        }
        assert_eq!(one.history.calls.len(), two.history.calls.len());
        assert_eq!(one.books, two.books);
        assert!(one.history.calls.len() > 100, "{} calls", one.history.calls.len());
    }
}

#[test]
fn each_bug_is_found_and_without_one_nothing_is() {
    for (seed, found) in SEEDS.zip(found(None)) {
        assert_eq!(found, BTreeSet::new(), "seed {seed}");
    }
    for bug in [
        Bug::VersionNotCompared,
        Bug::KeyNotUnique,
        Bug::AnsweredBeforeCommit,
        Bug::LostReplyTakenForFailure,
        Bug::LostReplyTakenForSuccess,
        Bug::HalfWritten,
        Bug::ExpiryNotLookedAt,
    ] {
        let all = found(Some(bug));
        let seeds = all.iter().filter(|found| !found.is_empty()).count();
        let invariants: BTreeSet<_> = all.into_iter().flatten().collect();
        println!("{bug:?}: {invariants:?} in {seeds} of {} seeds", SEEDS.end);
        assert!(seeds > 0, "{bug:?} was not found");
    }
}
