//! Which fields of an entry a call writes.

use crate::violations::{Reason, Violations};

/// The path that stands for every writable field.
const EVERYTHING: &str = "*";

/// The writable fields of an entry, each with whether this request's entry has it at another value than the default.
pub type Fields<'a> = &'a [(&'static str, bool)];

/// The fields that a call writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mask(Vec<&'static str>);

impl Mask {
    /// All of them: what a create writes.
    pub fn everything(fields: Fields<'_>) -> Self {
        Self(fields.iter().map(|(name, _)| *name).collect())
    }

    /// The mask of an update. An empty one means the fields that are not at their default.
    pub fn parse(paths: &[String], fields: Fields<'_>, violations: &mut Violations) -> Self {
        if paths.iter().any(|path| path == EVERYTHING) {
            if paths.len() > 1 {
                let complaint = "must hold nothing beside `*`, which stands for every field";
                violations.add("update_mask", Reason::UnknownMaskPath, complaint);
            }
            return Self::everything(fields);
        }
        if paths.is_empty() {
            let populated: Vec<_> =
                fields.iter().filter(|(_, is_set)| *is_set).map(|(name, _)| *name).collect();
            if populated.is_empty() {
                let complaint = "must name a field, because none is set to another value than its \
                                 default";
                violations.add("update_mask", Reason::EmptyUpdate, complaint);
            }
            return Self(populated);
        }
        let mut named = Vec::with_capacity(paths.len().min(fields.len()));
        for path in paths {
            match fields.iter().find(|(name, _)| name == path) {
                Some((name, _)) => named.push(*name),
                None => {
                    let known: Vec<_> = fields.iter().map(|(name, _)| *name).collect();
                    let complaint =
                        format!("must name writable fields ({}), names {path:?}", known.join(", "));
                    violations.add("update_mask", Reason::UnknownMaskPath, complaint);
                }
            }
        }
        Self(named)
    }

    /// The call writes this field.
    pub fn names(&self, field: &str) -> bool {
        self.0.contains(&field)
    }
}
