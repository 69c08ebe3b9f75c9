//! A response body that tells its end: when the last byte was handed over, or the caller went away before.

use axum::body::{Body, Bytes};
use http::HeaderMap;
use http_body::{Body as _, Frame, SizeHint};
use pin_project_lite::pin_project;
use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

/// What is told of a body's end; dropped when the body is.
pub(super) trait Ending: Send + 'static {
    /// The trailers came: the call's status is among them.
    fn trailers(&mut self, _trailers: &HeaderMap) {}
    /// The body ended by itself.
    fn complete(&mut self) {}
}

pin_project! {
    /// A body and who is told of its end.
    pub(super) struct Observed<E> {
        #[pin]
        body: Body,
        ending: E,
    }
}

impl<E: Ending> Observed<E> {
    pub(super) fn new(body: Body, mut ending: E) -> Self {
        if body.is_end_stream() {
            ending.complete();
        }
        Self { body, ending }
    }
}

impl<E: Ending> http_body::Body for Observed<E> {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = self.project();
        let frame = ready!(this.body.poll_frame(cx));
        match &frame {
            None => this.ending.complete(),
            Some(Ok(frame)) => {
                if let Some(trailers) = frame.trailers_ref() {
                    this.ending.trailers(trailers);
                    this.ending.complete();
                }
            }
            Some(Err(_)) => {}
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
