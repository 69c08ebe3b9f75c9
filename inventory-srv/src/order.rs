//! What a caller asks for, parsed once: whoever holds an [`Order`] need not check it again, and because its lines are
//! sorted, no two orders can lock the same goods in opposite orders.

use crate::violations::{Reason, Violations};
use sha2::{Digest, Sha256};
use std::fmt;

/// The most characters of an order number or a request id.
pub const KEY_CHARACTERS_MAX: usize = 64;
/// The most lines of an order as sent: one transaction holds as many rows still.
pub const LINES_MAX: usize = 200;
/// The most pieces of one goods in an order, and the most that can be on hand: sums of both stay far below `i64::MAX`.
pub const QUANTITY_MAX: i64 = 1_000_000_000;

/// Which goods: a number above zero that the catalog gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GoodsId(i64);

impl GoodsId {
    /// The goods of this number, if it is above zero.
    pub fn new(id: i64) -> Option<Self> {
        (id > 0).then_some(Self(id))
    }

    /// The number.
    pub fn get(self) -> i64 {
        self.0
    }
}

impl fmt::Display for GoodsId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A number of pieces to take or give back, from 1 to [`QUANTITY_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Quantity(i64);

impl Quantity {
    /// So many pieces, or the reason why that is no quantity.
    pub fn new(pieces: i64) -> Result<Self, Reason> {
        match pieces {
            ..=0 => Err(Reason::InvalidQuantity),
            1..=QUANTITY_MAX => Ok(Self(pieces)),
            _ => Err(Reason::QuantityTooHigh),
        }
    }

    /// How many pieces.
    pub fn get(self) -> i64 {
        self.0
    }

    fn plus(self, more: Self) -> Result<Self, Reason> {
        Self::new(self.0 + more.0)
    }
}

/// A key that a caller chose, such as an order number: 1 to [`KEY_CHARACTERS_MAX`] characters, none a control
/// character.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(String);

impl Key {
    /// Parses the key sent in `field`; a bad one is noted in `violations`.
    pub fn parse(
        text: String,
        field: &str,
        reason: Reason,
        violations: &mut Violations,
    ) -> Option<Self> {
        let complaint = if text.is_empty() {
            "must not be empty"
        } else if text.chars().count() > KEY_CHARACTERS_MAX {
            "must have at most 64 characters"
        } else if text.chars().any(char::is_control) {
            "must not hold control characters"
        } else {
            return Some(Self(text));
        };
        violations.add(field, reason, complaint);
        None
    }

    /// The key from a row that once was parsed.
    pub fn from_record(text: String) -> Self {
        Self(text)
    }

    /// The key's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The caller's number for an order.
pub type OrderSn = Key;

/// So many pieces of one goods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// Which goods.
    pub goods: GoodsId,
    /// How many pieces.
    pub quantity: Quantity,
}

/// The SHA-256 of what an order asks for: tells a replay from another order under the same number.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PayloadHash([u8; 32]);

impl PayloadHash {
    /// Whether there is a ttl is a part of the payload, its length is none: a replay may come with what is left of it.
    fn of(lines: &[Line], ttl: Option<Ttl>) -> Self {
        let mut hash = Sha256::new();
        hash.update(if ttl.is_some() { b"hold" } else { b"sell" });
        for line in lines {
            hash.update(line.goods.get().to_be_bytes());
            hash.update(line.quantity.get().to_be_bytes());
        }
        Self(hash.finalize().into())
    }

    /// The hash as it is stored.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The hash from its stored form, if it is one.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }
}

impl fmt::Display for PayloadHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for PayloadHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PayloadHash({self})")
    }
}

/// For how long an order holds its pieces, from 1 second to [`TTL_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ttl(i64);

/// The shortest time to hold pieces for: less than this is over before a caller can act on the answer.
pub const TTL_MIN: Ttl = Ttl(1_000);
/// The longest time to hold pieces for: a day, after which a forgotten cart is no order.
pub const TTL_MAX: Ttl = Ttl(24 * 60 * 60 * 1_000);

impl Ttl {
    /// So many milliseconds, if that is within the bounds.
    pub fn new(milliseconds: i64) -> Option<Self> {
        (TTL_MIN.0..=TTL_MAX.0).contains(&milliseconds).then_some(Self(milliseconds))
    }

    /// How many milliseconds.
    pub fn milliseconds(self) -> i64 {
        self.0
    }
}

/// An order that can be decided: at least one line, each goods once, sorted by goods id, every quantity in range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    sn: OrderSn,
    lines: Vec<Line>,
    ttl: Option<Ttl>,
    payload: PayloadHash,
}

impl Order {
    /// Parses an order as sent, with lines as pairs of goods id and quantity; or names everything that is wrong with
    /// it.
    pub fn parse(
        order_sn: String,
        sent: &[(i64, i64)],
        ttl: Option<Ttl>,
    ) -> Result<Self, Violations> {
        let mut violations = Violations::default();
        let sn = Key::parse(order_sn, "order_sn", Reason::InvalidOrderSn, &mut violations);
        if sent.is_empty() {
            violations.add("lines", Reason::EmptyOrder, "must have at least one line");
        }
        if sent.len() > LINES_MAX {
            let complaint = format!("must have at most {LINES_MAX} lines, has {}", sent.len());
            violations.add("lines", Reason::TooManyLines, complaint);
        }
        let lines = merge(sent, &mut violations);
        match sn {
            Some(sn) if violations.is_empty() => {
                let payload = PayloadHash::of(&lines, ttl);
                Ok(Self { sn, lines, ttl, payload })
            }
            _ => Err(violations),
        }
    }

    /// The caller's number for it.
    pub fn sn(&self) -> &OrderSn {
        &self.sn
    }

    /// What it asks for, sorted by goods id, each goods once.
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// For how long it holds its pieces; none if it takes them for good.
    pub fn ttl(&self) -> Option<Ttl> {
        self.ttl
    }

    /// The hash of what it asks for.
    pub fn payload(&self) -> PayloadHash {
        self.payload
    }

    /// The goods it asks for, sorted.
    pub fn goods(&self) -> impl Iterator<Item = GoodsId> + '_ {
        self.lines.iter().map(|line| line.goods)
    }
}

/// Adds up lines of the same goods and sorts them by goods id.
pub(crate) fn merge(sent: &[(i64, i64)], violations: &mut Violations) -> Vec<Line> {
    let mut merged = std::collections::BTreeMap::new();
    for (index, &(goods_id, pieces)) in sent.iter().enumerate() {
        let goods = GoodsId::new(goods_id);
        if goods.is_none() {
            let field = format!("lines[{index}].goods_id");
            violations.add(
                field,
                Reason::InvalidGoodsId,
                format!("must be above 0, is {goods_id}"),
            );
        }
        let quantity =
            Quantity::new(pieces).and_then(|quantity| match goods.and_then(|id| merged.get(&id)) {
                Some(so_far) => quantity.plus(*so_far),
                None => Ok(quantity),
            });
        match (goods, quantity) {
            (Some(goods), Ok(quantity)) => {
                merged.insert(goods, quantity);
            }
            (None, Ok(_)) => {}
            (_, Err(reason)) => {
                let field = format!("lines[{index}].quantity");
                let complaint =
                    format!("must be 1 to {QUANTITY_MAX} together with its like, is {pieces}");
                violations.add(field, reason, complaint);
            }
        }
    }
    merged.into_iter().map(|(goods, quantity)| Line { goods, quantity }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn parsed(lines: &[(i64, i64)]) -> Order {
        Order::parse("o-1".into(), lines, None).expect("a good order")
    }

    #[track_caller]
    fn reasons(order_sn: &str, lines: &[(i64, i64)]) -> Vec<(String, Reason)> {
        let violations = Order::parse(order_sn.into(), lines, None).expect_err("a bad order");
        violations
            .shown()
            .iter()
            .map(|violation| (violation.field.clone(), violation.reason))
            .collect()
    }

    #[test]
    fn lines_of_the_same_goods_are_added_up_and_sorted() {
        let order = parsed(&[(7, 2), (3, 1), (7, 5)]);
        let lines: Vec<_> =
            order.lines().iter().map(|line| (line.goods.get(), line.quantity.get())).collect();
        assert_eq!(lines, [(3, 1), (7, 7)]);
    }

    #[test]
    fn the_payload_is_the_same_however_the_lines_were_written() {
        assert_eq!(
            parsed(&[(7, 2), (3, 1), (7, 5)]).payload(),
            parsed(&[(3, 1), (7, 7)]).payload()
        );
        assert_ne!(parsed(&[(3, 1), (7, 7)]).payload(), parsed(&[(3, 1), (7, 6)]).payload());
        let held = Order::parse("o-1".into(), &[(3, 1)], Ttl::new(5_000)).unwrap();
        assert_ne!(held.payload(), parsed(&[(3, 1)]).payload());
    }

    #[test]
    fn every_bad_line_is_named() {
        assert_eq!(
            reasons("", &[(0, 1), (1, 0), (2, -5), (3, QUANTITY_MAX + 1), (-1, -1)]),
            [
                ("order_sn".to_owned(), Reason::InvalidOrderSn),
                ("lines[0].goods_id".to_owned(), Reason::InvalidGoodsId),
                ("lines[1].quantity".to_owned(), Reason::InvalidQuantity),
                ("lines[2].quantity".to_owned(), Reason::InvalidQuantity),
                ("lines[3].quantity".to_owned(), Reason::QuantityTooHigh),
                ("lines[4].goods_id".to_owned(), Reason::InvalidGoodsId),
                ("lines[4].quantity".to_owned(), Reason::InvalidQuantity),
            ]
        );
    }

    #[test]
    fn a_sum_over_the_cap_is_refused_even_where_an_i64_would_overflow() {
        let expected = [("lines[1].quantity".to_owned(), Reason::QuantityTooHigh)];
        assert_eq!(reasons("o", &[(1, QUANTITY_MAX), (1, 1)]), expected);
        assert_eq!(reasons("o", &[(1, 5), (1, i64::MAX)]), expected);
    }

    #[test]
    fn an_order_has_between_1_and_200_lines() {
        assert_eq!(reasons("o", &[]), [("lines".to_owned(), Reason::EmptyOrder)]);
        let lines: Vec<_> = (1..=201).map(|id| (id, 1)).collect();
        assert_eq!(reasons("o", &lines), [("lines".to_owned(), Reason::TooManyLines)]);
        parsed(&lines[..LINES_MAX]);
    }

    #[test]
    fn an_order_number_has_1_to_64_characters_and_no_control_characters() {
        for good in ["a", "日本", &"界".repeat(64), "o'; DROP TABLE stock; --"] {
            Order::parse(good.into(), &[(1, 1)], None).expect("a good number");
        }
        for bad in ["", &"界".repeat(65), "a\nb", "a\0b", "\u{7f}"] {
            assert_eq!(reasons(bad, &[(1, 1)]), [("order_sn".to_owned(), Reason::InvalidOrderSn)]);
        }
    }
}
