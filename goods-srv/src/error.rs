//! Every way in which a call ends without what it asked for, and the one place that turns it into a gRPC status.
//!
//! What went wrong inside is logged once, here, and not sent.

use crate::noun::{Etag, Id, Noun};
use crate::store::StoreError;
use crate::text::RequestId;
use crate::tree::CATEGORIES_MAX;
use crate::violations::{DETAILS_MAX, Violations};
use prost::Message;
use prost_types::Any;
use std::error::Error as _;
use tonic::{Code, Status};
use tonic_types::pb;

/// The domain of every `google.rpc.ErrorInfo` of this service.
pub const DOMAIN: &str = "goods.shopkeeper.dev";

/// After how long a caller may try again when the database was away: about what a failover or a restart takes to show,
/// without a crowd of callers at its door every few milliseconds.
const RETRY_AFTER_MILLISECONDS: i32 = 200;

/// Every way in which a call ends without what it asked for.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request cannot be taken as it is.
    #[error("the request is not valid")]
    Invalid(Violations),
    /// What the call is about is not there.
    #[error("{noun} {} not there", list(ids))]
    NotFound {
        /// The kind.
        noun: Noun,
        /// Which are missing.
        ids: Vec<Id>,
    },
    /// Someone changed it since the caller has seen it.
    #[error("{noun} {id} has changed since the etag was given out: read it again")]
    EtagMismatch {
        /// The kind.
        noun: Noun,
        /// Which one.
        id: Id,
        /// What it is now.
        version: i64,
    },
    /// What must be unique is another entry's.
    #[error("{0} is taken by another entry")]
    Taken(Unique),
    /// The category cannot go while something is in it.
    #[error("category {id} is not empty: {children} categories and {goods} goods stand in it")]
    CategoryNotEmpty {
        /// Which category.
        id: Id,
        /// Categories right under it.
        children: usize,
        /// Goods right in it.
        goods: i64,
    },
    /// The brand cannot go while goods bear it.
    #[error("brand {id} is in use: {goods} goods bear it")]
    BrandInUse {
        /// Which brand.
        id: Id,
        /// Goods that bear it.
        goods: i64,
    },
    /// The tree is full.
    #[error("the catalog has {CATEGORIES_MAX} categories, and cannot have more")]
    TooManyCategories,
    /// Another request stands under this request id.
    #[error("another request was made under request_id {}", .0.as_str())]
    RequestPayloadMismatch(RequestId),
    /// The database did not do it.
    #[error("the database did not serve the call")]
    Store(#[from] StoreError),
}

/// What only one entry can have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unique {
    /// The shop's own number.
    GoodsSn(String),
    /// A brand's name.
    BrandName(String),
}

impl std::fmt::Display for Unique {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::GoodsSn(sn) => write!(f, "goods_sn {sn}"),
            Self::BrandName(name) => write!(f, "brand name {name}"),
        }
    }
}

impl From<Violations> for Error {
    fn from(violations: Violations) -> Self {
        Self::Invalid(violations)
    }
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        let message = error.to_string();
        match error {
            Error::Invalid(violations) => invalid(&violations),
            Error::NotFound { noun, ids } => {
                let shown: Vec<_> = ids.iter().take(DETAILS_MAX).map(Id::to_string).collect();
                Answer::new(Code::NotFound, noun.not_found(), message)
                    .with("ids", shown.join(","))
                    .counting(shown.len(), ids.len())
                    .status()
            }
            Error::EtagMismatch { version, .. } => {
                Answer::new(Code::Aborted, "ETAG_MISMATCH", message)
                    .with("etag", Etag::of(version))
                    .status()
            }
            Error::Taken(unique) => {
                let reason = match unique {
                    Unique::GoodsSn(_) => "GOODS_SN_TAKEN",
                    Unique::BrandName(_) => "BRAND_NAME_TAKEN",
                };
                Answer::new(Code::AlreadyExists, reason, message).status()
            }
            Error::CategoryNotEmpty { id, children, goods } => {
                Answer::new(Code::FailedPrecondition, "CATEGORY_NOT_EMPTY", message)
                    .with("children", children)
                    .with("goods", goods)
                    .unmet(format!("categories/{id}"))
                    .status()
            }
            Error::BrandInUse { id, goods } => {
                Answer::new(Code::FailedPrecondition, "BRAND_IN_USE", message)
                    .with("goods", goods)
                    .unmet(format!("brands/{id}"))
                    .status()
            }
            Error::TooManyCategories => {
                Answer::new(Code::FailedPrecondition, "TOO_MANY_CATEGORIES", message)
                    .unmet("categories".to_owned())
                    .status()
            }
            Error::RequestPayloadMismatch(_) => {
                Answer::new(Code::AlreadyExists, "REQUEST_PAYLOAD_MISMATCH", message).status()
            }
            Error::Store(error) => of_store(&error),
        }
    }
}

fn of_store(error: &StoreError) -> Status {
    let (reason, message) = match error {
        StoreError::Conflict(_) => {
            ("STORE_UNAVAILABLE", "other writers were in the way; nothing was done")
        }
        StoreError::Away(_) => ("STORE_UNAVAILABLE", "the database does not answer"),
        StoreError::OutcomeUnknown(_) => (
            "OUTCOME_UNKNOWN",
            "it may or may not have been done; send a create with a request_id again, otherwise look first",
        ),
        StoreError::Duplicate(_) | StoreError::Broken(_) => {
            tracing::error!(error = chain(error), "a call failed by a fault of the service");
            return Answer::new(Code::Internal, "INTERNAL", "internal error".to_owned()).status();
        }
    };
    tracing::warn!(error = chain(error), reason, "a call was not served");
    let retry_delay =
        prost_types::Duration { seconds: 0, nanos: RETRY_AFTER_MILLISECONDS * 1_000_000 };
    Answer::new(Code::Unavailable, reason, message.to_owned())
        .detail("google.rpc.RetryInfo", &pb::RetryInfo { retry_delay: Some(retry_delay) })
        .status()
}

fn invalid(violations: &Violations) -> Status {
    let shown = violations.shown();
    let fields = shown.iter().map(|violation| pb::bad_request::FieldViolation {
        field: violation.field.clone(),
        description: violation.description.clone(),
        reason: violation.reason.as_str().to_owned(),
        localized_message: None,
    });
    let request = pb::BadRequest { field_violations: fields.collect() };
    let first = shown.first();
    let reason = first.map_or("INVALID_REQUEST", |violation| violation.reason.as_str());
    let mut message = first
        .map(|violation| format!("{} {}", violation.field, violation.description))
        .unwrap_or_default();
    if let more @ 1.. = violations.total().saturating_sub(1) {
        message = format!("{message}; and {more} more");
    }
    Answer::new(Code::InvalidArgument, reason, message)
        .counting(shown.len(), violations.total())
        .detail("google.rpc.BadRequest", &request)
        .status()
}

/// `7 is`, or the first of several: `7, 9 and 3 more are`.
fn list(ids: &[Id]) -> String {
    let shown: Vec<_> = ids.iter().take(DETAILS_MAX).map(Id::to_string).collect();
    let verb = if ids.len() == 1 { "is" } else { "are" };
    match ids.len() - shown.len() {
        0 => format!("{} {verb}", shown.join(", ")),
        more => format!("{} and {more} more {verb}", shown.join(", ")),
    }
}

/// An error and its causes in one line.
fn chain(error: &StoreError) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        line = format!("{line}: {error}");
        cause = error.source();
    }
    line
}

/// A status in the making. Each kind of detail stands in it at most once.
struct Answer {
    code: Code,
    message: String,
    info: pb::ErrorInfo,
    details: Vec<Any>,
}

impl Answer {
    fn new(code: Code, reason: &str, message: String) -> Self {
        let info = pb::ErrorInfo {
            reason: reason.to_owned(),
            domain: DOMAIN.to_owned(),
            metadata: Default::default(),
        };
        Self { code, message, info, details: Vec::new() }
    }

    fn with(mut self, key: &str, value: impl ToString) -> Self {
        self.info.metadata.insert(key.to_owned(), value.to_string());
        self
    }

    fn counting(self, shown: usize, total: usize) -> Self {
        self.with("total", total).with("truncated", shown < total)
    }

    /// The precondition that does not hold is that of the reason, on this subject.
    fn unmet(self, subject: String) -> Self {
        let violation = pb::precondition_failure::Violation {
            r#type: self.info.reason.clone(),
            subject,
            description: self.message.clone(),
        };
        let failure = pb::PreconditionFailure { violations: vec![violation] };
        self.detail("google.rpc.PreconditionFailure", &failure)
    }

    fn detail(mut self, name: &str, message: &impl Message) -> Self {
        self.details.push(any(name, message));
        self
    }

    fn status(mut self) -> Status {
        self.details.insert(0, any("google.rpc.ErrorInfo", &self.info));
        let (code, message) = (self.code, self.message);
        let status =
            pb::Status { code: code as i32, message: message.clone(), details: self.details };
        Status::with_details(code, message, status.encode_to_vec().into())
    }
}

fn any(name: &str, message: &impl Message) -> Any {
    Any { type_url: format!("type.googleapis.com/{name}"), value: message.encode_to_vec() }
}
