//! Moments and spans, between the wire's nanoseconds and our milliseconds.

use crate::order::{TTL_MAX, TTL_MIN, Ttl};
use crate::record::Milliseconds;
use crate::violations::{Reason, Violations};
use prost_types::{Duration, Timestamp};

const NANOSECONDS_PER_SECOND: i128 = 1_000_000_000;
const NANOSECONDS_PER_MILLISECOND: i128 = 1_000_000;

/// A stored moment as the wire has it.
pub(crate) fn timestamp(milliseconds: Milliseconds) -> Timestamp {
    let nanos = milliseconds.rem_euclid(1000) * 1_000_000;
    Timestamp {
        seconds: milliseconds.div_euclid(1000),
        nanos: i32::try_from(nanos).expect("less than a second"),
    }
}

/// Parses the ttl of a request, to whole milliseconds downwards; one out of bounds is noted in `violations`.
pub(super) fn ttl(sent: Option<Duration>, violations: &mut Violations) -> Option<Ttl> {
    let (min, max) = (TTL_MIN.milliseconds() / 1000, TTL_MAX.milliseconds() / 1000);
    let complaint = match sent {
        None => format!("must be given, {min} to {max} seconds"),
        Some(Duration { seconds, nanos }) => {
            let nanoseconds = i128::from(seconds) * NANOSECONDS_PER_SECOND + i128::from(nanos);
            // Whole milliseconds hide what is a little too long.
            let is_within =
                nanoseconds <= i128::from(TTL_MAX.milliseconds()) * NANOSECONDS_PER_MILLISECOND;
            let milliseconds = nanoseconds.div_euclid(NANOSECONDS_PER_MILLISECOND);
            let ttl = i64::try_from(milliseconds).ok().filter(|_| is_within).and_then(Ttl::new);
            if ttl.is_some() {
                return ttl;
            }
            format!("must be {min} to {max} seconds, is {seconds} s and {nanos} ns")
        }
    };
    violations.add("ttl", Reason::InvalidTtl, complaint);
    None
}

/// Parses a bound of a span of stored moments, to whole milliseconds upwards: what was stored at or after the bound was
/// stored at or after that millisecond, too, and so for before.
pub(super) fn bound(
    sent: Option<Timestamp>,
    field: &str,
    violations: &mut Violations,
) -> Option<Milliseconds> {
    let Timestamp { seconds, nanos } = sent?;
    let nanoseconds = i128::from(seconds) * NANOSECONDS_PER_SECOND + i128::from(nanos);
    let milliseconds = -(-nanoseconds).div_euclid(NANOSECONDS_PER_MILLISECOND);
    match i64::try_from(milliseconds) {
        Ok(milliseconds) if (0..1_000_000_000).contains(&nanos) => Some(milliseconds),
        _ => {
            let complaint = format!("must be a moment, is {seconds} s and {nanos} ns");
            violations.add(field, Reason::InvalidTime, complaint);
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(seconds: i64, nanos: i32) -> Option<i64> {
        let mut violations = Violations::default();
        let ttl = ttl(Some(Duration { seconds, nanos }), &mut violations);
        assert_eq!(ttl.is_none(), !violations.is_empty());
        ttl.map(Ttl::milliseconds)
    }

    #[test]
    fn a_ttl_is_1_second_to_24_hours_in_whole_milliseconds() {
        for (seconds, nanos, expected) in [
            (1, 0, Some(1_000)),
            (1, 999_999, Some(1_000)),
            (1, 1_000_000, Some(1_001)),
            (86_400, 0, Some(86_400_000)),
            (2, -1_000_000, Some(1_999)),
            (0, 0, None),
            (0, 999_999_999, None),
            (86_400, 1, None),
            (86_401, 0, None),
            (-1, 0, None),
            (i64::MAX, i32::MAX, None),
            (i64::MIN, i32::MIN, None),
        ] {
            assert_eq!(parsed(seconds, nanos), expected, "{seconds} s {nanos} ns");
        }
        let mut violations = Violations::default();
        assert_eq!(ttl(None, &mut violations), None);
        assert_eq!(violations.shown()[0].reason, Reason::InvalidTtl);
    }

    #[test]
    fn a_bound_is_rounded_up_so_that_it_parts_stored_moments_as_it_did_unrounded() {
        for (seconds, nanos, expected) in [
            (0, 0, Some(0)),
            (1, 0, Some(1_000)),
            (1, 1, Some(1_001)),
            (1, 1_000_000, Some(1_001)),
            (-1, 1, Some(-999)),
            (0, -1, None),
            (0, 1_000_000_000, None),
            (i64::MAX, 0, None),
        ] {
            let mut violations = Violations::default();
            let bound = bound(Some(Timestamp { seconds, nanos }), "from", &mut violations);
            assert_eq!(bound, expected, "{seconds} s {nanos} ns");
            assert_eq!(bound.is_none(), !violations.is_empty());
        }
    }

    #[test]
    fn a_stored_moment_comes_back_from_the_wire() {
        for moment in [0, 1, 999, 1_000, 1_700_000_000_123, -1, -1_001] {
            let mut violations = Violations::default();
            assert_eq!(bound(Some(timestamp(moment)), "from", &mut violations), Some(moment));
        }
    }
}
