//! How long a lease lasts.

use std::ops::RangeInclusive;
use std::time::Duration;

use thiserror::Error;

/// The shortest TTL leaves time for three tries of a renewal; the longest blocks a lock for ten minutes after a
/// crash.
const TTL: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(600);
/// No holder that works needs a lock for longer.
const MAX_HOLD_MAX: Duration = Duration::from_secs(3600);

/// For how long a lease holds without news of its holder, and for how long at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    ttl: Duration,
    max_hold: Duration,
}

/// Terms under which no lease is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum InvalidTerms {
    /// The TTL is too short to be renewed in time, or so long that a crash would block the lock for ever.
    #[error("a lease lasts 100 ms to 10 min, not {0:?}")]
    Ttl(Duration),
    /// A lease could not even be held for its first TTL, or for more than an hour.
    #[error("a lease is held for at least its ttl and at most an hour, not for {0:?}")]
    MaxHold(Duration),
}

impl Terms {
    /// `ttl` (100 ms to 10 min): Redis frees the lock when it was not renewed for that long; it is renewed after each
    /// third of it. `max_hold` (`ttl` to 1 h): it is not renewed beyond that, however busy its holder.
    ///
    /// # Errors
    /// When one of them is out of its range.
    pub fn new(ttl: Duration, max_hold: Duration) -> Result<Self, InvalidTerms> {
        if !TTL.contains(&ttl) {
            return Err(InvalidTerms::Ttl(ttl));
        }
        if max_hold < ttl || max_hold > MAX_HOLD_MAX {
            return Err(InvalidTerms::MaxHold(max_hold));
        }
        Ok(Self { ttl, max_hold })
    }

    /// The time after which Redis frees a lock that is not renewed.
    pub fn ttl(&self) -> Duration {
        self.ttl
    }

    /// The time after which a lease ends in any case.
    pub fn max_hold(&self) -> Duration {
        self.max_hold
    }
}

impl Default for Terms {
    /// 5 s, renewed for at most 30 s.
    fn default() -> Self {
        Self { ttl: Duration::from_secs(5), max_hold: Duration::from_secs(30) }
    }
}
