//! Whether everything came about in an order that callers could have seen: each goods is a register whose changes the
//! ledger lists. What was answered before something else was sent stands before it, and each look saw what stood there
//! between its beginning and its end.

use super::{Found, Invariant};
use crate::{
    books::{Books, LedgerRow, kind},
    history::{Act, Call, History, Look, Moment, Told},
};
use std::collections::BTreeMap;

/// A row of the ledger and the time in which it was written, as far as it is known.
#[derive(Clone, Copy)]
struct Written<'b> {
    row: &'b LedgerRow,
    began: Moment,
    ended: Moment,
}

pub(super) fn check(history: &History, books: &Books, found: &mut Found) {
    let calls = history.by_order();
    let mut ledgers: BTreeMap<i64, Vec<&LedgerRow>> = BTreeMap::new();
    let mut counts: BTreeMap<Kind<'_>, usize> = BTreeMap::new();
    for row in &books.ledger {
        ledgers.entry(row.goods).or_default().push(row);
        *counts.entry(kind_of(row)).or_default() += 1;
    }
    let mut looks: BTreeMap<i64, Vec<Look>> = BTreeMap::new();
    for look in &history.looks {
        looks.entry(look.goods).or_default().push(*look);
    }
    for (goods, rows) in &ledgers {
        // Of several rows of a kind it is not known which answer speaks of which.
        let is_only = |row| counts.get(&kind_of(row)) == Some(&1);
        let rows: Vec<Written<'_>> =
            rows.iter().map(|row| written(row, is_only(row), &calls)).collect();
        check_rows(&rows, found);
        check_looks(&rows, looks.remove(goods).unwrap_or_default(), found);
    }
}

/// What rows may be alike in: goods, order and kind.
type Kind<'b> = (i64, Option<&'b str>, i64);

fn kind_of(row: &LedgerRow) -> Kind<'_> {
    (row.goods, row.order.as_deref(), row.kind)
}

/// When a row was written: after the first call that can have done it was sent, and before an answer says so.
fn written<'b>(
    row: &'b LedgerRow,
    is_only: bool,
    calls: &BTreeMap<&str, Vec<&Call>>,
) -> Written<'b> {
    let always = Written { row, began: Moment::ZERO, ended: Moment::MAX };
    let Some(calls) = row.order.as_deref().and_then(|order| calls.get(order)) else {
        return always;
    };
    let does = |act: &Act| match act {
        Act::Sell(lines) => row.kind == kind::SELL && lines.contains_key(&row.goods),
        Act::Confirm => row.kind == kind::SELL,
        Act::Reback => row.kind == kind::REBACK,
        Act::GiveBack(_, lines) => row.kind == kind::REBACK && lines.contains_key(&row.goods),
        Act::Hold(..) | Act::Cancel => false,
    };
    // One that is refused, too: an attempt of it that was not heard of may have done it, and its next attempt met an
    // order that somebody had closed meanwhile.
    let can_have = |call: &&&Call| does(&call.act) && !matches!(call.told, Told::Undone(_));
    let began = calls.iter().filter(can_have).map(|call| call.began).min();
    let says_so = |call: &&&Call| {
        is_only && does(&call.act) && matches!(call.told, Told::Acknowledged { .. })
    };
    let ended = calls.iter().filter(says_so).map(|call| call.ended).min();
    Written { row, began: began.unwrap_or(always.began), ended: ended.unwrap_or(always.ended) }
}

/// No row stands behind one that was sent only after it was answered.
fn check_rows(rows: &[Written<'_>], found: &mut Found) {
    let mut latest: Option<&Written<'_>> = None;
    for row in rows {
        if let Some(earlier) = latest.filter(|earlier| row.ended < earlier.began) {
            let what = format!(
                "{:?} was answered at {:?} and stands behind {:?}, which was sent at {:?}",
                row.row, row.ended, earlier.row, earlier.began
            );
            found.add(Invariant::InOrder, what);
        }
        if latest.is_none_or(|latest| latest.began < row.began) {
            latest = Some(row);
        }
    }
}

/// Puts each look as early among the rows as what was answered before it was sent allows, and finds those that fit
/// nowhere.
fn check_looks(rows: &[Written<'_>], mut looks: Vec<Look>, found: &mut Found) {
    // A place is a number of rows that are written before it.
    let mut places: BTreeMap<i64, Vec<usize>> = BTreeMap::from([(0, vec![0])]);
    for (index, row) in rows.iter().enumerate() {
        places.entry(row.row.balance).or_default().push(index + 1);
    }
    let answered = Steps::of(rows.iter().enumerate().map(|(index, row)| (row.ended, index + 1)));
    // From the end, so that the step up to a moment is the smallest place behind it.
    let count = rows.len();
    let sent = Steps::of(
        rows.iter().enumerate().map(|(index, row)| (Moment::MAX - row.began, count - index)),
    );
    looks.sort_by_key(|look| look.began);
    let mut placed: Vec<(Moment, usize)> = Vec::new();
    for look in looks {
        let before = placed.iter().filter(|(ended, _)| *ended < look.began);
        let after_looks = before.map(|(_, place)| *place).max().unwrap_or(0);
        let first = answered.up_to(look.began).max(after_looks);
        let last = count - sent.up_to(Moment::MAX - look.ended);
        let fitting = places.get(&look.on_hand).map_or(&[][..], Vec::as_slice);
        let place = fitting.iter().copied().find(|place| (first..=last).contains(place));
        match place {
            Some(place) => placed.push((look.ended, place)),
            None => {
                let what =
                    format!("{look:?} saw what was not so: it fits nowhere in {first}..={last}");
                found.add(Invariant::InOrder, what);
            }
        }
    }
}

/// The highest place of all up to, but not at, a moment.
struct Steps(Vec<(Moment, usize)>);

impl Steps {
    fn of(places: impl Iterator<Item = (Moment, usize)>) -> Self {
        let mut places: Vec<_> = places.collect();
        places.sort_unstable();
        let mut highest = 0;
        for (_, place) in &mut places {
            highest = highest.max(*place);
            *place = highest;
        }
        Self(places)
    }

    fn up_to(&self, moment: Moment) -> usize {
        let count = self.0.partition_point(|(at, _)| *at < moment);
        count.checked_sub(1).map_or(0, |last| self.0[last].1)
    }
}
