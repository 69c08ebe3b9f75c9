//! What can go wrong in a reconcile, other than what a condition tells.

use std::time::Duration;

/// A reconcile that could not be finished and is to be tried again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A write met an object that had changed since it was read (409).
    #[error("{what} changed while it was being written")]
    Stale {
        /// The object, such as `ConfigMap inventory-config`.
        what: String,
    },
    /// The API server took a request and never answered.
    #[error("the API server does not answer, gave up after {} s", .0.as_secs())]
    TooSlow(Duration),
    /// The API did not answer, or not with what was asked for.
    #[error("cannot {action}")]
    Api {
        /// What was tried, such as `get Deployment inventory`.
        action: String,
        #[source]
        source: Box<kube::Error>,
    },
}

impl Error {
    /// What `source` means for an attempt to do `verb` to `what`.
    pub(crate) fn from_api(verb: &str, what: &str, source: kube::Error) -> Self {
        match source {
            kube::Error::Api(status) if status.is_conflict() => {
                Self::Stale { what: what.to_owned() }
            }
            source => Self::Api { action: format!("{verb} {what}"), source: Box::new(source) },
        }
    }

    /// What the API refused, and why, if it would refuse it again: it understood the request and did not like it.
    pub(crate) fn refusal(&self) -> Option<(&str, &str)> {
        match self {
            Self::Api { action, source } => match &**source {
                kube::Error::Api(status) if matches!(status.code, 400 | 403 | 405 | 413 | 422) => {
                    Some((action, &status.message))
                }
                _ => None,
            },
            Self::Stale { .. } | Self::TooSlow(_) => None,
        }
    }
}
