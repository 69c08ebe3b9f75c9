//! What stands around every call: it is measured, and the service's own are kept within bounds.
//!
//! One layer outside of everything else, because what stands further inside runs only when the call's task gets its
//! turn, and by then tonic's timer has been running for a while. Axum's layers would also cost each call three
//! allocations apiece.

use super::body::Observed;
use super::bounds::Bounds;
use super::measure::Measure;
use futures::future::BoxFuture;
use http::{Request, Response};
use std::task::{Context, Poll};
use tonic::body::Body;
use tower::{Layer, Service};

/// Puts itself around the routes of a process.
#[derive(Clone)]
pub(super) struct CallLayer {
    pub(super) measure: Measure,
    pub(super) bounds: Bounds,
}

impl<S> Layer<S> for CallLayer {
    type Service = Calls<S>;

    fn layer(&self, routes: S) -> Calls<S> {
        Calls { routes, around: self.clone() }
    }
}

/// Routes, and what stands around the calls to them.
#[derive(Clone)]
pub(super) struct Calls<S> {
    routes: S,
    around: CallLayer,
}

impl<S> Service<Request<Body>> for Calls<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
{
    type Response = Response<Observed>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Response<Observed>, S::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.routes.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let CallLayer { measure, bounds } = &self.around;
        let call = measure.begin(request.uri().path());
        if !bounds.concern(request.uri().path()) {
            let answer = self.routes.call(request);
            return Box::pin(async move { Ok(call.observe(answer.await?, None)) });
        }
        match bounds.admit(&mut request) {
            Ok(admitted) => {
                let answer = self.routes.call(request);
                Box::pin(async move {
                    let (answer, place) = admitted.answer(answer).await;
                    Ok(call.observe(answer?, place))
                })
            }
            Err(overloaded) => {
                Box::pin(async move { Ok(call.observe(overloaded.into_http(), None)) })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Deadline, Metrics, Stopping};
    use srv_config::CallLimits;
    use std::{convert::Infallible, time::Duration};
    use tokio::time::Instant;

    fn layer(limits: CallLimits) -> CallLayer {
        let bounds =
            Bounds::new(move || limits.clone(), Stopping::default(), &["shop.v1.ShopService"]);
        CallLayer { measure: Measure::new(&Metrics::new("test")), bounds }
    }

    fn request() -> Request<Body> {
        Request::get("/shop.v1.ShopService/Sell").body(Body::empty()).unwrap()
    }

    #[tokio::test]
    async fn a_call_keeps_its_place_until_the_last_byte_of_its_answer() {
        let limits = CallLimits { calls_in_flight: 1, ..CallLimits::default() };
        let mut calls = layer(limits).layer(tower::service_fn(async |_: Request<Body>| {
            let endless = futures::stream::pending::<Result<Vec<u8>, Infallible>>();
            let body = Body::new(axum::body::Body::from_stream(endless));
            Ok::<_, Infallible>(Response::new(body))
        }));
        let first = calls.call(request()).await.unwrap();
        assert!(!first.headers().contains_key("grpc-status"));
        let second = calls.call(request()).await.unwrap();
        assert_eq!(second.headers()["grpc-status"], "14");
        drop(first);
        let third = calls.call(request()).await.unwrap();
        assert!(!third.headers().contains_key("grpc-status"));
    }

    #[tokio::test]
    async fn the_deadline_counts_from_the_arrival_however_late_the_call_gets_its_turn() {
        let second = Duration::from_secs(1);
        let limits = CallLimits { deadline_milliseconds: 1000, ..CallLimits::default() };
        let mut calls = layer(limits).layer(tower::service_fn(async |request: Request<Body>| {
            let Deadline(until) = request.extensions().get().copied().unwrap();
            let mut answer = Response::new(Body::empty());
            answer.extensions_mut().insert(until);
            Ok::<_, Infallible>(answer)
        }));
        let before = Instant::now();
        let call = calls.call(request());
        let after = Instant::now();
        // The clock has moved on by the time at which the call gets its turn.
        while Instant::now() <= after {
            std::hint::spin_loop();
        }
        let answer = call.await.unwrap();
        let until = answer.extensions().get().copied().unwrap();
        assert!((before + second..=after + second).contains(&until));
    }
}
