//! Lists page by page: where a page begins and how long it is.
//!
//! A page begins behind the last entry of the page before (keyset), so entries that come or go meanwhile make no page
//! repeat or skip others. The token is opaque and bound to its list: with another filter or order it is refused.

use crate::violations::{Reason, Violations};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The longest page.
pub const PAGE_SIZE_MAX: i32 = 100;

/// The longest token that is looked at: more than the longest name in hexadecimal.
const TOKEN_BYTES_MAX: usize = 8 * 1024;

/// One value by which a list is sorted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Key {
    /// A number or a moment.
    Number(i64),
    /// A text, folded.
    Text(String),
}

/// One column by which a list is sorted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column {
    /// Its values are numbers.
    Number(&'static str),
    /// Its values are texts.
    Text(&'static str),
}

impl Column {
    /// The column as SQL names it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Number(name) | Self::Text(name) => name,
        }
    }

    fn fits(self, key: &Key) -> bool {
        matches!((self, key), (Self::Number(_), Key::Number(_)) | (Self::Text(_), Key::Text(_)))
    }
}

/// An order of a list: by these columns, the last of which tells all entries apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order {
    /// The name that callers use.
    pub name: &'static str,
    /// The columns, all in one direction.
    pub columns: &'static [Column],
    /// From the highest to the lowest.
    pub descending: bool,
}

impl Order {
    /// Parses `order_by`; what is not one of `known` is noted in `violations`. Empty is `default`.
    pub fn parse(
        order_by: &str,
        known: &[(&'static str, &'static [Column])],
        default: Self,
        violations: &mut Violations,
    ) -> Self {
        let mut words = order_by.split_ascii_whitespace();
        let (name, direction, rest) = (words.next(), words.next(), words.next());
        let Some(name) = name else { return default };
        let found = known.iter().find(|(known, _)| *known == name);
        let descending = match direction {
            None | Some("asc") => Some(false),
            Some("desc") => Some(true),
            Some(_) => None,
        };
        match (found, descending, rest) {
            (Some((name, columns)), Some(descending), None) => Self { name, columns, descending },
            _ => {
                let names: Vec<_> = known.iter().map(|(name, _)| *name).collect();
                let complaint =
                    format!("must be one of {}, with `desc` behind it or not", names.join(", "));
                violations.add("order_by", Reason::UnknownOrder, complaint);
                default
            }
        }
    }
}

/// How many entries a page holds at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageSize(i32);

impl PageSize {
    /// Parses `page_size`; 0 is `default`, too much is [`PAGE_SIZE_MAX`], below zero is noted in `violations`.
    pub fn parse(page_size: i32, default: i32, violations: &mut Violations) -> Self {
        if page_size < 0 {
            let complaint = format!("must not be below 0, is {page_size}");
            violations.add("page_size", Reason::InvalidPageSize, complaint);
        }
        let page_size = if page_size == 0 { default } else { page_size };
        Self(page_size.clamp(1, PAGE_SIZE_MAX))
    }

    /// The number.
    pub fn get(self) -> usize {
        usize::try_from(self.0).expect("1 to PAGE_SIZE_MAX")
    }
}

/// Which list it is: its kind, filter and order, without page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListId(String);

impl ListId {
    /// Of the list of `kind` under the encoded `filter` in `order`.
    pub fn new(kind: &str, filter: &[u8], order: Order) -> Self {
        let mut digest = Sha256::new();
        digest.update(kind);
        digest.update([0]);
        digest.update(order.name);
        digest.update([0, u8::from(order.descending)]);
        digest.update(filter);
        // Eight bytes tell the lists of a caller apart; nothing is protected by them.
        Self(hexadecimal(&digest.finalize()[..8]))
    }
}

/// Behind which entry a page begins: that entry's keys in the list's order. None: the first page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Start(pub Option<Vec<Key>>);

#[derive(Serialize, Deserialize)]
struct Token {
    list: String,
    after: Vec<Key>,
}

impl Start {
    /// Parses `page_token`; one of another list, or of none, is noted in `violations`.
    pub fn parse(token: &str, list: &ListId, order: Order, violations: &mut Violations) -> Self {
        if token.is_empty() {
            return Self(None);
        }
        let complaint = match decode(token) {
            None => "was not given out by this service",
            Some(token) if token.list != list.0 => {
                "belongs to a list with another filter or order_by: keep those or begin without token"
            }
            Some(token) if fits(order, &token.after) => return Self(Some(token.after)),
            Some(_) => "was not given out by this service",
        };
        violations.add("page_token", Reason::InvalidPageToken, complaint);
        Self(None)
    }

    /// The token of the page behind the entry with these keys.
    pub fn token(list: &ListId, after: Vec<Key>) -> String {
        let token = Token { list: list.0.clone(), after };
        hexadecimal(&serde_json::to_vec(&token).expect("numbers and strings become JSON"))
    }
}

fn fits(order: Order, keys: &[Key]) -> bool {
    keys.len() == order.columns.len()
        && order.columns.iter().zip(keys).all(|(column, key)| column.fits(key))
}

fn decode(token: &str) -> Option<Token> {
    if token.len() > TOKEN_BYTES_MAX || !token.is_ascii() || !token.len().is_multiple_of(2) {
        return None;
    }
    let bytes: Option<Vec<u8>> = (0..token.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&token[at..at + 2], 16).ok())
        .collect();
    serde_json::from_slice(&bytes?).ok()
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
