//! Which statements there are, and how a text grows with the number of goods or rows.

use super::session::Value;
use sqlx::AssertSqlSafe;
use std::sync::{Arc, OnceLock};

/// The longest list, and the most rows of one insert. A power of two, as every length is, so that a connection has few
/// texts to prepare; below the 1,000 elements from which MariaDB turns a list into a subquery, and far below the 32,766
/// parameters of SQLite.
pub(super) const LIST_MAX: usize = 512;

/// The most stock rows that one statement writes. It looks each row up in lists as long, so the work grows with the
/// square; a batch has no more goods than this.
pub(super) const STOCKS_MAX: usize = 256;

/// The most pairs of keys in one statement: such conditions are costly to plan.
pub(super) const PAIRS_MAX: usize = 128;

/// The most rows of an insert that is written out: with the longest keys and reasons it stays below 4 MiB, which is the
/// least that a server takes by default.
pub(super) const WRITTEN_ROWS_MAX: usize = 1024;

/// About how long a literal is: a key or a time.
const LITERAL_LENGTH: usize = 24;

/// How many lengths a list can have: 1, 2, 4, ..., [`LIST_MAX`].
const LENGTHS: usize = LIST_MAX.ilog2() as usize + 1;

/// A statement whose parts in brackets are repeated: `IN ([?])` with commas, `[x = ?| OR ]` with what stands after the
/// bar. Each length's text is made once.
#[derive(Debug)]
pub(super) struct Statement {
    template: String,
    texts: [OnceLock<Arc<str>>; LENGTHS],
}

impl Statement {
    pub(super) fn new(template: String) -> Self {
        Self { template, texts: Default::default() }
    }

    /// The text with its parts repeated `length` times, a power of two up to [`LIST_MAX`].
    pub(super) fn text(&self, length: usize) -> AssertSqlSafe<Arc<str>> {
        debug_assert!(length.is_power_of_two(), "{length} is no length of a list");
        let text = self.texts[length.ilog2() as usize]
            .get_or_init(|| repeated(&self.template, length).into());
        // Only texts of this crate: nothing that a caller sent.
        AssertSqlSafe(Arc::clone(text))
    }

    /// Appends the text with its parts repeated `length` times and these values in the place of its parameters, for
    /// MySQL. To prepare a statement of thousands of parameters takes tens of milliseconds, for each length and each
    /// connection, and in this form any length is one statement.
    pub(super) fn write_out(&self, length: usize, values: &[Value<'_>], to: &mut String) {
        let text = repeated(&self.template, length);
        debug_assert_eq!(text.matches('?').count(), values.len(), "{}", self.template);
        to.reserve(text.len() + values.len() * LITERAL_LENGTH);
        if !to.is_empty() {
            to.push_str("; ");
        }
        let mut parts = text.split('?');
        to.push_str(parts.next().unwrap_or_default());
        for (value, part) in values.iter().zip(parts) {
            write_literal(to, *value);
            to.push_str(part);
        }
    }
}

/// Writes a value as nothing but digits, so that no value can end a literal and go on as a statement.
fn write_literal(to: &mut String, value: Value<'_>) {
    match value {
        Value::Number(Some(number)) => to.push_str(itoa::Buffer::new().format(number)),
        Value::Bytes(Some(bytes)) => {
            to.push_str("x'");
            write_digits(to, bytes);
            to.push('\'');
        }
        Value::Number(None) | Value::Bytes(None) => to.push_str("NULL"),
    }
}

/// Two digits for each byte. A batch has a hundred thousand of them, and digit by digit they took longer than all else
/// of its text.
fn write_digits(to: &mut String, bytes: &[u8]) {
    const DIGITS: [u8; 16] = *b"0123456789abcdef";
    let mut digits = [0; 128];
    for part in bytes.chunks(digits.len() / 2) {
        let (pairs, _) = digits.as_chunks_mut();
        for (pair, byte) in pairs.iter_mut().zip(part) {
            *pair = [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]];
        }
        to.push_str(str::from_utf8(&digits[..2 * part.len()]).expect("digits are ASCII"));
    }
}

fn repeated(template: &str, times: usize) -> String {
    let mut text = String::new();
    let mut rest = template;
    while let Some((before, bracketed)) = rest.split_once('[') {
        let (part, after) =
            bracketed.split_once(']').expect("a bracket that opens in a statement closes");
        let (part, between) = part.split_once('|').unwrap_or((part, ", "));
        text.push_str(before);
        text.push_str(&vec![part; times].join(between));
        rest = after;
    }
    text + rest
}

macro_rules! statements {
    ($($(#[$documentation:meta])* $name:ident,)*) => {
        /// Every statement of this service.
        #[derive(Debug)]
        pub(super) struct Statements {
            $($(#[$documentation])* pub(super) $name: Statement,)*
            /// Read pages of whole tables, in the order of [`super::tables::TABLES`].
            pub(super) pages: Vec<Statement>,
            /// Insert whole rows, in the order of [`super::tables::TABLES`].
            pub(super) copies: Vec<Statement>,
        }

        impl Statements {
            /// All of them by name, for the test that prepares each on a real database.
            #[cfg(test)]
            pub(super) fn all(&self) -> Vec<(&'static str, &Statement)> {
                let named = [$((stringify!($name), &self.$name),)*].into_iter();
                let tables = || super::tables::TABLES.iter().map(|table| table.name);
                named.chain(tables().zip(&self.pages)).chain(tables().zip(&self.copies)).collect()
            }
        }
    };
}

statements! {
    /// Reads the clock.
    clock,
    /// Reads stock rows as they are stored.
    look_at_shelf,
    /// Likewise, holding them still until the transaction ends.
    lock_shelf,
    /// Reads the clock and stocks without dead holds, as of one moment.
    stocks,
    /// Reads the clock and orders with their lines and holds, as of one moment.
    orders,
    /// Reads the clock and first answers to changes of stock.
    requests,
    /// Reads the clock and partial returns.
    returns,
    /// Reads dead holds on some goods.
    expired,
    /// Reads the clock and which goods have the oldest dead holds.
    goods_with_expired,
    /// Lists orders, the newest first: keys and state.
    orders_by_time,
    /// Likewise those that took one goods.
    orders_by_goods,
    /// Lists the ledger of one goods, the newest row first.
    ledger_of_goods,
    /// Likewise of one order.
    ledger_of_order,
    /// Reads stock rows of a span of goods, as they are stored.
    shelf_of,
    /// Adds up the ledger of a span of goods, from a row on.
    summed,
    /// Adds up the holds on a span of goods.
    held,
    /// Lists orders, the oldest first, and which of them may be deleted.
    old_orders,
    /// Deletes orders' headers that have not changed for long.
    delete_orders,
    /// Deletes their lines.
    delete_lines,
    /// Deletes their partial returns.
    delete_returns,
    /// Lists the ledger, the oldest row first.
    oldest_entries,
    /// Likewise of one goods, holding its rows still until the transaction ends.
    lock_oldest_entries,
    /// Makes a row of the ledger stand for older ones as well.
    open_ledger,
    /// Deletes older rows of the ledger of one goods.
    delete_entries,
    /// Lists answers to changes of stock that are old.
    old_requests,
    /// Deletes answers to changes of stock that are old.
    delete_requests,
    /// Counts all rows, and reads what grows with every write.
    fingerprint,
    /// Takes pieces of one goods, if so many are available.
    take,
    /// Begins to stock goods.
    insert_stocks,
    /// Changes stocks that are as they were read, have what is taken, and were not written by a younger lease.
    update_stocks,
    /// Writes orders' headers.
    insert_orders,
    /// Writes orders' lines.
    insert_lines,
    /// Writes what orders hold.
    insert_holds,
    /// Moves orders on from one state to another.
    move_orders,
    /// Likewise, with a new end of their holds, which is later than the old one.
    extend_orders,
    /// Moves the end of all holds of orders.
    extend_holds,
    /// Ends all holds of orders.
    end_holds,
    /// Ends single holds that are dead.
    release_holds,
    /// Marks all lines of orders as returned.
    return_all,
    /// Marks so many pieces of single lines as returned.
    return_some,
    /// Appends to the ledger.
    insert_ledger,
    /// Keeps first answers to changes of stock.
    insert_requests,
    /// Keeps partial returns.
    insert_returns,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_in_brackets_are_repeated() {
        assert_eq!(repeated("a IN ([?]) b", 3), "a IN (?, ?, ?) b");
        assert_eq!(repeated("VALUES [(?, 1)]", 2), "VALUES (?, 1), (?, 1)");
        assert_eq!(
            repeated("CASE [WHEN ? THEN ?| ] END, [?]", 2),
            "CASE WHEN ? THEN ? WHEN ? THEN ? END, ?, ?"
        );
        assert_eq!(repeated("plain", 2), "plain");
    }

    #[test]
    fn values_are_written_out_as_nothing_but_digits() {
        let statement = Statement::new("INSERT INTO t VALUES [(?, ?)] LIMIT ?".to_owned());
        let values = [
            Value::Number(Some(-7)),
            Value::Bytes(Some(b"a'; DROP TABLE t; -- ?")),
            Value::Number(None),
            Value::Bytes(None),
            Value::Bytes(Some(b"")),
            Value::Bytes(Some(b"\x00\\\xff")),
            Value::Number(Some(i64::MIN)),
        ];
        let mut text = String::new();
        statement.write_out(3, &values, &mut text);
        assert_eq!(
            text,
            "INSERT INTO t VALUES (-7, x'61273b2044524f50205441424c4520743b202d2d203f'), \
             (NULL, NULL), (x'', x'005cff') LIMIT -9223372036854775808"
        );
    }
}
