//! Measures every call, as OpenTelemetry's conventions for RPC servers name it.

use super::body::Observed;
use super::bounds::Place;
use crate::Metrics;
use http::{HeaderMap, Response};
use opentelemetry::{KeyValue, metrics::Histogram};
use tokio::time::Instant;
use tonic::{Code, body::Body};

/// Upper bounds in seconds: from a read that a cache answers to the longest deadline.
const BOUNDARIES: [f64; 15] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0];

/// What a method that we do not have is called, so that callers cannot make up label values.
const UNKNOWN_METHOD: &str = "_OTHER";

/// Measures calls. Clones share the instrument.
#[derive(Clone)]
pub(super) struct Measure(Histogram<f64>);

impl Measure {
    pub(super) fn new(metrics: &Metrics) -> Self {
        let duration = metrics
            .meter("rpc")
            .f64_histogram("rpc.server.call.duration")
            .with_unit("s")
            .with_description("Duration of calls")
            .with_boundaries(BOUNDARIES.to_vec())
            .build();
        Self(duration)
    }

    /// Begins to measure a call; from here to the last byte of its answer.
    pub(super) fn begin(&self, path: &str) -> Call {
        Call {
            duration: self.0.clone(),
            method: path.trim_start_matches('/').to_owned(),
            since: Instant::now(),
            code: Code::Cancelled,
            told: false,
        }
    }
}

/// One call that is going on. Dropped before its end, it says that the caller went away.
pub(super) struct Call {
    duration: Histogram<f64>,
    method: String,
    since: Instant,
    code: Code,
    told: bool,
}

impl Call {
    /// The answer, whose body ends the measure and keeps the call's place until then.
    pub(super) fn observe(
        mut self,
        answer: Response<Body>,
        place: Option<Place>,
    ) -> Response<Observed> {
        self.trailers(answer.headers());
        answer.map(|body| Observed::new(body, self, place))
    }

    /// The call's status is among these, if it is known by now.
    pub(super) fn trailers(&mut self, trailers: &HeaderMap) {
        if let Some(status) = trailers.get("grpc-status") {
            self.code = Code::from_bytes(status.as_bytes());
        }
    }

    /// The answer was handed over, all of it.
    pub(super) fn complete(&mut self) {
        if std::mem::replace(&mut self.told, true) {
            return;
        }
        let unknown = self.code == Code::Unimplemented;
        let method =
            if unknown { UNKNOWN_METHOD.to_owned() } else { std::mem::take(&mut self.method) };
        let labels = [
            KeyValue::new("rpc.system.name", "grpc"),
            KeyValue::new("rpc.method", method),
            KeyValue::new("rpc.response.status_code", name_of(self.code)),
        ];
        self.duration.record(self.since.elapsed().as_secs_f64(), &labels);
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.complete();
    }
}

/// The code as the conventions write it, such as `DEADLINE_EXCEEDED`.
fn name_of(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}
