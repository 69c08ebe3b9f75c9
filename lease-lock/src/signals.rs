//! Waiting for a release without asking again and again: each lock has a list that a release puts a signal into, and
//! Redis wakes the first who waits at it.
//!
//! Who finds no connection to wait with looks again after a short random time instead.

use std::time::Duration;

use tokio::sync::oneshot;

use crate::keys::Key;
use crate::returns::{Returns, Signal};
use crate::servers::Servers;

/// When there is no connection to wait with: a hand-over is late by half of the upper bound on average.
const LOOK_AGAIN_MILLISECONDS: std::ops::Range<u64> = 20..100;

#[derive(Clone)]
pub(crate) struct Signals {
    servers: Servers,
    returns: Returns,
}

/// A wait that has begun. Dropped, it goes on for a moment, and a signal that still comes is passed on.
pub(crate) type Waiting = oneshot::Receiver<Option<Signal>>;

impl Signals {
    pub(crate) fn new(servers: Servers, returns: Returns) -> Self {
        Self { servers, returns }
    }

    /// Waits at one server for a signal of this key. `None`: no signal, look again.
    pub(crate) fn wait(&self, at: usize, key: &Key) -> Waiting {
        let (sender, receiver) = oneshot::channel();
        let (Self { servers, returns }, key) = (self.clone(), key.clone());
        // A task of its own: a pop that is cut off could have taken the signal with it.
        tokio::spawn(async move {
            let signal = match servers.pop(at, &key).await {
                Some(true) => Some(returns.signal(key)),
                Some(false) => None,
                None => {
                    tokio::time::sleep(look_again()).await;
                    None
                }
            };
            drop(sender.send(signal));
        });
        receiver
    }
}

pub(crate) fn look_again() -> Duration {
    Duration::from_millis(rand::random_range(LOOK_AGAIN_MILLISECONDS))
}
