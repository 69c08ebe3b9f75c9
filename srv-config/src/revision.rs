//! The name of one rendering of a configuration.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::{fmt, str::FromStr};

/// One rendering of a configuration: a number that only grows, and the hash of the rendered text. Written
/// `7-1a2b3c4d5e6f`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Revision {
    /// Grows by one with every change of the text, and never restarts.
    pub number: i64,
    /// The first 12 hexadecimal digits of the SHA-256 of the rendered text.
    pub hash: String,
}

/// The first 12 hexadecimal digits of the SHA-256 of `text`: long enough that two renderings of one object never share
/// it.
pub fn hash_of(text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.number, self.hash)
    }
}

/// A text that is not of the form `7-1a2b3c4d5e6f`.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "{0:?} is not a revision: write a number, a dash and 12 hexadecimal digits, such as 7-1a2b3c4d5e6f"
)]
pub struct NotARevision(String);

impl FromStr for Revision {
    type Err = NotARevision;

    fn from_str(text: &str) -> Result<Self, NotARevision> {
        let refuse = || NotARevision(text.to_owned());
        let (number, hash) = text.trim().split_once('-').ok_or_else(refuse)?;
        let number = number.parse().ok().filter(|number| *number > 0).ok_or_else(refuse)?;
        if hash.len() != 12 || !hash.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(refuse());
        }
        Ok(Self { number, hash: hash.to_owned() })
    }
}

impl From<Revision> for String {
    fn from(revision: Revision) -> Self {
        revision.to_string()
    }
}

impl TryFrom<String> for Revision {
    type Error = NotARevision;

    fn try_from(text: String) -> Result<Self, NotARevision> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revision_reads_back_as_it_was_written() {
        let revision = Revision { number: 7, hash: hash_of("logLevel: info\n") };
        assert_eq!(revision.to_string().parse(), Ok(revision));
    }

    #[test]
    fn a_text_of_another_form_is_no_revision() {
        for text in
            ["", "7", "7-", "-1a2b3c4d5e6f", "0-1a2b3c4d5e6f", "7-1a2b3c4d5e6g", "7-1a2b3c4d5e6f0"]
        {
            assert!(text.parse::<Revision>().is_err(), "{text:?} was taken for a revision");
        }
    }
}
