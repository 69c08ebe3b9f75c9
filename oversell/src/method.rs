//! The methods, and what is claimed of each.

use crate::naive;
use srv_config::LockStrategy;

/// A way of taking one piece out of the stock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Reads the stock, subtracts in the program, writes the result back.
    NoLock,
    /// The same under a lock in Redis that is released before COMMIT.
    FreedBeforeCommit,
    /// The same under a lock in Redis that is released after COMMIT, and lapses while one holder is paused.
    LapsedInPause,
    /// One of the service's strategies.
    Ours(LockStrategy),
}

/// What a method must do, so that this program ends well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// It tells more clients that they have a piece than there are pieces.
    Oversells,
    /// It sells every piece once and not one more.
    SellsExactly,
}

/// A method and what is claimed of it.
#[derive(Clone, Copy, Debug)]
pub struct Trial {
    /// What the clients are let at.
    pub method: Method,
    /// What it must do.
    pub claim: Claim,
}

impl Method {
    /// The name, short enough for a column. A pause that is part of the method is said here.
    pub fn name(self) -> String {
        match self {
            Self::NoLock => "read, then write, no lock".to_owned(),
            Self::FreedBeforeCommit => "Redis lock freed before COMMIT".to_owned(),
            Self::LapsedInPause => "Redis lock 0.5 s, pause of 2 s".to_owned(),
            Self::Ours(strategy) => format!("ours: {}", strategy.as_str()),
        }
    }

    /// What is wrong with it; nothing is with ours.
    pub fn fault(self) -> Option<&'static str> {
        match self {
            Self::NoLock => Some(naive::no_lock::FAULT),
            Self::FreedBeforeCommit => Some(naive::freed_before_commit::FAULT),
            Self::LapsedInPause => Some(naive::lapsed_in_pause::FAULT),
            Self::Ours(_) => None,
        }
    }
}

impl Trial {
    /// Every method with the claim that this program makes: the naive ones oversell, and ours, every one, do not.
    pub fn all() -> Vec<Self> {
        let naive = [Method::NoLock, Method::FreedBeforeCommit, Method::LapsedInPause]
            .map(|method| Self { method, claim: Claim::Oversells });
        let ours = LockStrategy::ALL
            .map(|strategy| Self { method: Method::Ours(strategy), claim: Claim::SellsExactly });
        naive.into_iter().chain(ours).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::NAME_WIDTH;

    #[test]
    fn every_name_fits_its_column() {
        for trial in Trial::all() {
            let name = trial.method.name();
            assert!(name.len() <= NAME_WIDTH, "{name}");
        }
    }

    #[test]
    fn what_oversells_says_what_is_wrong_with_it() {
        for trial in Trial::all() {
            assert_eq!(trial.method.fault().is_some(), trial.claim == Claim::Oversells);
        }
    }

    #[test]
    fn the_row_names_the_pause_as_it_is() {
        use naive::lapsed_in_pause::{PAUSE, TTL};
        let (ttl, pause) = (TTL.as_secs_f64(), PAUSE.as_secs_f64());
        let name = format!("Redis lock {ttl} s, pause of {pause} s");
        assert_eq!(Method::LapsedInPause.name(), name);
    }
}
