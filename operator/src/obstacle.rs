//! Why the children of a custom resource are not what its spec asks, although the API answers.

use std::time::Duration;

/// After how long a foreign object that holds one of our names is looked at again: it carries no label of ours, so no
/// watch tells when it goes.
const LOOK_AGAIN_AT_A_FOREIGN_OBJECT: Duration = Duration::from_secs(30);
/// After how long a write that the API refused is tried again: a quota or a right may have changed, of which no watch
/// tells.
const TRY_A_REFUSED_WRITE_AGAIN: Duration = Duration::from_secs(60);

/// Why the children are left as they are. Shown in the `Ready` condition (`Paused` in its own).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Obstacle {
    /// `spec.paused` is true.
    Paused,
    /// An object that is not ours has the name of a child.
    NameConflict { kind: String, name: String },
    /// The configuration breaks a rule that the CRD in the cluster does not check.
    InvalidConfig(String),
    /// The API refused a write, and would refuse it again.
    Refused { action: String, why: String },
}

impl Obstacle {
    /// The condition's reason.
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Self::Paused => "Paused",
            Self::NameConflict { .. } => "NameConflict",
            Self::InvalidConfig(_) => "InvalidConfig",
            Self::Refused { .. } => "Refused",
        }
    }

    /// The condition's message: what is wrong and what to do.
    pub(crate) fn message(&self) -> String {
        match self {
            Self::Paused => "spec.paused is true: nothing is changed until it is false".to_owned(),
            Self::NameConflict { kind, name } => format!(
                "{kind} {name} exists and does not belong to this resource, so it is left alone: delete it, or give \
                 this resource another name"
            ),
            Self::InvalidConfig(report) => {
                format!("spec.config is invalid, the pods keep what they have: {}", report.trim())
            }
            Self::Refused { action, why } => format!("the API refused to {action}: {why}"),
        }
    }

    /// When to look again although no watch says that something changed; `None` when a change of the custom resource is
    /// the only way out.
    pub(crate) fn look_again(&self) -> Option<Duration> {
        match self {
            Self::Paused | Self::InvalidConfig(_) => None,
            Self::NameConflict { .. } => Some(LOOK_AGAIN_AT_A_FOREIGN_OBJECT),
            Self::Refused { .. } => Some(TRY_A_REFUSED_WRITE_AGAIN),
        }
    }
}
