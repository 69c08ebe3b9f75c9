//! A status in the making: code, message and details, as a trailer of a call or as a message inside a batch.

use prost::Message;
use prost_types::Any;
use std::time::Duration;
use tonic::{Code, Status};
use tonic_types::pb;

/// The domain of every `google.rpc.ErrorInfo` of this service.
pub const DOMAIN: &str = "inventory.shopkeeper.dev";

/// What gRPC clients with a retry policy obey before they send a call again, in milliseconds.
const PUSHBACK: &str = "grpc-retry-pushback-ms";

/// A status in the making. Each kind of detail stands in it at most once.
pub(super) struct Answer {
    code: Code,
    message: String,
    info: pb::ErrorInfo,
    details: Vec<Any>,
    pushback: Option<Duration>,
}

impl Answer {
    pub(super) fn new(code: Code, reason: &str, message: impl Into<String>) -> Self {
        let info = pb::ErrorInfo {
            reason: reason.to_owned(),
            domain: DOMAIN.to_owned(),
            metadata: Default::default(),
        };
        Self { code, message: message.into(), info, details: Vec::new(), pushback: None }
    }

    pub(super) fn with(mut self, key: &str, value: impl ToString) -> Self {
        self.info.metadata.insert(key.to_owned(), value.to_string());
        self
    }

    /// Says how many entries a list has of which `shown` are in the details.
    pub(super) fn counting(self, shown: usize, total: usize) -> Self {
        self.with("total", total).with("truncated", shown < total)
    }

    pub(super) fn detail(mut self, name: &str, message: &impl Message) -> Self {
        self.details.push(any(name, message));
        self
    }

    /// Says in one `PreconditionFailure` what stands in the way, as (subject, description).
    pub(super) fn preconditions(
        self,
        reason: &str,
        failed: impl IntoIterator<Item = (String, String)>,
    ) -> Self {
        let violation = |(subject, description)| pb::precondition_failure::Violation {
            r#type: reason.to_owned(),
            subject,
            description,
        };
        let violations = failed.into_iter().map(violation).collect();
        self.detail("google.rpc.PreconditionFailure", &pb::PreconditionFailure { violations })
    }

    /// Says after how long the call may be sent again.
    pub(super) fn retry_after(self, delay: Duration) -> Self {
        // A service that asks for more patience than centuries would be wrong about more than this.
        let retry_delay = prost_types::Duration::try_from(delay).ok();
        self.detail("google.rpc.RetryInfo", &pb::RetryInfo { retry_delay })
    }

    /// Makes gRPC clients keep to it, too, those that send calls again by themselves.
    pub(super) fn pushing_back(mut self, delay: Duration) -> Self {
        self.pushback = Some(delay);
        self.retry_after(delay)
    }

    /// As the end of a call.
    pub(super) fn into_status(self) -> Status {
        let (code, pushback) = (self.code, self.pushback);
        let message = self.into_message();
        let details = message.encode_to_vec().into();
        let mut status = Status::with_details(code, message.message, details);
        if let Some(delay) = pushback {
            let milliseconds = delay.as_millis().to_string();
            let milliseconds = milliseconds.parse().expect("digits are ASCII");
            status.metadata_mut().insert(PUSHBACK, milliseconds);
        }
        status
    }

    /// As the end of one entry of a batch.
    pub(super) fn into_message(mut self) -> pb::Status {
        self.details.insert(0, any("google.rpc.ErrorInfo", &self.info));
        pb::Status { code: self.code as i32, message: self.message, details: self.details }
    }
}

fn any(name: &str, message: &impl Message) -> Any {
    Any { type_url: format!("type.googleapis.com/{name}"), value: message.encode_to_vec() }
}

/// The first of several complaints, and how many more there are.
pub(super) fn listed(first: Option<String>, total: usize) -> String {
    let first = first.unwrap_or_default();
    match total.saturating_sub(1) {
        0 => first,
        more => format!("{first}; and {more} more"),
    }
}
