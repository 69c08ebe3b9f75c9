//! Bounds on calls: how many at a time, and for how long each. Past one the caller is told at once and in words that
//! its retry policy understands; tonic's own layers would say `RESOURCE_EXHAUSTED` and CANCELLED.

use super::stopping::Stopping;
use http::{HeaderMap, Request, Response};
use srv_config::CallLimits;
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::time::{Instant, timeout_at};
use tonic::{Code, Status, body::Body};
use tonic_types::{ErrorDetails, StatusExt};

/// When a caller that was shed may come again; each is told a time between half of this and one and a half.
const RETRY_AFTER: Duration = Duration::from_millis(100);

/// How much of a caller's deadline is kept for the answer's way back, at most. It also lets our `DEADLINE_EXCEEDED` be
/// there before tonic's own timer says CANCELLED: ours counts from the call's arrival, which is never after tonic's
/// beginning, so it ends first, and what ends first is looked at first, however late the process gets to run.
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

/// The bounds of one process. Clones count together.
#[derive(Clone)]
pub(super) struct Bounds {
    /// Read for every call, because they can change at any time.
    limits: Arc<dyn Fn() -> CallLimits + Send + Sync>,
    in_flight: Arc<AtomicUsize>,
    stopping: Stopping,
    /// Full names of the services whose calls are bounded.
    services: Arc<[&'static str]>,
    /// The domain of our error reasons, such as `inventory.shopkeeper.dev`.
    domain: Arc<str>,
}

impl Bounds {
    /// Bounds on the calls to `services`; the first one's package names the domain of error reasons.
    pub(super) fn new(
        limits: impl Fn() -> CallLimits + Send + Sync + 'static,
        stopping: Stopping,
        services: &[&'static str],
    ) -> Self {
        Self {
            limits: Arc::new(limits),
            in_flight: Arc::default(),
            stopping,
            services: services.into(),
            domain: domain_of(services),
        }
    }

    /// Whether the call to `path` is one that is bounded, which those for health and reflection are not.
    pub(super) fn concern(&self, path: &str) -> bool {
        let service = path.strip_prefix('/').and_then(|path| path.split('/').next());
        service.is_some_and(|service| self.services.contains(&service))
    }

    /// Lets a call in if there is a place for it. Its deadline counts from here.
    pub(super) fn admit<B>(&self, request: &mut Request<B>) -> Result<Admitted, Status> {
        let limits = (self.limits)();
        let places = usize::try_from(limits.calls_in_flight).unwrap_or(1);
        let place = self.take_place(places).ok_or_else(|| self.overloaded())?;
        let until = Deadline(Instant::now() + allowed(request.headers(), &limits));
        request.extensions_mut().insert(until);
        request.extensions_mut().insert(self.stopping.clone());
        Ok(Admitted { until, place, domain: Arc::clone(&self.domain) })
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
}

/// What a call was let in with.
pub(super) struct Admitted {
    until: Deadline,
    place: Place,
    domain: Arc<str>,
}

impl Admitted {
    /// What the handler answers within the deadline, and the place to be held until that is on its way. Past it the
    /// handler is dropped; a write goes on, being detached. A stream has begun by its deadline, and then lasts for as
    /// long as it likes.
    pub(super) async fn answer<E>(
        self,
        handler: impl Future<Output = Result<Response<Body>, E>>,
    ) -> (Result<Response<Body>, E>, Option<Place>) {
        match timeout_at(self.until.0, handler).await {
            Ok(answer) => (answer, Some(self.place)),
            Err(_) => (Ok(too_late(&self.domain).into_http()), None),
        }
    }
}

/// One call's place among those in flight.
pub(super) struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn too_late(domain: &str) -> Status {
    let details = ErrorDetails::with_error_info("DEADLINE_EXCEEDED", domain, []);
    let message = "no answer within the deadline; whether anything was changed is open, ask with the same key";
    Status::with_error_details(Code::DeadlineExceeded, message, details)
}

/// `inventory.v1.InventoryService` -> `inventory.shopkeeper.dev`.
fn domain_of(services: &[&'static str]) -> Arc<str> {
    let package = services.first().and_then(|name| name.split('.').next()).unwrap_or_default();
    format!("{package}.shopkeeper.dev").into()
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

    #[test]
    fn only_calls_to_the_services_own_methods_are_bounded() {
        let bounds =
            Bounds::new(CallLimits::default, Stopping::default(), &["shop.v1.ShopService"]);
        assert!(bounds.concern("/shop.v1.ShopService/Sell"));
        for other in ["/shop.v1.ShopServices/Sell", "/grpc.health.v1.Health/Check", "/", "", "*"] {
            assert!(!bounds.concern(other), "{other:?}");
        }
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
