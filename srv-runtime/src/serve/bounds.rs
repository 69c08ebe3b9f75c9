//! Bounds on calls: how many at a time, and for how long each. Past one the caller is told at once and in words that
//! its retry policy understands; tonic's own layers would say `RESOURCE_EXHAUSTED` and CANCELLED.

use super::body::{Ending, Observed};
use super::stopping::Stopping;
use axum::{body::Body, extract::Request, middleware::Next, response::Response};
use http::HeaderMap;
use srv_config::CallLimits;
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::time::{Instant, timeout_at};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};
use tower::util::MapRequestLayer;

/// When a caller that was shed may come again; each is told a time between half of this and one and a half.
const RETRY_AFTER: Duration = Duration::from_millis(100);

/// How much of a caller's deadline is kept for the answer's way back, at most. It also lets our `DEADLINE_EXCEEDED` be
/// there before tonic's own timer says CANCELLED: ours counts from [`Arrived`], which is never after tonic's beginning,
/// so it ends first, and what ends first is looked at first, however late the process gets to run.
const WAY_BACK: Duration = Duration::from_millis(5);

/// Until when a call's answer is of use: the smaller of the caller's deadline and the configured one. A handler reads
/// it with [`Deadline::of`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(pub Instant);

impl Deadline {
    /// The deadline of the call that `request` came with; outside of a server (in a unit test) the default one.
    pub fn of<T>(request: &tonic::Request<T>) -> Self {
        request.extensions().get().copied().unwrap_or_else(|| {
            let default = CallLimits::default().deadline_milliseconds;
            Self(Instant::now() + milliseconds(default))
        })
    }

    /// How long until then; zero when it has passed.
    pub fn remaining(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }
}

/// When a call came in, before anything could hold it up.
#[derive(Clone, Copy)]
struct Arrived(Instant);

/// What stamps each request with its arrival. It belongs outside of everything else, because what stands further inside
/// runs only when the call's task gets its turn, and by then tonic's timer has been running for a while.
pub(super) fn arrivals<B>() -> MapRequestLayer<fn(http::Request<B>) -> http::Request<B>> {
    MapRequestLayer::new(|mut request: http::Request<B>| {
        request.extensions_mut().insert(Arrived(Instant::now()));
        request
    })
}

/// The bounds of one process. Clones count together.
#[derive(Clone)]
pub(super) struct Bounds {
    /// Read for every call, because they can change at any time.
    limits: Arc<dyn Fn() -> CallLimits + Send + Sync>,
    in_flight: Arc<AtomicUsize>,
    stopping: Stopping,
    /// The domain of our error reasons, such as `inventory.shopkeeper.dev`.
    domain: Arc<str>,
}

impl Bounds {
    pub(super) fn new(
        limits: impl Fn() -> CallLimits + Send + Sync + 'static,
        stopping: Stopping,
        domain: Arc<str>,
    ) -> Self {
        Self { limits: Arc::new(limits), in_flight: Arc::default(), stopping, domain }
    }

    /// Answers one call within the bounds. Past its deadline the handler is dropped; a write goes on, being detached.
    /// A stream has begun by its deadline, and then lasts for as long as it likes; until its end it is in flight.
    pub(super) async fn answer(self, mut request: Request, next: Next) -> Response {
        let limits = (self.limits)();
        let Some(place) = self.take_place(usize::try_from(limits.calls_in_flight).unwrap_or(1))
        else {
            return self.overloaded().into_http();
        };
        let deadline = deadline_of(&request, &limits);
        request.extensions_mut().insert(Deadline(deadline));
        request.extensions_mut().insert(self.stopping.clone());
        match timeout_at(deadline, next.run(request)).await {
            // The place is held until the last byte of the answer is on its way.
            Ok(answer) => answer.map(|body| Body::new(Observed::new(body, place))),
            Err(_) => self.too_late().into_http(),
        }
    }

    fn take_place(&self, places: usize) -> Option<Place> {
        let taken = self.in_flight.fetch_add(1, Ordering::Relaxed);
        let place = Place(Arc::clone(&self.in_flight));
        (taken < places).then_some(place)
    }

    fn overloaded(&self) -> Status {
        let after = RETRY_AFTER.mul_f64(0.5 + rand::random::<f64>());
        let mut details = ErrorDetails::with_retry_info(Some(after));
        details.set_error_info("OVERLOADED", &*self.domain, []);
        let message =
            "this pod has as many calls in flight as it may; nothing was changed, try again";
        let mut status = Status::with_error_details(Code::Unavailable, message, details);
        let pushback = after.as_millis().to_string().parse().expect("digits are ASCII");
        status.metadata_mut().insert("grpc-retry-pushback-ms", pushback);
        status
    }

    fn too_late(&self) -> Status {
        let details = ErrorDetails::with_error_info("DEADLINE_EXCEEDED", &*self.domain, []);
        let message = "no answer within the deadline; whether anything was changed is open, ask with the same key";
        Status::with_error_details(Code::DeadlineExceeded, message, details)
    }
}

/// One call's place among those in flight.
struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Ending for Place {}

fn deadline_of<B>(request: &http::Request<B>, limits: &CallLimits) -> Instant {
    let arrived = request.extensions().get().map_or_else(Instant::now, |Arrived(at)| *at);
    arrived + allowed(request.headers(), limits)
}

fn allowed(headers: &HeaderMap, limits: &CallLimits) -> Duration {
    let cap = milliseconds(limits.deadline_milliseconds);
    let asked = headers.get("grpc-timeout").and_then(|value| grpc_timeout(value.to_str().ok()?));
    match asked {
        None => cap,
        Some(asked) => cap.min(asked - WAY_BACK.min(asked / 10)),
    }
}

/// At most 8 digits and a unit, as the gRPC specification writes it. A malformed one counts as none.
fn grpc_timeout(value: &str) -> Option<Duration> {
    let (digits, unit) = value.split_at_checked(value.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|digit| digit.is_ascii_digit())
    {
        return None;
    }
    let amount: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(amount * 3600)),
        "M" => Some(Duration::from_secs(amount * 60)),
        "S" => Some(Duration::from_secs(amount)),
        "m" => Some(Duration::from_millis(amount)),
        "u" => Some(Duration::from_micros(amount)),
        "n" => Some(Duration::from_nanos(amount)),
        _ => None,
    }
}

fn milliseconds(milliseconds: i32) -> Duration {
    Duration::from_millis(u64::try_from(milliseconds).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;
    use tower::{Layer, Service};

    #[tokio::test]
    async fn the_deadline_counts_from_the_arrival_however_late_the_call_gets_its_turn() {
        let limits = CallLimits { deadline_milliseconds: 1000, ..CallLimits::default() };
        let late = async |request: http::Request<()>| {
            tokio::time::sleep(Duration::from_millis(20)).await;
            Ok::<_, Infallible>(deadline_of(&request, &limits))
        };
        let mut service = arrivals().layer(tower::service_fn(late));
        let before = Instant::now();
        let call = service.call(http::Request::new(()));
        let after = Instant::now();
        let deadline = call.await.unwrap();
        let second = Duration::from_secs(1);
        assert!((before + second..=after + second).contains(&deadline));
    }

    #[test]
    fn a_timeout_is_read_as_the_specification_writes_it() {
        assert_eq!(grpc_timeout("100m"), Some(Duration::from_millis(100)));
        assert_eq!(grpc_timeout("2S"), Some(Duration::from_secs(2)));
        assert_eq!(grpc_timeout("99999999H"), Some(Duration::from_secs(99_999_999 * 3600)));
        for malformed in ["", "S", "1", "-1S", "+1S", "1s", "123456789S", "1é"] {
            assert_eq!(grpc_timeout(malformed), None, "{malformed:?} was read");
        }
    }

    #[test]
    fn the_smaller_deadline_wins_and_leaves_time_for_the_way_back() {
        let limits = CallLimits { deadline_milliseconds: 1000, ..CallLimits::default() };
        let allowed_for = |timeout: &str| {
            let headers = HeaderMap::from_iter([(
                http::HeaderName::from_static("grpc-timeout"),
                timeout.parse().unwrap(),
            )]);
            allowed(&headers, &limits)
        };
        assert_eq!(allowed_for("9S"), Duration::from_secs(1));
        assert_eq!(allowed_for("100m"), Duration::from_millis(95));
        assert_eq!(allowed_for("10m"), Duration::from_millis(9));
        assert_eq!(allowed_for("0m"), Duration::ZERO);
        assert_eq!(allowed(&HeaderMap::new(), &limits), Duration::from_secs(1));
    }
}
