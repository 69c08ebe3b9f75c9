//! Whether the lookout sees anything.

use crate::store::StoreError;
use std::time::Duration;
use tokio::time::Instant;
use tokio::time::error::Elapsed;

/// For how long looks may fail before all watchers are sent away: who is shown nothing takes what it was shown for
/// true.
const BLIND_MAX: Duration = Duration::from_secs(5);

/// Since when looks fail, if they do.
#[derive(Debug, Default)]
pub(super) struct Sight {
    blind_since: Option<Instant>,
}

impl Sight {
    /// Notes how a look that ended at this moment went, and answers whether looks have failed for too long. It says
    /// once in the log that they fail, and once that they do no more.
    pub(super) fn is_lost_after(
        &mut self,
        look: Result<Result<(), StoreError>, Elapsed>,
        now: Instant,
    ) -> bool {
        let failure = match look {
            Ok(Ok(())) => {
                if self.blind_since.take().is_some() {
                    tracing::info!("watched stocks can be read again");
                }
                return false;
            }
            Ok(Err(error)) => error.to_string(),
            Err(elapsed) => elapsed.to_string(),
        };
        let since = *self.blind_since.get_or_insert_with(|| {
            tracing::warn!(failure, "watched stocks cannot be read; looking on");
            now
        });
        now - since >= BLIND_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed() -> Result<Result<(), StoreError>, Elapsed> {
        Ok(Err(StoreError::Moved))
    }

    #[test]
    fn watchers_are_lost_when_nothing_was_seen_for_too_long_and_not_before() {
        let mut sight = Sight::default();
        let begun = Instant::now();
        assert!(!sight.is_lost_after(failed(), begun));
        assert!(!sight.is_lost_after(failed(), begun + BLIND_MAX - Duration::from_nanos(1)));
        assert!(sight.is_lost_after(failed(), begun + BLIND_MAX));
        assert!(sight.is_lost_after(failed(), begun + 2 * BLIND_MAX), "the next ones, too");
    }

    #[test]
    fn one_look_that_succeeds_is_enough() {
        let mut sight = Sight::default();
        let begun = Instant::now();
        assert!(!sight.is_lost_after(failed(), begun));
        assert!(!sight.is_lost_after(Ok(Ok(())), begun + BLIND_MAX));
        assert!(!sight.is_lost_after(failed(), begun + BLIND_MAX));
        assert!(!sight.is_lost_after(failed(), begun + 2 * BLIND_MAX - Duration::from_nanos(1)));
    }

    #[tokio::test]
    async fn a_look_without_an_answer_has_failed() {
        let mut sight = Sight::default();
        let begun = Instant::now();
        for (later, is_lost) in [(Duration::ZERO, false), (BLIND_MAX, true)] {
            let never = tokio::time::timeout(Duration::ZERO, std::future::pending()).await;
            assert_eq!(sight.is_lost_after(never, begun + later), is_lost);
        }
    }
}
