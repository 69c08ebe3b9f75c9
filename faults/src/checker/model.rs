//! What an act does to an order and what is answered, as the contract says it; written down a second time, so that the
//! service does not judge itself.

use super::Clock;
use crate::{
    books::state,
    history::{Act, Call, Lines, Moment, Told},
};
use proto::inventory::v1::OrderState;
use std::{collections::BTreeMap, time::Duration};

/// By how much the database's clock and ours may differ, and an end may be cut to its millisecond.
const GRAIN: Duration = Duration::from_millis(20);

/// What may be on record of an order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum State {
    /// Nothing.
    Absent,
    /// It was closed before it was seen.
    Closed,
    /// It took these pieces once.
    Taken(Taken),
}

/// An order that took its pieces once.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Taken {
    lines: Lines,
    /// It came with a ttl.
    held: bool,
    stage: Stage,
    /// What came back by each request id; all of the rest came back by [`Stage::Returned`].
    given_back: BTreeMap<String, Lines>,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Stage {
    /// It holds its pieces. It dies between these moments; the second is not known if its answer is not.
    Held(Moment, Option<Moment>),
    Expired,
    Sold,
    Returned,
    Cancelled,
}

/// What is answered.
enum Reply {
    Done {
        /// Something moved by it.
        moved: bool,
    },
    Refused(&'static str),
}

/// What an act leads to.
type Step = (State, Reply);

impl State {
    /// The states in which the order may be after this call, if the call came about at all and was told what it was.
    pub(super) fn after(&self, call: &Call, clock: Clock) -> Vec<Self> {
        let mut states = Vec::new();
        for seen in self.seen_by(call, clock) {
            for (after, reply) in seen.clone().steps(call) {
                // Where the clock jumps, what is dead now lives again, unless somebody made something of it.
                let stays = clock == Clock::Jumps && after == seen;
                if is_told(&call.told, &after, &reply) {
                    states.push(if stays { self.clone() } else { after });
                }
            }
        }
        states
    }

    /// The states in which the order may be after an attempt of this call that was done and not heard of: the service
    /// then tries again by itself, and answers what it finds.
    pub(super) fn after_unheard(&self, call: &Call, clock: Clock) -> Vec<Self> {
        let did_it_itself = matches!(call.told, Told::Acknowledged { replayed: false, .. });
        if did_it_itself {
            return Vec::new();
        }
        let seen = self.seen_by(call, clock).into_iter();
        let steps = seen.flat_map(|state| state.steps(call));
        steps
            .filter(|step| matches!(step.1, Reply::Done { moved: true }))
            .map(|step| step.0)
            .collect()
    }

    /// What of a hold the call may have seen: alive, dead, or either.
    fn seen_by(&self, call: &Call, clock: Clock) -> Vec<Self> {
        let Self::Taken(taken @ Taken { stage: Stage::Held(from, until), .. }) = self else {
            return vec![self.clone()];
        };
        let jumps = clock == Clock::Jumps;
        let alive = jumps || until.is_none_or(|until| call.began <= until + GRAIN);
        let is_late = matches!(call.told, Told::Unknown(_));
        let dead = jumps || is_late || call.ended + GRAIN >= *from;
        let mut seen = Vec::new();
        if alive {
            seen.push(self.clone());
        }
        if dead {
            seen.push(Self::Taken(Taken { stage: Stage::Expired, ..taken.clone() }));
        }
        seen
    }

    fn steps(self, call: &Call) -> Vec<Step> {
        match &call.act {
            Act::Sell(lines) => self.sell(lines, None),
            Act::Hold(lines, ttl) => {
                let is_answered = !matches!(call.told, Told::Unknown(_));
                let until = is_answered.then_some(call.ended + *ttl);
                self.sell(lines, Some(Stage::Held(call.began + *ttl, until)))
            }
            Act::Confirm => vec![self.confirm()],
            Act::Cancel => vec![self.cancel()],
            Act::Reback => vec![self.reback()],
            Act::GiveBack(request, lines) => vec![self.give_back(request, lines)],
        }
    }

    fn sell(self, lines: &Lines, hold: Option<Stage>) -> Vec<Step> {
        let held = hold.is_some();
        match &self {
            Self::Absent => {
                let stage = hold.unwrap_or(Stage::Sold);
                let lines = lines.clone();
                let taken = Taken { lines, held, stage, given_back: BTreeMap::new() };
                let refused = |reason| (Self::Absent, Reply::Refused(reason));
                vec![
                    (Self::Taken(taken), Reply::Done { moved: true }),
                    refused("INSUFFICIENT_STOCK"),
                    refused("GOODS_NOT_STOCKED"),
                ]
            }
            Self::Taken(taken) if matches!(taken.stage, Stage::Held(..) | Stage::Sold) => {
                if taken.lines == *lines && taken.held == held {
                    vec![self.done(false)]
                } else {
                    vec![self.refused("ORDER_PAYLOAD_MISMATCH")]
                }
            }
            Self::Closed | Self::Taken(_) => vec![self.refused("ORDER_ALREADY_CLOSED")],
        }
    }

    fn confirm(self) -> Step {
        match self {
            Self::Absent => self.refused("ORDER_NOT_FOUND"),
            Self::Closed => self.refused("ORDER_ALREADY_CLOSED"),
            Self::Taken(taken) => match taken.stage {
                Stage::Held(..) => taken.becomes(Stage::Sold),
                Stage::Expired => Self::Taken(taken).refused("RESERVATION_EXPIRED"),
                Stage::Sold => Self::Taken(taken).done(false),
                Stage::Returned | Stage::Cancelled => {
                    Self::Taken(taken).refused("ORDER_ALREADY_CLOSED")
                }
            },
        }
    }

    fn cancel(self) -> Step {
        match self {
            Self::Absent => Self::Closed.done(true),
            Self::Closed => self.done(false),
            Self::Taken(taken) => match taken.stage {
                Stage::Held(..) => taken.becomes(Stage::Cancelled),
                Stage::Sold => Self::Taken(taken).refused("ALREADY_CONFIRMED"),
                Stage::Expired | Stage::Returned | Stage::Cancelled => {
                    Self::Taken(taken).done(false)
                }
            },
        }
    }

    fn reback(self) -> Step {
        match self {
            Self::Absent => Self::Closed.done(true),
            Self::Closed => self.done(false),
            Self::Taken(taken) => match taken.stage {
                Stage::Held(..) => taken.becomes(Stage::Cancelled),
                Stage::Sold => taken.becomes(Stage::Returned),
                Stage::Expired | Stage::Returned | Stage::Cancelled => {
                    Self::Taken(taken).done(false)
                }
            },
        }
    }

    fn give_back(self, request: &str, lines: &Lines) -> Step {
        let Self::Taken(taken) = self else {
            let reason = match self {
                Self::Absent => "ORDER_NOT_FOUND",
                _ => "ORDER_ALREADY_CLOSED",
            };
            return self.refused(reason);
        };
        if let Some(known) = taken.given_back.get(request) {
            let is_same = known == lines;
            let state = Self::Taken(taken);
            return if is_same {
                state.done(false)
            } else {
                state.refused("REQUEST_PAYLOAD_MISMATCH")
            };
        }
        let reason = match taken.stage {
            Stage::Held(..) => Some("NOT_CONFIRMED"),
            Stage::Expired | Stage::Cancelled => Some("ORDER_ALREADY_CLOSED"),
            Stage::Sold | Stage::Returned => taken.objection(lines),
        };
        match reason {
            Some(reason) => Self::Taken(taken).refused(reason),
            None => taken.gives_back(request, lines),
        }
    }

    fn done(self, moved: bool) -> Step {
        (self, Reply::Done { moved })
    }

    fn refused(self, reason: &'static str) -> Step {
        (self, Reply::Refused(reason))
    }

    /// As answers call it.
    fn wire(&self) -> OrderState {
        match self {
            Self::Absent => OrderState::Unspecified,
            Self::Closed => OrderState::Cancelled,
            Self::Taken(taken) => match taken.stage {
                Stage::Held(..) => OrderState::Reserved,
                Stage::Expired => OrderState::Expired,
                Stage::Sold if taken.given_back.is_empty() => OrderState::Confirmed,
                Stage::Sold => OrderState::PartlyReturned,
                Stage::Returned => OrderState::Returned,
                Stage::Cancelled => OrderState::Cancelled,
            },
        }
    }

    /// Whether this is what stands on record.
    pub(super) fn is_on_record(&self, record: &OnRecord<'_>) -> bool {
        let Self::Taken(taken) = self else {
            let state = matches!(self, Self::Closed).then_some(state::CANCELLED);
            return *record == OnRecord { state, ..OnRecord::default() };
        };
        let state = match self.wire() {
            // That a hold has died is not stored.
            OrderState::Expired => state::RESERVED,
            wire => i64::from(wire as i32),
        };
        let line = |(goods, quantity): (&i64, &i64)| (*goods, (*quantity, taken.returned(*goods)));
        let lines = taken.lines.iter().map(line).collect();
        let returns = taken.given_back.keys().map(String::as_str).collect();
        *record == OnRecord { state: Some(state), lines, returns }
    }
}

impl Taken {
    fn becomes(self, stage: Stage) -> Step {
        State::Taken(Self { stage, ..self }).done(true)
    }

    /// How many pieces of these goods came back.
    fn returned(&self, goods: i64) -> i64 {
        if self.stage == Stage::Returned {
            return self.lines.get(&goods).copied().unwrap_or_default();
        }
        self.given_back.values().filter_map(|lines| lines.get(&goods)).sum()
    }

    fn objection(&self, lines: &Lines) -> Option<&'static str> {
        if lines.keys().any(|goods| !self.lines.contains_key(goods)) {
            return Some("GOODS_NOT_IN_ORDER");
        }
        let exceeds = |(goods, pieces): (&i64, &i64)| {
            self.returned(*goods) + pieces > self.lines.get(goods).copied().unwrap_or_default()
        };
        lines.iter().any(exceeds).then_some("RETURN_EXCEEDS_SOLD")
    }

    fn gives_back(mut self, request: &str, lines: &Lines) -> Step {
        self.given_back.insert(request.to_owned(), lines.clone());
        let is_whole = self.lines.iter().all(|(goods, taken)| self.returned(*goods) == *taken);
        if is_whole {
            self.stage = Stage::Returned;
        }
        State::Taken(self).done(true)
    }
}

/// Whether a caller was told what happened.
fn is_told(told: &Told, after: &State, reply: &Reply) -> bool {
    match (told, reply) {
        (Told::Acknowledged { state, replayed }, Reply::Done { moved }) => {
            *state == after.wire() && replayed != moved
        }
        (Told::Refused(told), Reply::Refused(reason)) => told == reason,
        (Told::Unknown(_), Reply::Done { moved }) => *moved,
        _ => false,
    }
}

/// What the books say of an order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct OnRecord<'b> {
    pub(super) state: Option<i64>,
    /// Quantity and returned, by goods.
    pub(super) lines: BTreeMap<i64, (i64, i64)>,
    pub(super) returns: Vec<&'b str>,
}
