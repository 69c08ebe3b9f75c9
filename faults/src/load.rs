//! Clients at work: each plays script after script until it is told to end. What they could not finish is kept.

use crate::{
    caller::Caller,
    history::{Act, Recorder},
    script::script,
};
use anyhow::{Context, Result, bail};
use futures::{StreamExt, stream};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};

/// What a client rests between two orders: a few hundred orders a second are plenty, and the machine must serve them.
const PACE: Duration = Duration::from_millis(5);
/// What a client that got no answer rests: it has other things to do than to knock.
const PACE_UNANSWERED: Duration = Duration::from_millis(50);
/// For how long what was left open is asked about, once everything is healed.
const SETTLED_WITHIN: Duration = Duration::from_secs(60);
/// How many ask at a time.
const SETTLING: usize = 16;
/// One look for so many orders.
const LOOK_EVERY: u32 = 8;
/// The goods that are looked at: the one that changes most.
const LOOKED_AT: i64 = 1;

/// An order that was left open, and what is still to be done about it. Of the first it is not known whether it was.
#[derive(Clone, Debug)]
pub struct Left {
    order: String,
    acts: VecDeque<Act>,
}

impl Left {
    /// An order of which one act is open.
    pub fn of(order: String, act: Act) -> Self {
        Self { order, acts: [act].into() }
    }
}

/// Clients at work.
pub struct Load {
    ended: Arc<AtomicBool>,
    clients: JoinSet<Vec<Left>>,
}

impl Load {
    /// So many clients begin. Their orders' numbers begin with `name`; what they want is drawn from `random`.
    pub fn begin(caller: &Caller, name: &str, clients: u64, random: &mut StdRng) -> Self {
        let ended = Arc::new(AtomicBool::new(false));
        let mut all = JoinSet::new();
        for number in 0..clients {
            let client = Client {
                name: format!("{name}-{number}"),
                caller: caller.clone().starting_at(number as usize),
                random: StdRng::seed_from_u64(random.random()),
                left: Vec::new(),
            };
            all.spawn(client.work(Arc::clone(&ended)));
        }
        Self { ended, clients: all }
    }

    /// Lets every client finish the call it is at, and gives what they left open.
    pub async fn end(self) -> Vec<Left> {
        self.ended.store(true, Ordering::SeqCst);
        self.clients.join_all().await.concat()
    }
}

struct Client {
    name: String,
    caller: Caller,
    random: StdRng,
    left: Vec<Left>,
}

impl Client {
    async fn work(mut self, ended: Arc<AtomicBool>) -> Vec<Left> {
        for number in 0_u32.. {
            if ended.load(Ordering::SeqCst) {
                break;
            }
            let order = format!("{}-{number}", self.name);
            let acts = script(&mut self.random).into();
            let left = play(&mut self.caller, Left { order, acts }, &mut self.random).await;
            if number % LOOK_EVERY == 0 {
                self.caller.look(LOOKED_AT).await;
            }
            sleep(if left.is_some() { PACE_UNANSWERED } else { PACE }).await;
            self.left.extend(left);
        }
        self.left
    }
}

/// Plays a script until there is no answer; gives the rest.
async fn play(caller: &mut Caller, mut left: Left, random: &mut StdRng) -> Option<Left> {
    while let Some(act) = left.acts.front() {
        if caller.call(&left.order, act, random).await.is_none() {
            return Some(left);
        }
        left.acts.pop_front();
    }
    None
}

/// Sends again what was left open until there is an answer to all of it. Everything is healed by now, so it must come.
pub async fn settle(caller: &Caller, left: Vec<Left>, random: &mut StdRng) -> Result<()> {
    let until = Instant::now() + SETTLED_WITHIN;
    let asking = left.into_iter().map(|mut left| {
        let (mut caller, mut random) = (caller.clone(), StdRng::seed_from_u64(random.random()));
        async move {
            while let Some(rest) = play(&mut caller, left, &mut random).await {
                if Instant::now() >= until {
                    bail!("{rest:?} has no answer {SETTLED_WITHIN:?} after everything was healed");
                }
                left = rest;
            }
            Ok(())
        }
    });
    let settled: Vec<Result<()>> = stream::iter(asking).buffer_unordered(SETTLING).collect().await;
    settled.into_iter().collect()
}

/// How often somebody who waits for the load looks at what it came to: about as often as an order is answered.
const LOOK: Duration = Duration::from_millis(5);

/// Lets the load go on until an order has fallen short and one was sent again and known, at most for so long: a fault
/// that lasts leaves it few orders.
pub async fn until_varied(recorder: &Recorder, within: Duration) {
    let varied = async {
        while !recorder.was_refused("INSUFFICIENT_STOCK") || recorder.counts().replayed == 0 {
            sleep(LOOK).await;
        }
    };
    // Whether it did is for the check to say.
    let _ = tokio::time::timeout(within, varied).await;
}

/// Waits until something that was sent from now on is acknowledged, and says how long that took.
pub async fn until_served(recorder: &Recorder, within: Duration) -> Result<Duration> {
    let healed = recorder.now();
    let served = async {
        while !recorder.acknowledged_since(healed) {
            sleep(LOOK).await;
        }
    };
    tokio::time::timeout(within, served)
        .await
        .with_context(|| format!("nothing is served {within:?} after it was healed"))?;
    Ok(recorder.now() - healed)
}
