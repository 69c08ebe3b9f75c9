//! Lists page by page: where a page begins and how long it is.
//!
//! A page begins behind the last entry of the page before, so entries that come meanwhile make no page repeat or skip
//! others. The token is opaque and bound to its list: with another filter it is refused.

use crate::order::KEY_CHARACTERS_MAX;
use crate::violations::{Reason, Violations};
use prost::Message;
use sha2::{Digest, Sha256};

/// How long a page is if nothing is asked for: what a person reads on one screen.
const PAGE_SIZE_DEFAULT: u32 = 50;
/// The longest page: with orders of 200 lines it stays below the 4 MiB that gRPC clients accept.
const PAGE_SIZE_MAX: u32 = 200;

/// How many bytes of a list's hash stand in its tokens. They tell a caller's lists apart; nothing is protected by them.
const LIST_BYTES: usize = 8;
const NUMBER_BYTES: usize = 8;
/// The longest token that is looked at: one with the longest key, in hexadecimal.
const TOKEN_BYTES_MAX: usize = (LIST_BYTES + NUMBER_BYTES + 4 * KEY_CHARACTERS_MAX) * 2;

/// Parses `page_size`; 0 is the default, too much is as much as there may be, below zero is noted in `violations`.
pub(super) fn size(page_size: i32, violations: &mut Violations) -> u32 {
    if page_size < 0 {
        let complaint = format!("must not be below 0, is {page_size}");
        violations.add("page_size", Reason::InvalidPageSize, complaint);
    }
    match u32::try_from(page_size) {
        Ok(0) | Err(_) => PAGE_SIZE_DEFAULT,
        Ok(size) => size.min(PAGE_SIZE_MAX),
    }
}

/// Which list it is: its kind and filter, without page.
pub(super) struct List([u8; LIST_BYTES]);

/// Behind which entry a page begins: what the list is sorted by, of that entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct After {
    pub(super) number: i64,
    pub(super) text: String,
}

impl List {
    /// The list of `kind` under `filter`, a request without its page.
    pub(super) fn new(kind: &str, filter: &impl Message) -> Self {
        let mut digest = Sha256::new();
        digest.update(kind);
        digest.update([0]);
        digest.update(filter.encode_to_vec());
        let mut list = [0; LIST_BYTES];
        list.copy_from_slice(&digest.finalize()[..LIST_BYTES]);
        Self(list)
    }

    /// The token of the page behind this entry.
    pub(super) fn token(&self, after: &After) -> String {
        let number = after.number.to_be_bytes();
        let bytes = self.0.iter().chain(&number).chain(after.text.as_bytes());
        bytes.map(|byte| format!("{byte:02x}")).collect()
    }

    /// Parses `page_token`; none for the first page. One of another list, or of none, is noted in `violations`.
    pub(super) fn after(&self, token: &str, violations: &mut Violations) -> Option<After> {
        if token.is_empty() {
            return None;
        }
        let complaint = match decode(token) {
            None => "was not given out by this service",
            Some((list, _)) if list != self.0 => {
                "belongs to a list with another filter: keep the filter or begin without token"
            }
            Some((_, after)) => return Some(after),
        };
        violations.add("page_token", Reason::InvalidPageToken, complaint);
        None
    }
}

fn decode(token: &str) -> Option<([u8; LIST_BYTES], After)> {
    if token.len() > TOKEN_BYTES_MAX || !token.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    if !token.len().is_multiple_of(2) {
        return None;
    }
    let bytes: Option<Vec<u8>> = (0..token.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&token[at..at + 2], 16).ok())
        .collect();
    let bytes = bytes?;
    let (list, rest) = bytes.split_first_chunk::<LIST_BYTES>()?;
    let (number, text) = rest.split_first_chunk::<NUMBER_BYTES>()?;
    let text = String::from_utf8(text.to_vec()).ok()?;
    Some((*list, After { number: i64::from_be_bytes(*number), text }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use proto::inventory::v1::GetStockRequest;

    fn parse(token: &str, list: &List) -> Result<Option<After>, Violations> {
        let mut violations = Violations::default();
        let after = list.after(token, &mut violations);
        violations.none().map(|()| after)
    }

    fn list(kind: &str, goods_id: i64) -> List {
        List::new(kind, &GetStockRequest { goods_id })
    }

    proptest! {
        #[test]
        fn a_token_brings_back_its_entry_in_its_own_list_only(number in any::<i64>(), text in ".{0,64}") {
            let after = After { number, text };
            let token = list("orders", 7).token(&after);
            prop_assert_eq!(parse(&token, &list("orders", 7)), Ok(Some(after)));
            prop_assert!(parse(&token, &list("orders", 8)).is_err());
            prop_assert!(parse(&token, &list("ledger", 7)).is_err());
        }

        #[test]
        fn whatever_is_sent_as_a_token_is_refused(token in ".{1,60}") {
            prop_assert!(parse(&token, &list("orders", 0)).is_err());
        }

        #[test]
        fn a_token_that_was_cut_or_made_longer_is_refused_or_another(cut in 1usize..32, more in "[g-z]{1,8}") {
            let token = list("orders", 0).token(&After { number: 1, text: String::new() });
            prop_assert!(parse(&token[..token.len() - cut], &list("orders", 0)).is_err());
            let forged = format!("{token}{more}");
            prop_assert!(parse(&forged, &list("orders", 0)).is_err());
        }
    }

    #[test]
    fn no_token_is_the_first_page() {
        assert_eq!(parse("", &list("orders", 0)), Ok(None));
    }

    #[test]
    fn a_page_is_50_long_if_nothing_is_asked_for_and_200_at_most() {
        for (asked, expected) in
            [(0, 50), (1, 1), (199, 199), (200, 200), (201, 200), (i32::MAX, 200)]
        {
            let mut violations = Violations::default();
            assert_eq!(size(asked, &mut violations), expected);
            assert!(violations.is_empty());
        }
        for asked in [-1, i32::MIN] {
            let mut violations = Violations::default();
            size(asked, &mut violations);
            assert_eq!(violations.shown()[0].reason, Reason::InvalidPageSize);
        }
    }
}
