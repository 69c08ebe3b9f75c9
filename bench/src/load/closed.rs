//! The closed loop: so many calls in flight at any time, each followed by the next as soon as it is answered. It
//! measures capacity. Its latencies are those of this load and say nothing of a lower one.

use super::{Call, Numbers, Outcome, Tally, Window};
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, timeout_at},
};

/// How long one of the loops pauses after it was turned away, as a client that minds the pushback does: without it the
/// loops would measure how fast they can be turned away.
const PAUSE: Duration = Duration::from_millis(10);

/// Keeps `in_flight` calls going, spread evenly over `callers` (one per connection).
pub(crate) async fn run<C: Call>(
    callers: &[C],
    in_flight: usize,
    window: Window,
    numbers: &Numbers,
) -> Tally {
    let shards: Vec<_> = callers.iter().map(|_| Arc::new(Mutex::new(Tally::default()))).collect();
    let waiting = Arc::new(AtomicUsize::new(0));
    let mut loops = JoinSet::new();
    for index in 0..in_flight {
        let one = Loop {
            caller: callers[index % callers.len()].clone(),
            shard: Arc::clone(&shards[index % callers.len()]),
            waiting: Arc::clone(&waiting),
            numbers: numbers.clone(),
            window,
        };
        loops.spawn(one.run());
    }
    let all = async { while loops.join_next().await.is_some() {} };
    let finished = timeout_at(window.give_up, all).await.is_ok();
    let abandoned = if finished { 0 } else { waiting.load(Ordering::Relaxed) };
    loops.shutdown().await;
    let mut tally = Tally::sum(shards.iter().map(|shard| &**shard));
    tally.abandoned = u64::try_from(abandoned).unwrap_or(u64::MAX);
    tally
}

struct Loop<C> {
    caller: C,
    shard: Arc<Mutex<Tally>>,
    waiting: Arc<AtomicUsize>,
    numbers: Numbers,
    window: Window,
}

impl<C: Call> Loop<C> {
    async fn run(self) {
        let mut start = Instant::now();
        while start < self.window.end {
            self.waiting.fetch_add(1, Ordering::Relaxed);
            let outcome = self.caller.call(self.numbers.next()).await;
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            let end = Instant::now();
            let turned_away = outcome == Outcome::Unavailable;
            let sampled = self.window.holds(end);
            self.shard.lock().expect("no holder panics").note(
                outcome,
                start,
                end,
                &self.window,
                sampled,
            );
            if turned_away {
                sleep(PAUSE).await;
            }
            start = Instant::now();
        }
    }
}
