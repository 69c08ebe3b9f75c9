//! Writes that a dropped request cannot cancel.
//!
//! A request's future is dropped when its caller goes away or its deadline passes. A write that is dropped half way
//! leaves it open whether it happened, and on MySQL a `BEGIN` dropped in flight leaves a transaction open on a pooled
//! connection. So a write runs in a task of its own, and the process waits for those tasks before it exits.

use std::{future::Future, panic::resume_unwind, sync::LazyLock, time::Duration};
use tokio_util::task::TaskTracker;
use tracing::Instrument;

/// Closed from the start: a closed tracker accepts tasks, and its `wait` returns whenever none is left.
static WRITES: LazyLock<TaskTracker> = LazyLock::new(|| {
    let tracker = TaskTracker::new();
    tracker.close();
    tracker
});

/// Runs a write in a task of its own that a dropped request cannot cancel, and awaits its result.
///
/// Dropping the returned future lets the write go on; the process waits for it at shutdown, within the drain's bound.
/// A panic of the write is a panic of the caller. Must be called inside a tokio runtime.
pub async fn detached<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> T {
    match WRITES.spawn(work.in_current_span()).await {
        Ok(done) => done,
        Err(failed) => resume_unwind(failed.into_panic()),
    }
}

/// Waits until no write is left, at most `bound`; answers how many writes were still running then.
pub(crate) async fn finish_writes(bound: Duration) -> usize {
    let _ = tokio::time::timeout(bound, WRITES.wait()).await;
    WRITES.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::oneshot;

    #[tokio::test]
    async fn a_dropped_caller_does_not_cancel_its_write() {
        let (release, released) = oneshot::channel::<()>();
        let (finish, finished) = oneshot::channel();
        let mut caller = Box::pin(detached(async move {
            released.await.unwrap();
            finish.send("written").unwrap();
        }));
        tokio::select! { biased; () = &mut caller => unreachable!(), () = std::future::ready(()) => {} }
        drop(caller);
        release.send(()).unwrap();
        assert_eq!(finished.await.unwrap(), "written");
    }

    #[tokio::test]
    async fn the_result_of_a_write_reaches_its_caller() {
        assert_eq!(detached(async { 7 }).await, 7);
    }
}
