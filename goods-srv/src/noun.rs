//! What the catalog holds, and how its entries are named and told apart.

use crate::violations::{Reason, Violations};
use std::fmt;

/// The kinds of entries of the catalog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Noun {
    /// Something on offer.
    Goods,
    /// A node of the tree.
    Category,
    /// A maker.
    Brand,
}

impl Noun {
    /// The reason of an error that misses one, as in `google.rpc.ErrorInfo`.
    pub const fn not_found(self) -> &'static str {
        match self {
            Self::Goods => "GOODS_NOT_FOUND",
            Self::Category => Reason::CategoryNotFound.as_str(),
            Self::Brand => Reason::BrandNotFound.as_str(),
        }
    }
}

impl fmt::Display for Noun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Goods => "goods",
            Self::Category => "category",
            Self::Brand => "brand",
        })
    }
}

/// The number of an entry; above zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(i64);

impl Id {
    /// Parses the id sent in `field`; a bad one is noted in `violations`.
    pub fn parse(id: i64, field: &str, violations: &mut Violations) -> Option<Self> {
        if id > 0 {
            return Some(Self(id));
        }
        violations.add(field, Reason::InvalidId, format!("must be above 0, is {id}"));
        None
    }

    /// Parses ids, each once, in their order; more than `most` are noted in `violations`.
    pub fn parse_all(
        ids: &[i64],
        most: usize,
        field: &str,
        violations: &mut Violations,
    ) -> Vec<Self> {
        if ids.len() > most {
            let complaint = format!("must hold at most {most} ids, holds {}", ids.len());
            violations.add(field, Reason::TooManyIds, complaint);
            return Vec::new();
        }
        let mut parsed = Vec::with_capacity(ids.len());
        for (index, id) in ids.iter().enumerate() {
            if let Some(id) = Self::parse(*id, &format!("{field}[{index}]"), violations)
                && !parsed.contains(&id)
            {
                parsed.push(id);
            }
        }
        parsed
    }

    /// The number.
    pub const fn get(self) -> i64 {
        self.0
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A version that no entry has: what an etag stands for that we never gave out.
const NO_VERSION: i64 = -1;

/// The version of an entry that a caller has seen, if the caller told one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Etag(Option<i64>);

impl Etag {
    /// The etag of a request; an empty one is none.
    pub fn parse(text: &str) -> Self {
        let version: Option<i64> = text.strip_prefix('v').and_then(|version| version.parse().ok());
        let ours = version.filter(|version| Self::of(*version) == text);
        Self((!text.is_empty()).then(|| ours.unwrap_or(NO_VERSION)))
    }

    /// What the wire calls this version.
    pub fn of(version: i64) -> String {
        format!("v{version}")
    }

    /// The caller does not mind which version it is, or it is the one that the caller has seen.
    pub fn allows(self, version: i64) -> bool {
        self.0.is_none_or(|seen| seen == version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_etag_that_we_gave_out_stands_for_a_version() {
        assert!(Etag::parse("").allows(7) && Etag::parse(&Etag::of(7)).allows(7));
        for other in ["v8", "v07", "v+7", "7", "v", "v7x", "V7"] {
            assert!(!Etag::parse(other).allows(7), "{other:?}");
        }
    }
}
