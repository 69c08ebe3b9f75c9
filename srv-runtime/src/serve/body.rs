//! A response body that tells its end: when the last byte was handed over, or the caller went away before.

use super::bounds::Place;
use super::measure::Call;
use http_body::{Body as _, Frame, SizeHint};
use pin_project_lite::pin_project;
use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};
use tonic::{Status, body::Body, codegen::Bytes};

pin_project! {
    /// A body, the call whose measure ends with it, and the place that the call keeps until its last byte is on its
    /// way.
    pub(super) struct Observed {
        #[pin]
        body: Body,
        call: Call,
        place: Option<Place>,
    }
}

impl Observed {
    pub(super) fn new(body: Body, mut call: Call, place: Option<Place>) -> Self {
        if body.is_end_stream() {
            call.complete();
        }
        Self { body, call, place }
    }
}

impl http_body::Body for Observed {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.project();
        let frame = ready!(this.body.poll_frame(cx));
        match &frame {
            None => this.call.complete(),
            Some(Ok(frame)) => {
                if let Some(trailers) = frame.trailers_ref() {
                    this.call.trailers(trailers);
                    this.call.complete();
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
