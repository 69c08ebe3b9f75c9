//! The load generator: sends calls in a closed loop (capacity) or an open loop (latency at a rate) and counts what
//! became of each. What a call is, a gRPC call or one into a library, is the caller's business.

pub(crate) mod closed;
pub(crate) mod open;
mod tally;
#[cfg(test)]
mod tests;

pub(crate) use tally::Tally;

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::time::Instant;

/// What became of one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// So many orders are acknowledged.
    Accepted(u64),
    /// An answer that says no, and why.
    Refused,
    /// Not taken, or not known whether: the database is away, the queue is full, the deadline passed.
    Unavailable,
    /// Something that no run should see. The words are shown.
    Failed(String),
}

/// Something that can be called again and again. Clones share one connection.
pub(crate) trait Call: Clone + Send + Sync + 'static {
    /// Makes call number `number`; no two calls of a run have the same number.
    fn call(&self, number: u64) -> impl Future<Output = Outcome> + Send;
}

/// When a run counts: calls are made from now on until `end`, but only what happens from `begin` on is counted. Calls
/// in flight at `end` are waited for until `give_up`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    start: Instant,
    pub(crate) begin: Instant,
    pub(crate) end: Instant,
    pub(crate) give_up: Instant,
}

impl Window {
    /// Begins after `warm_up`, ends `length` later, and waits for the last answers for at most `patience`.
    pub(crate) fn from_now(warm_up: Duration, length: Duration, patience: Duration) -> Self {
        let start = Instant::now();
        let begin = start + warm_up;
        Self { start, begin, end: begin + length, give_up: begin + length + patience }
    }

    fn holds(&self, moment: Instant) -> bool {
        (self.begin..self.end).contains(&moment)
    }
}

/// The numbers of a run's calls: ascending, each given once.
#[derive(Clone, Default)]
pub(crate) struct Numbers(Arc<AtomicU64>);

impl Numbers {
    fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }
}
