//! Decides at which byte a trap springs. Pure: it sees what passes and carries nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{Direction, Fault};

/// The longest words that can be waited for: so much of what has passed is remembered, per connection and direction.
const WORDS_MAX: usize = 256;

/// Something that passes on a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// So many bytes have passed this way since the trap was set, on all connections. The next byte does not pass.
    Bytes(Direction, u64),
    /// These bytes are about to pass this way, on one connection. They do not pass.
    Words(Direction, Vec<u8>),
    /// These bytes have passed to the server, and it answers, on the same connection. The answer does not pass. Right
    /// for protocols in which a client waits for an answer before it asks again, as MySQL's.
    AnswerTo(Vec<u8>),
}

/// Knows whether a fault that waited for its moment has come.
#[must_use = "a fault that never came proves nothing: ask at the end of the test"]
#[derive(Clone, Debug)]
pub struct Trap(Arc<AtomicBool>);

impl Trap {
    /// Whether it has sprung.
    pub fn has_sprung(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }

    fn spring(&self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// The traps that are set and have not sprung.
#[derive(Default)]
pub(super) struct Traps(Vec<Set>);

struct Set {
    event: Event,
    fault: Fault,
    trap: Trap,
}

/// What a connection remembers of what has passed on it.
#[derive(Default)]
pub(super) struct Memory {
    /// The last bytes, by direction: words may arrive in pieces.
    tails: [Vec<u8>; 2],
    /// What happens to the next answer.
    answer: Option<(Fault, Trap)>,
}

impl Traps {
    pub(super) fn set(&mut self, event: Event, fault: Fault) -> Trap {
        if let Event::Words(_, words) | Event::AnswerTo(words) = &event {
            let allowed = 1..=WORDS_MAX;
            assert!(allowed.contains(&words.len()), "words of {allowed:?} bytes can be waited for");
        }
        let trap = Trap(Arc::default());
        self.0.push(Set { event, fault, trap: trap.clone() });
        trap
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// How many of `bytes` pass, and the fault that comes then. Without a fault all of them pass.
    pub(super) fn pass(
        &mut self,
        memory: &mut Memory,
        direction: Direction,
        bytes: &[u8],
    ) -> (usize, Option<Fault>) {
        if direction == Direction::ToClient
            && let Some((fault, trap)) = memory.answer.take()
        {
            trap.spring();
            return (0, Some(fault));
        }
        let tail = &mut memory.tails[direction as usize];
        let first = (0..self.0.len())
            .filter_map(|index| Some((self.0[index].stops_at(direction, tail, bytes)?, index)))
            .min();
        let sprung = first.map(|(_, index)| self.0.remove(index));
        let passing = &bytes[..first.map_or(bytes.len(), |(at, _)| at)];
        self.note(&mut memory.answer, direction, tail, passing);
        tail.extend_from_slice(passing);
        tail.drain(..tail.len().saturating_sub(WORDS_MAX));
        let fault = sprung.map(|set| {
            set.trap.spring();
            set.fault
        });
        (passing.len(), fault)
    }

    /// Counts what passes, and takes the trap on whose answer a connection now waits.
    fn note(
        &mut self,
        answer: &mut Option<(Fault, Trap)>,
        direction: Direction,
        tail: &[u8],
        passing: &[u8],
    ) {
        for set in &mut self.0 {
            if let Event::Bytes(way, left) = &mut set.event
                && *way == direction
            {
                *left -= passing.len() as u64;
            }
        }
        let asked = |set: &Set| match &set.event {
            Event::AnswerTo(words) => {
                direction == Direction::ToServer && find(words, tail, passing).is_some()
            }
            Event::Bytes(..) | Event::Words(..) => false,
        };
        if answer.is_none()
            && let Some(index) = self.0.iter().position(asked)
        {
            let Set { fault, trap, .. } = self.0.remove(index);
            *answer = Some((fault, trap));
        }
    }
}

impl Set {
    /// The first of `bytes` that does not pass, if it is among them.
    fn stops_at(&self, direction: Direction, tail: &[u8], bytes: &[u8]) -> Option<usize> {
        match &self.event {
            Event::Bytes(way, left) if *way == direction => {
                usize::try_from(*left).ok().filter(|left| *left < bytes.len())
            }
            Event::Words(way, words) if *way == direction => find(words, tail, bytes),
            Event::Bytes(..) | Event::Words(..) | Event::AnswerTo(_) => None,
        }
    }
}

/// Where in `bytes` the words begin that end there; 0 for words that began in the `tail` before it.
fn find(words: &[u8], tail: &[u8], bytes: &[u8]) -> Option<usize> {
    let before = &tail[tail.len().saturating_sub(words.len() - 1)..];
    let seen = [before, bytes].concat();
    let at = seen.windows(words.len()).position(|window| window == words)?;
    Some(at.saturating_sub(before.len()))
}

#[cfg(test)]
mod tests {
    use super::Direction::{ToClient, ToServer};
    use super::*;

    /// Has pieces pass to the server, one after the other, and answers what each came to.
    fn pass(traps: &mut Traps, pieces: &[&str]) -> Vec<(usize, Option<Fault>)> {
        let mut memory = Memory::default();
        pieces.iter().map(|piece| traps.pass(&mut memory, ToServer, piece.as_bytes())).collect()
    }

    #[test]
    fn without_a_trap_everything_passes() {
        assert_eq!(pass(&mut Traps::default(), &["one", "two"]), [(3, None), (3, None)]);
    }

    #[test]
    fn bytes_are_counted_over_pieces_and_the_next_one_does_not_pass() {
        let mut traps = Traps::default();
        let trap = traps.set(Event::Bytes(ToServer, 5), Fault::Cut);
        assert_eq!(pass(&mut traps, &["one"]), [(3, None)]);
        assert_eq!(traps.pass(&mut Memory::default(), ToClient, b"an answer"), (9, None));
        assert_eq!(pass(&mut traps, &["tw"]), [(2, None)]);
        assert!(!trap.has_sprung(), "five bytes may pass");
        assert_eq!(pass(&mut traps, &["o", "three"]), [(0, Some(Fault::Cut)), (5, None)]);
        assert!(trap.has_sprung());
    }

    #[test]
    fn words_do_not_pass_and_what_stands_before_them_does() {
        let mut traps = Traps::default();
        let trap = traps.set(Event::Words(ToServer, b"COMMIT".into()), Fault::Reset);
        assert_eq!(pass(&mut traps, &["BEGIN;COMMIT;"]), [(6, Some(Fault::Reset))]);
        assert!(trap.has_sprung());
        assert_eq!(pass(&mut traps, &["COMMIT"]), [(6, None)], "a trap springs once");
    }

    #[test]
    fn words_in_pieces_are_known_and_those_that_have_passed_are_not_known_again() {
        let mut traps = Traps::default();
        let first = traps.set(Event::Words(ToServer, b"COMMIT".into()), Fault::Cut);
        assert_eq!(pass(&mut traps, &["xCOM", "MIT"]), [(4, None), (0, Some(Fault::Cut))]);
        assert!(first.has_sprung());
        let mut memory = Memory::default();
        assert_eq!(traps.pass(&mut memory, ToServer, b"COMMIT"), (6, None));
        let second = traps.set(Event::Words(ToServer, b"COMMIT".into()), Fault::Cut);
        assert_eq!(traps.pass(&mut memory, ToServer, b"; BEGIN"), (7, None));
        assert!(!second.has_sprung(), "these words had passed before");
    }

    #[test]
    fn an_answer_is_stopped_on_the_connection_that_asked() {
        let mut traps = Traps::default();
        let trap = traps.set(Event::AnswerTo(b"COMMIT".into()), Fault::BlackHole);
        let (mut asks, mut other) = (Memory::default(), Memory::default());
        assert_eq!(traps.pass(&mut asks, ToClient, b"welcome"), (7, None));
        assert_eq!(traps.pass(&mut asks, ToServer, b"COMMIT"), (6, None));
        assert_eq!(traps.pass(&mut other, ToServer, b"COMMIT"), (6, None));
        assert_eq!(traps.pass(&mut other, ToClient, b"done"), (4, None));
        assert!(!trap.has_sprung());
        assert_eq!(traps.pass(&mut asks, ToClient, b"done"), (0, Some(Fault::BlackHole)));
        assert!(trap.has_sprung());
        assert_eq!(traps.pass(&mut asks, ToClient, b"done"), (4, None), "it arrives later");
    }

    #[test]
    fn of_two_traps_the_one_for_the_earlier_byte_springs_and_the_other_stays() {
        let mut traps = Traps::default();
        let late = traps.set(Event::Words(ToServer, b"COMMIT".into()), Fault::Cut);
        let early = traps.set(Event::Bytes(ToServer, 2), Fault::Silence(ToClient));
        let mut memory = Memory::default();
        let passed = traps.pass(&mut memory, ToServer, b"BEGIN;COMMIT");
        assert_eq!(passed, (2, Some(Fault::Silence(ToClient))));
        assert!(early.has_sprung() && !late.has_sprung());
        assert_eq!(traps.pass(&mut memory, ToServer, b"GIN;COMMIT"), (4, Some(Fault::Cut)));
    }
}
