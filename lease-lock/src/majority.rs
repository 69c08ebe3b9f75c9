//! What several servers say, counted. With one server, that is what it says. Pure: no Redis, no clock.

use std::time::Duration;

use crate::error::Unavailable;

/// The value of a lock, which is its holder's token, and its ttl.
pub(crate) type Value = (String, Option<Duration>);

/// What one server said to an acquire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Taken { fence: u64 },
    Held { on: usize, holder_ttl: Option<Duration> },
}

/// What came of an acquire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Most servers gave the locks; the fence is the highest of theirs.
    Won {
        fence: u64,
    },
    Busy(Busy),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Busy {
    /// The number of a lock that is held by somebody else.
    pub on: usize,
    /// The first of the servers that say so. Whoever waits for the lock waits at this one, so that they queue up.
    pub at: usize,
    pub holder_ttl: Option<Duration>,
    /// Some servers gave the locks all the same: rivals who came together may each have a part.
    pub split: bool,
    /// Some servers may hold the locks under our token.
    pub partly: bool,
}

/// How many of `servers` decide.
fn most(servers: usize) -> usize {
    servers / 2 + 1
}

/// The answers to one acquire.
pub(crate) struct Votes {
    servers: usize,
    answered: usize,
    fences: Vec<u64>,
    held: Vec<(usize, usize, Option<Duration>)>,
    trouble: Option<Unavailable>,
}

impl Votes {
    pub(crate) fn of(servers: usize) -> Self {
        Self { servers, answered: 0, fences: Vec::new(), held: Vec::new(), trouble: None }
    }

    pub(crate) fn add(&mut self, at: usize, answer: Result<Answer, Unavailable>) {
        self.answered += 1;
        match answer {
            Ok(Answer::Taken { fence }) => self.fences.push(fence),
            Ok(Answer::Held { on, holder_ttl }) => self.held.push((at, on, holder_ttl)),
            Err(error) => self.trouble = Some(error),
        }
    }

    /// Won as soon as most gave the locks. Why not, only when all have answered: what some hold must be known to be
    /// given back, and all who wait must come to the same server.
    pub(crate) fn outcome(&self) -> Option<Result<Verdict, Unavailable>> {
        let (won, held, most) = (self.fences.len(), self.held.len(), most(self.servers));
        if won >= most {
            let fence = self.fences.iter().copied().max().unwrap_or_default();
            return Some(Ok(Verdict::Won { fence }));
        }
        if self.answered < self.servers {
            return None;
        }
        // Without its holders we would have got it: it is busy. Otherwise too many servers are away.
        match self.held.iter().min() {
            Some(&(at, on, holder_ttl)) if won + held >= most => {
                let (split, partly) = (won > 0, held < self.servers);
                Some(Ok(Verdict::Busy(Busy { on, at, holder_ttl, split, partly })))
            }
            _ => Some(Err(no_majority(self.servers, won + held, self.trouble.clone()))),
        }
    }
}

/// Answers of yes or no on each of several leases.
pub(crate) struct Tally {
    servers: usize,
    answered: usize,
    spoken: usize,
    /// For each lease, how many said yes and how many no.
    each: Vec<(usize, usize)>,
    trouble: Option<Unavailable>,
}

impl Tally {
    pub(crate) fn of(servers: usize, leases: usize) -> Self {
        Self { servers, answered: 0, spoken: 0, each: vec![(0, 0); leases], trouble: None }
    }

    /// Says whether what is still to come cannot change anything.
    pub(crate) fn add(&mut self, answer: Result<Vec<bool>, Unavailable>) -> bool {
        self.answered += 1;
        match answer {
            Ok(answer) => {
                self.spoken += 1;
                for (lease, yes) in self.each.iter_mut().zip(answer) {
                    if yes {
                        lease.0 += 1;
                    } else {
                        lease.1 += 1;
                    }
                }
            }
            Err(error) => self.trouble = Some(error),
        }
        self.each.iter().all(|lease| self.judge(*lease).is_some())
    }

    /// For each lease what most say, or that too few have said anything.
    pub(crate) fn outcome(self) -> Vec<Result<bool, Unavailable>> {
        let undecided = || no_majority(self.servers, self.spoken, self.trouble.clone());
        self.each.iter().map(|lease| self.judge(*lease).ok_or_else(undecided)).collect()
    }

    /// No, as soon as there can be no majority for yes.
    fn judge(&self, (yes, no): (usize, usize)) -> Option<bool> {
        let most = most(self.servers);
        if yes >= most {
            Some(true)
        } else if no > self.servers - most {
            Some(false)
        } else {
            None
        }
    }
}

/// What most servers have as the value of one key; `None` when there is no such value.
pub(crate) fn value_of_most(
    servers: usize,
    answers: Vec<Result<Option<Value>, Unavailable>>,
) -> Result<Option<Value>, Unavailable> {
    let (mut values, mut spoken, mut trouble) = (Vec::new(), 0, None);
    for answer in answers {
        match answer {
            Ok(value) => {
                spoken += 1;
                values.extend(value);
            }
            Err(error) => trouble = Some(error),
        }
    }
    if spoken < most(servers) {
        return Err(no_majority(servers, spoken, trouble));
    }
    let count = |text: &str| values.iter().filter(|(other, _)| other == text).count();
    Ok(values.iter().find(|(text, _)| count(text) >= most(servers)).cloned())
}

/// One server's trouble is told as it is.
fn no_majority(servers: usize, answered: usize, trouble: Option<Unavailable>) -> Unavailable {
    let trouble = trouble.unwrap_or(Unavailable::Silent);
    if servers == 1 {
        return trouble;
    }
    Unavailable::NoMajority { answered, servers, reason: trouble.to_string() }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Answer, Busy, Tally, Unavailable, Verdict, Votes, value_of_most};

    const FREE: Result<Answer, Unavailable> = Ok(Answer::Taken { fence: 7 });
    const HELD: Result<Answer, Unavailable> = Ok(Answer::Held { on: 2, holder_ttl: None });
    const AWAY: Result<Answer, Unavailable> = Err(Unavailable::Silent);

    fn outcome(answers: &[Result<Answer, Unavailable>], servers: usize) -> Option<&'static str> {
        let mut votes = Votes::of(servers);
        for (at, answer) in answers.iter().enumerate() {
            votes.add(at, answer.clone());
        }
        votes.outcome().map(|outcome| match outcome {
            Ok(Verdict::Won { fence: 7 }) => "won",
            Ok(Verdict::Busy(Busy { split: true, .. })) => "split",
            Ok(Verdict::Busy(Busy { partly: true, .. })) => "busy, partly",
            Ok(Verdict::Busy(_)) => "busy",
            Err(Unavailable::NoMajority { .. }) => "no majority",
            other => panic!("{other:?}"),
        })
    }

    #[test]
    fn most_of_the_servers_decide_and_no_sooner_than_they_can() {
        for (answers, servers, expected) in [
            (vec![FREE, FREE], 3, Some("won")),
            (vec![FREE, HELD], 3, None),
            (vec![FREE, FREE], 4, None),
            (vec![FREE, FREE, AWAY, FREE], 4, Some("won")),
            (vec![HELD, HELD], 3, None),
            (vec![HELD, HELD, AWAY], 3, Some("busy, partly")),
            (vec![HELD, HELD, HELD], 3, Some("busy")),
            (vec![FREE, HELD, HELD], 3, Some("split")),
            (vec![FREE, FREE, HELD, HELD], 4, Some("split")),
            (vec![AWAY, HELD, AWAY], 3, Some("no majority")),
            (vec![FREE, AWAY, AWAY], 3, Some("no majority")),
        ] {
            assert_eq!(outcome(&answers, servers), expected, "{answers:?} of {servers}");
        }
    }

    #[test]
    fn one_server_decides_alone_and_its_trouble_is_told_as_it_is() {
        let told = |answer| {
            let mut votes = Votes::of(1);
            votes.add(0, answer);
            votes.outcome().unwrap()
        };
        assert_eq!(told(FREE).unwrap(), Verdict::Won { fence: 7 });
        let busy = Busy { on: 2, at: 0, holder_ttl: None, split: false, partly: false };
        assert_eq!(told(HELD).unwrap(), Verdict::Busy(busy));
        assert!(matches!(told(AWAY), Err(Unavailable::Silent)));
    }

    #[test]
    fn a_lease_is_judged_by_itself_and_only_when_it_cannot_change() {
        let mut tally = Tally::of(5, 3);
        assert!(!tally.add(Ok(vec![true, false, true])));
        assert!(!tally.add(Ok(vec![true, false, false])));
        assert!(!tally.add(Err(Unavailable::Silent)));
        assert!(!tally.add(Ok(vec![true, false, true])));
        let outcome = tally.outcome();
        assert!(matches!(outcome[0], Ok(true)));
        assert!(matches!(outcome[1], Ok(false)));
        assert!(matches!(outcome[2], Err(Unavailable::NoMajority { answered: 3, servers: 5, .. })));
    }

    #[test]
    fn an_owner_is_whom_most_servers_name() {
        let named = |name: &str| Ok(Some((name.to_owned(), Some(Duration::from_secs(1)))));
        let of = |answers| value_of_most(3, answers).map(|value| value.map(|(name, _)| name));
        let most = of(vec![named("a"), Ok(None), named("a")]);
        assert_eq!(most.unwrap().as_deref(), Some("a"));
        assert_eq!(of(vec![named("a"), named("b"), Ok(None)]).unwrap(), None);
        assert!(of(vec![named("a"), Err(Unavailable::Silent), Err(Unavailable::Silent)]).is_err());
    }
}
