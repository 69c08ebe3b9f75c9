//! Texts that callers send, parsed once.

use crate::violations::{Reason, Violations};

/// The most bytes of a description. A page of 100 goods at their largest stays below the 4 MiB that a gRPC client
/// accepts in one message.
const DESCRIPTION_BYTES_MAX: usize = 10_000;

/// One line of `MIN` to `MAX` characters, none a control character, without outer spaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text<const MIN: usize, const MAX: usize>(String);

/// What goods are called.
pub type GoodsName = Text<1, 100>;
/// The shop's own number for goods.
pub type GoodsSn = Text<1, 50>;
/// One line about goods.
pub type Brief = Text<0, 200>;
/// What a category is called.
pub type CategoryName = Text<1, 50>;
/// What a brand is called.
pub type BrandName = Text<1, 50>;
/// What an image shows.
pub type Alt = Text<0, 100>;
/// What a list is searched for.
pub type Search = Text<1, 100>;
/// The key by which a create is known again.
pub type RequestId = Text<1, 64>;

impl<const MIN: usize, const MAX: usize> Text<MIN, MAX> {
    /// Parses the text sent in `field`; a bad one is noted in `violations`.
    pub fn parse(
        text: &str,
        field: &str,
        reason: Reason,
        violations: &mut Violations,
    ) -> Option<Self> {
        let text = text.trim();
        let length = text.chars().count();
        let complaint = if length < MIN {
            "must not be empty".to_owned()
        } else if length > MAX {
            format!("must have at most {MAX} characters, has {length}")
        } else if text.chars().any(char::is_control) {
            "must not hold control characters".to_owned()
        } else {
            return Some(Self(text.to_owned()));
        };
        violations.add(field, reason, complaint);
        None
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text.
    pub fn into_string(self) -> String {
        self.0
    }
}

/// All about goods, with lines and paragraphs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description(String);

impl Description {
    /// Parses the description sent in `field`; a bad one is noted in `violations`.
    pub fn parse(text: &str, field: &str, violations: &mut Violations) -> Option<Self> {
        let text = text.trim();
        let allowed = |character: char| !character.is_control() || "\n\r\t".contains(character);
        let complaint = if text.len() > DESCRIPTION_BYTES_MAX {
            format!("must have at most {DESCRIPTION_BYTES_MAX} bytes, has {}", text.len())
        } else if !text.chars().all(allowed) {
            "must not hold control characters but line ends and tabs".to_owned()
        } else {
            return Some(Self(text.to_owned()));
        };
        violations.add(field, Reason::InvalidText, complaint);
        None
    }

    /// The text.
    pub fn into_string(self) -> String {
        self.0
    }
}

/// The text as it is compared: whatever the case of its letters. Folded here and not in SQL, because databases differ;
/// letter by letter, so that a part of a text is a part of the folded text: a sigma has another form at a word's end.
pub fn folded(text: &str) -> String {
    let letters = text.chars().flat_map(char::to_lowercase);
    letters.map(|letter| if letter == 'ς' { 'σ' } else { letter }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_text_is_a_part_of_the_folded_text() {
        let texts = ["ΚΟΣΜΟΣ", "ΚΟΣ ΜΟΣ", "Straße İstanbul", "Hammer", "ΟΔΟΣ οδοσ"];
        for text in texts {
            for (at, _) in text.char_indices() {
                let (before, behind) = text.split_at(at);
                assert_eq!(folded(before) + &folded(behind), folded(text), "{text} at {at}");
            }
        }
        assert_eq!(folded("ΟΔΟΣ"), folded("οδοσ"));
        assert_eq!(folded("Grüße"), "grüße");
    }
}
