//! Batches of independent entries: each is done or not by itself.

use crate::error::Error;
use crate::violations::Violations;

/// Which entries of a batch could be parsed, and what is wrong with the others.
pub(super) struct Places(Vec<Result<(), Violations>>);

/// Takes what could be parsed of a batch out of its places.
pub(super) fn sort_out<T>(parsed: Vec<Result<T, Violations>>) -> (Vec<T>, Places) {
    let mut good = Vec::with_capacity(parsed.len());
    let places = parsed.into_iter().map(|entry| entry.map(|entry| good.push(entry))).collect();
    (good, Places(places))
}

impl Places {
    /// What came of every entry in its place; `done` is what came of those that could be parsed.
    pub(super) fn answers<R>(self, done: Vec<Result<R, Error>>) -> Vec<Result<R, Error>> {
        let mut done = done.into_iter();
        let answer = |place: Result<(), Violations>| match place {
            Ok(()) => done.next().expect("whatever is asked for is answered"),
            Err(violations) => Err(violations.into()),
        };
        self.0.into_iter().map(answer).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::violations::Reason;

    fn bad() -> Violations {
        let mut violations = Violations::default();
        violations.add("lines", Reason::EmptyOrder, "must have at least one line");
        violations
    }

    #[test]
    fn a_bad_entry_is_answered_in_its_place_and_stops_no_other() {
        let parsed = vec![Err(bad()), Ok(1), Err(bad()), Ok(2), Ok(3), Err(bad())];
        let (good, places) = sort_out(parsed);
        assert_eq!(good, [1, 2, 3]);
        let answers = places.answers(vec![Ok("one"), Err(Error::DeadlinePassed), Ok("three")]);
        assert!(matches!(
            answers[..],
            [
                Err(Error::Invalid(_)),
                Ok("one"),
                Err(Error::Invalid(_)),
                Err(Error::DeadlinePassed),
                Ok("three"),
                Err(Error::Invalid(_))
            ]
        ));
    }
}
