//! Whether the answers about each order fit together, and fit what is on record of it: a search for an order in which
//! its calls can have come about. Each came about between its beginning and its end; one that is open, after its
//! beginning or never.

use super::{
    Clock, Found, Invariant,
    model::{OnRecord, State},
};
use crate::{
    books::{Books, LineRow},
    history::{Call, History, Told},
};
use std::collections::{BTreeMap, HashSet};

/// The most calls about one order: as many bits as a set of them has here.
const CALLS_MAX: usize = 128;
/// How many steps the search for one order may take: far more than any that can be explained needs.
const STEPS_MAX: usize = 200_000;

pub(super) fn check(history: &History, books: &Books, clock: Clock, found: &mut Found) {
    let orders = history.by_order();
    let records = records(books);
    let nothing = OnRecord::default();
    for (order, calls) in &orders {
        let record = records.get(order).unwrap_or(&nothing);
        check_order(order, calls, record, clock, found);
    }
    for order in records.keys().filter(|order| !orders.contains_key(*order)) {
        let what = format!("order {order} is on record, and nobody sent it");
        found.add(Invariant::NoLossNoDouble, what);
    }
}

fn records(books: &Books) -> BTreeMap<&str, OnRecord<'_>> {
    let mut records: BTreeMap<&str, OnRecord<'_>> = BTreeMap::new();
    for (order, state) in &books.orders {
        records.entry(order).or_default().state = Some(*state);
    }
    for ((order, goods), LineRow { quantity, returned }) in &books.lines {
        records.entry(order).or_default().lines.insert(*goods, (*quantity, *returned));
    }
    for (order, request) in &books.returns {
        records.entry(order).or_default().returns.push(request);
    }
    records
}

fn check_order(
    order: &str,
    calls: &[&Call],
    record: &OnRecord<'_>,
    clock: Clock,
    found: &mut Found,
) {
    // What says of itself that it did nothing must not have to be explained.
    let calls: Vec<&Call> =
        calls.iter().copied().filter(|call| !matches!(call.told, Told::Undone(_))).collect();
    let story = || {
        let told = calls.iter().map(|call| {
            let (began, ended) = (call.began.as_millis(), call.ended.as_millis());
            format!("\n      {began}-{ended} ms {:?}: {:?}", call.act, call.told)
        });
        format!("order {order}, on record as {record:?}:{}", told.collect::<String>())
    };
    let mut search = Search::of(&calls, clock);
    let fits = search.explains(|state| state.is_on_record(record));
    let (invariant, why) = match fits {
        Some(true) => return,
        None => (Invariant::OneAnswer, "too many ways to explain"),
        Some(false) => match Search::of(&calls, clock).explains(|_| true) {
            Some(true) => (Invariant::NoLossNoDouble, "the record is not what was told"),
            _ => (Invariant::OneAnswer, "the answers contradict each other"),
        },
    };
    found.add(invariant, format!("{why}: {}", story()));
}

struct Search<'c> {
    calls: &'c [&'c Call],
    clock: Clock,
    /// The calls that are answered, as a set.
    answered: u128,
    seen: HashSet<(u128, State)>,
}

impl<'c> Search<'c> {
    fn of(calls: &'c [&'c Call], clock: Clock) -> Self {
        let is_answered = |call: &Call| !matches!(call.told, Told::Unknown(_));
        let answered = (0..calls.len().min(CALLS_MAX))
            .filter(|index| is_answered(calls[*index]))
            .fold(0, |set, index| set | 1 << index);
        Self { calls, clock, answered, seen: HashSet::new() }
    }

    /// Whether some order of the calls ends in a state that `fits`; none if that was not found out.
    fn explains(&mut self, fits: impl Fn(&State) -> bool) -> Option<bool> {
        if self.calls.len() > CALLS_MAX {
            return None;
        }
        let mut open = vec![(0, State::Absent)];
        while let Some((done, state)) = open.pop() {
            if done & self.answered == self.answered && fits(&state) {
                return Some(true);
            }
            if self.seen.len() > STEPS_MAX {
                return None;
            }
            if self.seen.insert((done, state.clone())) {
                open.extend(self.next(done, &state));
            }
        }
        Some(false)
    }

    fn next(&self, done: u128, state: &State) -> Vec<(u128, State)> {
        let mut next = Vec::new();
        for (index, call) in self.calls.iter().enumerate() {
            let bit = 1 << index;
            if done & bit != 0 || self.waits(done, call) {
                continue;
            }
            for after in state.after(call, self.clock) {
                // What is answered and moves nothing may come about at once: later it would do the same.
                if after == *state && self.answered & bit != 0 {
                    return vec![(done | bit, after)];
                }
                next.push((done | bit, after));
            }
            if self.answered & bit != 0 {
                let unheard = state.after_unheard(call, self.clock);
                next.extend(unheard.into_iter().map(|after| (done, after)));
            }
        }
        next
    }

    /// Whether a call that was answered before this one began has not come about yet.
    fn waits(&self, done: u128, call: &Call) -> bool {
        let mut left = self.answered & !done;
        while left != 0 {
            let index = left.trailing_zeros() as usize;
            if self.calls[index].ended < call.began {
                return true;
            }
            left &= left - 1;
        }
        false
    }
}
