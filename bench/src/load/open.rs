//! The open loop: calls begin when they are due, whether or not earlier ones are answered, as callers who do not know
//! of each other do. Latency counts from the moment at which a call was due, so a server that stalls is seen to stall.

use super::{Call, Numbers, Tally, Window};
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    runtime::Handle,
    task::spawn_blocking,
    time::{Instant, sleep},
};

/// How often the end of the last calls is looked for.
const LOOK: Duration = Duration::from_millis(2);

/// Begins `rate` calls a second, spread evenly over `callers` and over time. A call that is due while `in_flight_max`
/// are in flight is not made but counted as dropped.
pub(crate) async fn run<C: Call>(
    callers: &[C],
    rate: f64,
    in_flight_max: usize,
    window: Window,
    numbers: &Numbers,
) -> Tally {
    let dispatcher = Dispatcher {
        callers: callers.to_vec(),
        shards: callers.iter().map(|_| Arc::new(Mutex::new(Tally::default()))).collect(),
        in_flight: Arc::new(AtomicUsize::new(0)),
        in_flight_max,
        window,
        numbers: numbers.clone(),
        runtime: Handle::current(),
    };
    let (in_flight, shards) = (Arc::clone(&dispatcher.in_flight), dispatcher.shards.clone());
    // A thread of its own: the runtime's timer rounds up to a millisecond, which would be added to every sample.
    let dropped = spawn_blocking(move || dispatcher.run(rate)).await;
    while in_flight.load(Ordering::Relaxed) > 0 && Instant::now() < window.give_up {
        sleep(LOOK).await;
    }
    let abandoned = in_flight.load(Ordering::Relaxed);
    let mut tally = Tally::sum(shards.iter().map(|shard| &**shard));
    tally.dropped = dropped.expect("the dispatcher does not panic");
    tally.abandoned = u64::try_from(abandoned).unwrap_or(u64::MAX);
    tally
}

struct Dispatcher<C> {
    callers: Vec<C>,
    shards: Vec<Arc<Mutex<Tally>>>,
    in_flight: Arc<AtomicUsize>,
    in_flight_max: usize,
    window: Window,
    numbers: Numbers,
    runtime: Handle,
}

impl<C: Call> Dispatcher<C> {
    /// Begins the calls, each at its time, and answers how many it dropped within the window.
    fn run(self, rate: f64) -> u64 {
        let mut dropped = 0;
        for index in 0_u32.. {
            // From the start each time, so that no rounding adds up.
            let due = self.window.start + Duration::from_secs_f64(f64::from(index) / rate);
            if due >= self.window.end {
                break;
            }
            let early = due.saturating_duration_since(Instant::now());
            if !early.is_zero() {
                std::thread::sleep(early);
            }
            if self.in_flight.load(Ordering::Relaxed) >= self.in_flight_max {
                dropped += u64::from(self.window.holds(due));
            } else {
                self.begin(index as usize % self.callers.len(), due);
            }
        }
        dropped
    }

    fn begin(&self, connection: usize, due: Instant) {
        let caller = self.callers[connection].clone();
        let shard = Arc::clone(&self.shards[connection]);
        let in_flight = Arc::clone(&self.in_flight);
        let (window, number) = (self.window, self.numbers.next());
        in_flight.fetch_add(1, Ordering::Relaxed);
        self.runtime.spawn(async move {
            let outcome = caller.call(number).await;
            let (end, sampled) = (Instant::now(), window.holds(due));
            shard.lock().expect("no holder panics").note(outcome, due, end, &window, sampled);
            in_flight.fetch_sub(1, Ordering::Relaxed);
        });
    }
}
