//! Every way in which a call ends without what it asked for, and the one place that turns it into a gRPC status.
//!
//! Definite refusals never say UNKNOWN or `DEADLINE_EXCEEDED`: callers of old take those for "perhaps sold" and give
//! the order back. What went wrong inside is logged once, here, and not sent.

mod answer;
mod refused;

pub use answer::DOMAIN;

use crate::decide::Refusal;
use crate::order::{GoodsId, OrderSn};
use crate::patience::Setback;
use crate::sell::redis_lock::LockError;
use crate::store::StoreError;
use crate::violations::Violations;
use answer::{Answer, listed};
use refused::Subject;
use std::error::Error as _;
use std::time::Duration;
use tonic::{Code, Status};
use tonic_types::pb;

/// After how long a caller may try again when the database or Redis was away: about what a failover or a restart
/// takes to show, without a crowd of callers at its door every few milliseconds.
const RETRY_AFTER: Duration = Duration::from_millis(200);

/// After how long a caller may try again to watch where others do: they stay, so a place comes free seldom.
const PLACE_AFTER: Duration = Duration::from_secs(1);

/// Every way in which a call ends without what it asked for.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request cannot be taken as it is.
    #[error("the request is not valid")]
    Invalid(Violations),
    /// An act on this order is refused.
    #[error("order {0} is refused")]
    OrderRefused(OrderSn, Refusal),
    /// An act on the stock of these goods is refused.
    #[error("a change of goods {0} is refused")]
    StockRefused(GoodsId, Refusal),
    /// More is waiting than can be done in time. Nothing was done.
    #[error("more calls are waiting than can be served in time")]
    Overloaded {
        /// When it may be otherwise.
        retry_after: Duration,
    },
    /// There is no room for one more that watches.
    #[error("as many streams watch stocks as one pod allows")]
    TooManyWatches,
    /// What is watched could not be read for so long that what was shown may be wrong.
    #[error("what is watched cannot be seen")]
    WatchLost,
    /// The process stops, and with it what would last.
    #[error("the process stops")]
    Stopping,
    /// The caller's deadline passed while the call waited for its turn. Nothing was done.
    #[error("the deadline passed before the call had its turn")]
    DeadlinePassed,
    /// A check of the ledger took too long, or nobody took its events. What it told so far holds.
    #[error("the check took too long")]
    CheckTooLong,
    /// The database cannot be reached, or rivals were in the way every time. Nothing was done.
    #[error("the database did not serve the call")]
    StoreUnavailable(#[source] Setback),
    /// The lease cannot be had. Nothing was done.
    #[error("the lock did not serve the call")]
    LockUnavailable(#[source] LockError),
    /// The database may or may not have done it.
    #[error("it is not known whether the call was done")]
    OutcomeUnknown(#[source] Setback),
    /// A fault of ours.
    #[error("the service is at fault")]
    Broken(#[source] Setback),
}

impl Error {
    /// The error of a call that only reads.
    pub fn from_reading(error: StoreError) -> Self {
        match error {
            error @ (StoreError::Broken(_) | StoreError::Corrupt(_)) => Self::Broken(error.into()),
            error => Self::StoreUnavailable(error.into()),
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
        answer(error).into_status()
    }
}

/// What stands in a batch for the entry that ended so.
impl From<Error> for pb::Status {
    fn from(error: Error) -> Self {
        answer(error).into_message()
    }
}

fn answer(error: Error) -> Answer {
    match error {
        Error::Invalid(violations) => invalid(&violations),
        Error::OrderRefused(sn, refusal) => refused::answer(&Subject::Order(&sn), refusal),
        Error::StockRefused(goods, refusal) => refused::answer(&Subject::Goods(goods), refusal),
        Error::Overloaded { retry_after } => {
            let message =
                "more calls are waiting than this pod serves in time; nothing was changed";
            Answer::new(Code::Unavailable, "OVERLOADED", message).pushing_back(retry_after)
        }
        Error::TooManyWatches => {
            let message = "this pod shows as much as it may: watch fewer goods, or on another pod";
            Answer::new(Code::Unavailable, "OVERLOADED", message).pushing_back(PLACE_AFTER)
        }
        // Said once where it was noticed, and not by each who watched.
        Error::WatchLost => {
            let message = "the database does not answer, and what was shown may be wrong by now";
            Answer::new(Code::Unavailable, "STORE_UNAVAILABLE", message).retry_after(RETRY_AFTER)
        }
        Error::Stopping => {
            let message = "this pod stops: watch again, and another one will show you";
            Answer::new(Code::Unavailable, "STOPPING", message).retry_after(RETRY_AFTER)
        }
        Error::DeadlinePassed => {
            let message = "the deadline passed before it was the call's turn; nothing was changed";
            Answer::new(Code::Unavailable, "DEADLINE_PASSED", message).retry_after(RETRY_AFTER)
        }
        Error::CheckTooLong => {
            let message = "the ledger is not checked to its end: it took too long, or the events were not taken; what \
                           was told holds, name fewer goods or begin again";
            Answer::new(Code::Aborted, "CHECK_TOO_LONG", message)
        }
        Error::StoreUnavailable(_) => {
            unavailable(&error, "STORE_UNAVAILABLE", "the database does not answer")
        }
        Error::LockUnavailable(_) => {
            unavailable(&error, "LOCK_UNAVAILABLE", "the lock in Redis is not to be had")
        }
        Error::OutcomeUnknown(_) => {
            let advice =
                "it may or may not have been done; send the same call again to learn which";
            unavailable(&error, "OUTCOME_UNKNOWN", advice)
        }
        Error::Broken(_) => {
            tracing::error!(error = chain(&error), "a call failed by a fault of the service");
            Answer::new(Code::Internal, "INTERNAL", "internal error")
        }
    }
}

fn invalid(violations: &Violations) -> Answer {
    let shown = violations.shown();
    let fields = shown.iter().map(|violation| pb::bad_request::FieldViolation {
        field: violation.field.clone(),
        description: violation.description.clone(),
        reason: violation.reason.as_str().to_owned(),
        localized_message: None,
    });
    let request = pb::BadRequest { field_violations: fields.collect() };
    let reason = shown.first().map_or("INVALID_REQUEST", |violation| violation.reason.as_str());
    let first =
        shown.first().map(|violation| format!("{} {}", violation.field, violation.description));
    Answer::new(Code::InvalidArgument, reason, listed(first, violations.total()))
        .counting(shown.len(), violations.total())
        .detail("google.rpc.BadRequest", &request)
}

/// Logged here because it is the service's business; overload is not, for there are as many as there are calls.
fn unavailable(error: &Error, reason: &'static str, message: &str) -> Answer {
    tracing::warn!(error = chain(error), reason, "a call was not served");
    Answer::new(Code::Unavailable, reason, message).retry_after(RETRY_AFTER)
}

/// An error and its causes in one line.
fn chain(error: &Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        line = format!("{line}: {error}");
        cause = error.source();
    }
    line
}

#[cfg(test)]
mod tests;
