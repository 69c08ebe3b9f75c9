//! Sorts the changes of orders on record into few statements.

use crate::order::{GoodsId, OrderSn};
use crate::record::{KnownLine, KnownOrder, Milliseconds, OrderState};
use std::collections::BTreeMap;

/// What becomes of orders' headers: orders with the same step share a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Step {
    /// The state in which the order must be.
    pub(super) before: OrderState,
    /// The state it gets.
    pub(super) after: OrderState,
    pub(super) update_time: Milliseconds,
    /// The new end of its hold, if it gets one.
    pub(super) extended_to: Option<Milliseconds>,
}

/// Orders, and how many rows of theirs a statement must find.
type Rows<'o> = (Vec<&'o OrderSn>, usize);

/// The changes of orders, by statement.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Moves<'o> {
    pub(super) steps: BTreeMap<Step, Vec<&'o OrderSn>>,
    /// Orders whose holds end later, by the new end.
    pub(super) extended: BTreeMap<Milliseconds, Rows<'o>>,
    /// Orders all of whose holds end.
    pub(super) ended: Rows<'o>,
    /// Single holds that end; they are dead.
    pub(super) released: Vec<(&'o OrderSn, GoodsId)>,
    /// Orders all of whose pieces are given back.
    pub(super) returned_all: Rows<'o>,
    /// Single lines of other orders, and how many pieces of each are given back in all.
    pub(super) returned_some: Vec<(&'o OrderSn, GoodsId, i64)>,
}

impl<'o> Moves<'o> {
    /// Sorts orders as they were and as they are to be, and dead holds of other orders.
    pub(super) fn of(
        orders: &'o [(KnownOrder, KnownOrder)],
        released: &'o [(OrderSn, GoodsId)],
    ) -> Self {
        let mut moves = Self::default();
        moves.released.extend(released.iter().map(|(sn, goods)| (sn, *goods)));
        for (before, after) in orders {
            moves.add_step(before, after);
            moves.add_holds(before, after);
            moves.add_returns(before, after);
        }
        // As they stand in the table.
        moves.released.sort_unstable();
        moves
    }

    fn add_step(&mut self, before: &KnownOrder, after: &'o KnownOrder) {
        let extended_to = after.expire_time.filter(|_| after.expire_time != before.expire_time);
        let is_same = before.state == after.state && before.update_time == after.update_time;
        if is_same && extended_to.is_none() {
            return;
        }
        let step = Step {
            before: before.state,
            after: after.state,
            update_time: after.update_time,
            extended_to,
        };
        self.steps.entry(step).or_default().push(&after.sn);
    }

    fn add_holds(&mut self, before: &KnownOrder, after: &'o KnownOrder) {
        let held = before.lines.iter().filter(|line| line.held).count();
        let still_held = after.lines.iter().filter(|line| line.held).count();
        if still_held == 0 && held > 0 {
            self.ended.0.push(&after.sn);
            self.ended.1 += held;
            return;
        }
        let has_ended = |(was, is): &(&KnownLine, &KnownLine)| was.held && !is.held;
        let lines = before.lines.iter().zip(&after.lines).filter(has_ended);
        self.released.extend(lines.map(|(_, line)| (&after.sn, line.goods)));
        if let Some(end) = after.expire_time
            && before.expire_time != after.expire_time
            && still_held > 0
        {
            let (sns, rows) = self.extended.entry(end).or_default();
            sns.push(&after.sn);
            *rows += still_held;
        }
    }

    fn add_returns(&mut self, before: &KnownOrder, after: &'o KnownOrder) {
        let was_given_back = |(was, is): &(&KnownLine, &KnownLine)| was.returned != is.returned;
        let lines: Vec<_> = before.lines.iter().zip(&after.lines).filter(was_given_back).collect();
        let is_whole = after.lines.iter().all(|line| line.returned == line.quantity.get());
        if is_whole && !lines.is_empty() {
            self.returned_all.0.push(&after.sn);
            self.returned_all.1 += after.lines.len();
        } else {
            let line = |(_, is): (&KnownLine, &KnownLine)| (&after.sn, is.goods, is.returned);
            self.returned_some.extend(lines.into_iter().map(line));
        }
    }
}
