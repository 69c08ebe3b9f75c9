//! What must hold among the rows, whoever was told what.

use super::{Found, Invariant};
use crate::books::{Books, LineRow, StockRow, kind, state};
use std::collections::BTreeMap;

/// What the ledger says of one line of an order: each kind's deltas.
type Moved<'b> = BTreeMap<(&'b str, i64, i64), Vec<i64>>;

pub(super) fn check(books: &Books, found: &mut Found) {
    check_ledger(books, found);
    check_stocks(books, found);
    let mut moved = moved(books, found);
    for ((order, goods), line) in &books.lines {
        check_line(books, order, *goods, *line, &mut moved, found);
    }
    for ((order, goods, kind), deltas) in moved {
        let what =
            format!("order {order}: kind {kind} of goods {goods} moved {deltas:?} without a line");
        found.add(Invariant::Whole, what);
    }
    check_orders(books, found);
    check_holds(books, found);
}

/// Each goods' ledger is a chain that never falls below zero.
fn check_ledger(books: &Books, found: &mut Found) {
    let mut balances: BTreeMap<i64, i64> = BTreeMap::new();
    for row in &books.ledger {
        let before = balances.entry(row.goods).or_default();
        if *before + row.delta != row.balance {
            let what = format!("{row:?} does not go on from {before}");
            found.add(Invariant::Conservation, what);
        }
        if row.balance < 0 {
            found.add(Invariant::NoOversell, format!("{row:?} is below zero"));
        }
        *before = row.balance;
    }
    for (goods, balance) in balances {
        let on_hand = books.stocks.get(&goods).map(|stock| stock.on_hand);
        if on_hand != Some(balance) {
            let what = format!("goods {goods}: {on_hand:?} on hand, the ledger ends at {balance}");
            found.add(Invariant::Conservation, what);
        }
    }
}

fn check_stocks(books: &Books, found: &mut Found) {
    let mut held: BTreeMap<i64, i64> = BTreeMap::new();
    for ((_, goods), quantity) in &books.holds {
        *held.entry(*goods).or_default() += quantity;
    }
    let written: std::collections::BTreeSet<i64> =
        books.ledger.iter().map(|row| row.goods).collect();
    for (goods, StockRow { on_hand, reserved }) in &books.stocks {
        if *reserved < 0 || on_hand < reserved {
            let what = format!("goods {goods}: {on_hand} on hand, {reserved} reserved");
            found.add(Invariant::NoOversell, what);
        }
        let held = held.get(goods).copied().unwrap_or_default();
        if held != *reserved {
            let what = format!("goods {goods}: {reserved} reserved, holds hold {held}");
            found.add(Invariant::Conservation, what);
        }
        if *on_hand != 0 && !written.contains(goods) {
            let what = format!("goods {goods}: {on_hand} on hand, and nothing in the ledger");
            found.add(Invariant::Conservation, what);
        }
    }
}

fn moved<'b>(books: &'b Books, found: &mut Found) -> Moved<'b> {
    let mut moved = Moved::new();
    for row in &books.ledger {
        match &row.order {
            Some(order) => {
                moved.entry((order, row.goods, row.kind)).or_default().push(row.delta);
            }
            None if kind::WITHOUT_ORDER.contains(&row.kind) => {}
            None => found.add(Invariant::Conservation, format!("{row:?} is of no order")),
        }
    }
    moved
}

/// The ledger holds exactly what the order's state says.
fn check_line<'b>(
    books: &Books,
    order: &'b str,
    goods: i64,
    line: LineRow,
    moved: &mut Moved<'b>,
    found: &mut Found,
) {
    let LineRow { quantity, returned } = line;
    let state = books.orders.get(order).copied();
    let sold = moved.remove(&(order, goods, kind::SELL)).unwrap_or_default();
    let back = moved.remove(&(order, goods, kind::REBACK)).unwrap_or_default();
    let fits = match state {
        Some(state::CONFIRMED | state::RESERVED | state::CANCELLED) => returned == 0,
        Some(state::PARTLY_RETURNED) => (0..=quantity).contains(&returned),
        Some(state::RETURNED) => returned == quantity,
        _ => false,
    };
    let is_sold =
        matches!(state, Some(state::CONFIRMED | state::PARTLY_RETURNED | state::RETURNED));
    let pieces = if is_sold { vec![-quantity] } else { vec![] };
    if !fits || sold != pieces || back.iter().sum::<i64>() != returned {
        let what = format!(
            "order {order} in state {state:?}, goods {goods}: {line:?}, sold by {sold:?}, returned by {back:?}"
        );
        // Taken twice or given back twice is worse than half an order.
        let twice = sold.len() > 1 || returned > quantity || back.iter().sum::<i64>() > quantity;
        found.add(if twice { Invariant::NoLossNoDouble } else { Invariant::Whole }, what);
    }
}

/// An order that took something has lines, and its state says what became of all of them.
fn check_orders(books: &Books, found: &mut Found) {
    let mut lines: BTreeMap<&str, Vec<LineRow>> = BTreeMap::new();
    for ((order, _), line) in &books.lines {
        lines.entry(order).or_default().push(*line);
    }
    for (order, state) in &books.orders {
        let lines = lines.get(order.as_str()).map_or(&[][..], Vec::as_slice);
        let gave_all = lines.iter().all(|line| line.returned == line.quantity);
        let gave_some = lines.iter().any(|line| line.returned > 0);
        let fits = match *state {
            state::RESERVED | state::CONFIRMED | state::RETURNED => !lines.is_empty(),
            state::PARTLY_RETURNED => gave_some && !gave_all,
            // With lines it was called off, without it was closed unseen.
            other => other == state::CANCELLED,
        };
        if !fits {
            found.add(Invariant::Whole, format!("order {order} in state {state}: {lines:?}"));
        }
    }
}

/// Only orders that are reserved hold anything, and each line what it took.
fn check_holds(books: &Books, found: &mut Found) {
    for ((order, goods), quantity) in &books.holds {
        let state = books.orders.get(order).copied();
        let line = books.lines.get(&(order.clone(), *goods));
        if state != Some(state::RESERVED) || line.map(|line| line.quantity) != Some(*quantity) {
            let what = format!(
                "order {order} in state {state:?} holds {quantity} of goods {goods}, its line: {line:?}"
            );
            found.add(Invariant::Whole, what);
        }
    }
}
