//! The audit: reads everything that is on record, over a connection of its own, and names what does not add up. It
//! knows the schema and none of the service's code.

use sqlx::{Connection, MySqlConnection, SqliteConnection};
use std::collections::BTreeMap;

const RESERVED: i64 = 1;
const CONFIRMED: i64 = 2;
const PARTLY_RETURNED: i64 = 3;
const RETURNED: i64 = 4;
const CANCELLED: i64 = 5;
const SELL: i64 = 2;
const REBACK: i64 = 3;
const REPAIR: i64 = 5;
/// What moves pieces for no order: set, adjusted, repaired, opened.
const WITHOUT_ORDER: [i64; 4] = [1, 4, 5, 6];

/// Everything that is on record.
#[derive(Debug, Default)]
pub(crate) struct Books {
    /// On hand and reserved, by goods.
    pub(crate) stocks: BTreeMap<i64, (i64, i64)>,
    /// State, by order number.
    pub(crate) orders: BTreeMap<Vec<u8>, i64>,
    pub(crate) lines: Vec<Line>,
    /// By id.
    pub(crate) ledger: Vec<LedgerRow>,
    /// Order number, goods, quantity.
    pub(crate) holds: Vec<(Vec<u8>, i64, i64)>,
}

/// Order number, goods, quantity, returned.
type Line = (Vec<u8>, i64, i64, i64);
/// Id, goods, order number, kind, delta, balance.
type LedgerRow = (i64, i64, Option<Vec<u8>>, i64, i64, i64);

impl Books {
    pub(crate) async fn of(url: &str) -> Self {
        macro_rules! read {
            ($connection:expr) => {{
                let mut connection = $connection;
                let stocks: Vec<(i64, i64, i64)> =
                    sqlx::query_as("SELECT goods_id, on_hand, reserved FROM stock")
                        .fetch_all(&mut connection)
                        .await
                        .unwrap();
                let orders: Vec<(Vec<u8>, i64)> =
                    sqlx::query_as("SELECT order_sn, state FROM orders")
                        .fetch_all(&mut connection)
                        .await
                        .unwrap();
                let lines =
                    sqlx::query_as("SELECT order_sn, goods_id, quantity, returned FROM order_line")
                        .fetch_all(&mut connection)
                        .await
                        .unwrap();
                let ledger = sqlx::query_as(
                    "SELECT id, goods_id, order_sn, kind, delta, balance FROM ledger ORDER BY id",
                )
                .fetch_all(&mut connection)
                .await
                .unwrap();
                let holds = sqlx::query_as("SELECT order_sn, goods_id, quantity FROM hold")
                    .fetch_all(&mut connection)
                    .await
                    .unwrap();
                Self {
                    stocks: stocks
                        .into_iter()
                        .map(|(id, on_hand, reserved)| (id, (on_hand, reserved)))
                        .collect(),
                    orders: orders.into_iter().collect(),
                    lines,
                    ledger,
                    holds,
                }
            }};
        }
        if url.starts_with("mysql:") {
            read!(MySqlConnection::connect(url).await.unwrap())
        } else {
            read!(SqliteConnection::connect(url).await.unwrap())
        }
    }

    /// How many orders are sold and not given back.
    pub(crate) fn sold(&self) -> usize {
        self.orders.values().filter(|state| **state == CONFIRMED).count()
    }

    /// Whether this order is sold and not given back.
    pub(crate) fn is_sold(&self, sn: &str) -> bool {
        self.orders.get(sn.as_bytes()) == Some(&CONFIRMED)
    }

    /// What does not add up, in words; nothing when all is well.
    pub(crate) fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        self.audit_balances(&mut faults);
        self.audit_orders(&mut faults);
        self.audit_holds(&mut faults);
        faults
    }

    /// Never below zero; each goods' ledger is a chain that ends at what is on hand. A repair begins it anew, with what
    /// its deltas add up to.
    fn audit_balances(&self, faults: &mut Vec<String>) {
        let mut balances: BTreeMap<i64, i64> = BTreeMap::new();
        let (mut sums, mut breaks) = (BTreeMap::<i64, i64>::new(), BTreeMap::<i64, String>::new());
        for (id, goods, _, kind, delta, balance) in &self.ledger {
            let (before, sum) =
                (balances.entry(*goods).or_default(), sums.entry(*goods).or_default());
            *sum += delta;
            if *kind == REPAIR && (*delta, *balance) == (0, *sum) {
                breaks.remove(goods);
            } else if *before + delta != *balance {
                let broken = format!(
                    "ledger {id}: goods {goods} had {before}, {delta} more is not {balance}"
                );
                breaks.insert(*goods, broken);
            }
            *before = *balance;
        }
        faults.extend(breaks.into_values());
        for (goods, (on_hand, reserved)) in &self.stocks {
            if *on_hand < 0 || *reserved < 0 || on_hand < reserved {
                faults.push(format!("goods {goods}: {on_hand} on hand, {reserved} reserved"));
            }
            let sum = sums.get(goods).copied().unwrap_or(0);
            if sum != *on_hand {
                faults.push(format!("goods {goods}: {on_hand} on hand, the ledger sums to {sum}"));
            }
        }
        for goods in balances.keys().filter(|goods| !self.stocks.contains_key(goods)) {
            faults.push(format!("goods {goods}: in the ledger, not in stock"));
        }
    }

    /// All lines of an order or none, and in the ledger exactly what the order's state says.
    fn audit_orders(&self, faults: &mut Vec<String>) {
        let mut moved: BTreeMap<(&[u8], i64, i64), Vec<i64>> = BTreeMap::new();
        for (id, goods, sn, kind, delta, _) in &self.ledger {
            match sn {
                Some(sn) => moved.entry((sn, *goods, *kind)).or_default().push(*delta),
                None if WITHOUT_ORDER.contains(kind) => {}
                None => faults.push(format!("ledger {id}: kind {kind} without an order")),
            }
        }
        for (sn, goods, quantity, returned) in &self.lines {
            let name = String::from_utf8_lossy(sn);
            let state = self.orders.get(sn).copied();
            let sold = moved.remove(&(sn.as_slice(), *goods, SELL)).unwrap_or_default();
            let back = moved.remove(&(sn.as_slice(), *goods, REBACK)).unwrap_or_default();
            let is_right = match state {
                Some(CONFIRMED) => *returned == 0,
                Some(RETURNED) => returned == quantity,
                Some(PARTLY_RETURNED) => (0..=*quantity).contains(returned),
                // Held, or held once: nothing was sold.
                Some(RESERVED | CANCELLED) => *returned == 0 && sold.is_empty(),
                _ => false,
            };
            let is_sold = matches!(state, Some(CONFIRMED | PARTLY_RETURNED | RETURNED));
            let pieces = if is_sold { vec![-quantity] } else { vec![] };
            if !is_right || sold != pieces || back.iter().sum::<i64>() != *returned {
                faults.push(format!(
                    "order {name}, goods {goods}, state {state:?}: {quantity} taken, {returned} returned, \
                     ledger {sold:?} {back:?}"
                ));
            }
        }
        for ((sn, goods, kind), deltas) in moved {
            let name = String::from_utf8_lossy(sn);
            faults.push(format!(
                "order {name}: kind {kind} of goods {goods} moved {deltas:?} without a line"
            ));
        }
        let mut lines_of: BTreeMap<&[u8], Vec<&Line>> = BTreeMap::new();
        for line in &self.lines {
            lines_of.entry(&line.0).or_default().push(line);
        }
        for (sn, state) in &self.orders {
            let lines = lines_of.get(sn.as_slice()).map(Vec::as_slice).unwrap_or_default();
            let gave_all = lines.iter().all(|line| line.3 == line.2);
            let gave_some = lines.iter().any(|line| line.3 > 0);
            let is_right = match *state {
                RESERVED | CONFIRMED | RETURNED => !lines.is_empty(),
                PARTLY_RETURNED => gave_some && !gave_all,
                // With lines it was called off, without it was closed unseen.
                _ => *state == CANCELLED,
            };
            if !is_right {
                let name = String::from_utf8_lossy(sn);
                faults.push(format!("order {name}: lines {lines:?} in state {state}"));
            }
        }
    }

    /// What is reserved is what holds hold, and only reserved orders do.
    fn audit_holds(&self, faults: &mut Vec<String>) {
        let mut held_of: BTreeMap<i64, i64> = BTreeMap::new();
        for (_, goods, quantity) in &self.holds {
            *held_of.entry(*goods).or_default() += quantity;
        }
        for (goods, (_, reserved)) in &self.stocks {
            let held = held_of.get(goods).copied().unwrap_or(0);
            if held != *reserved {
                faults.push(format!("goods {goods}: {reserved} reserved, holds have {held}"));
            }
        }
        let lines: BTreeMap<(&[u8], i64), &Line> =
            self.lines.iter().map(|line| ((line.0.as_slice(), line.1), line)).collect();
        for (sn, goods, quantity) in &self.holds {
            let line = lines.get(&(sn.as_slice(), *goods));
            let is_right = line.is_some_and(|line| line.2 == *quantity);
            if !is_right || self.orders.get(sn) != Some(&RESERVED) {
                let name = String::from_utf8_lossy(sn);
                faults.push(format!(
                    "order {name}: holds {quantity} of goods {goods}, line {line:?}"
                ));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Books {
        Books {
            stocks: [(1, (3, 0)), (2, (5, 2))].into(),
            orders: [
                (b"a".to_vec(), CONFIRMED),
                (b"b".to_vec(), RETURNED),
                (b"c".to_vec(), CANCELLED),
                (b"d".to_vec(), RESERVED),
            ]
            .into(),
            lines: vec![
                (b"a".to_vec(), 1, 2, 0),
                (b"b".to_vec(), 1, 1, 1),
                (b"d".to_vec(), 2, 2, 0),
            ],
            ledger: vec![
                (1, 1, None, 1, 5, 5),
                (2, 2, None, 1, 5, 5),
                (3, 1, Some(b"a".to_vec()), SELL, -2, 3),
                (4, 1, Some(b"b".to_vec()), SELL, -1, 2),
                (5, 1, Some(b"b".to_vec()), REBACK, 1, 3),
            ],
            holds: vec![(b"d".to_vec(), 2, 2)],
        }
    }

    #[test]
    fn the_audit_passes_good_books_and_finds_each_fault() {
        assert_eq!(good().faults(), Vec::<String>::new());
        let mut repaired = good();
        repaired.ledger[3].5 = 3;
        repaired.ledger.push((6, 1, None, REPAIR, 0, 3));
        assert_eq!(repaired.faults(), Vec::<String>::new());
        type Break = fn(&mut Books);
        let broken: [(&str, Break); 16] = [
            ("a deduction that was lost", |books| books.stocks.get_mut(&1).unwrap().0 = 5),
            ("an oversold goods", |books| *books.stocks.get_mut(&1).unwrap() = (-1, 0)),
            ("a balance that is off", |books| books.ledger[3].5 = 3),
            ("a repair that is none", |books| {
                books.ledger[3].5 = 3;
                books.ledger.push((6, 1, None, REPAIR, 0, 2));
            }),
            ("a repair that moves pieces", |books| {
                books.ledger[3].5 = 3;
                books.ledger.push((6, 1, None, REPAIR, 1, 4));
                books.stocks.insert(1, (4, 0));
            }),
            ("a ledger row that is missing", |books| drop(books.ledger.pop())),
            ("a ledger row that is there twice", |books| {
                books.ledger.push((6, 1, Some(b"a".to_vec()), SELL, -2, 1));
                books.stocks.insert(1, (1, 0));
            }),
            ("an order without its line", |books| drop(books.lines.remove(0))),
            ("an order that is missing", |books| _ = books.orders.remove(b"a".as_slice())),
            ("a tombstone that took something", |books| {
                _ = books.orders.insert(b"a".to_vec(), CANCELLED)
            }),
            ("a line returned twice", |books| {
                books.ledger.push((6, 1, Some(b"b".to_vec()), REBACK, 1, 4));
                books.stocks.insert(1, (4, 0));
            }),
            ("a hold that was lost", |books| drop(books.holds.pop())),
            ("a hold that nobody counts", |books| books.stocks.get_mut(&2).unwrap().1 = 0),
            ("a hold of an order that is sold", |books| {
                _ = books.orders.insert(b"d".to_vec(), CONFIRMED)
            }),
            ("an order partly returned that gave nothing", |books| {
                _ = books.orders.insert(b"a".to_vec(), PARTLY_RETURNED)
            }),
            ("half an order", |books| books.lines.push((b"a".to_vec(), 2, 1, 0))),
        ];
        for (name, break_it) in broken {
            let mut books = good();
            break_it(&mut books);
            assert_ne!(books.faults(), Vec::<String>::new(), "not found: {name}");
        }
    }
}
