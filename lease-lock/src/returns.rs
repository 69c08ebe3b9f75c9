//! What must be given back when nobody waits for it any more: leases that were dropped, attempts that were cut off,
//! signals that woke a task which had gone.
//!
//! `Drop` cannot wait for Redis, so it leaves a note here and one task does it.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::keys::{Key, Keys, Token};
use crate::servers::Servers;

/// Notes that may lie here while Redis does not answer. What is beyond is freed by its TTL.
const NOTES_MAX: usize = 4096;
/// Leases given back in one script call.
const BATCH_MAX: usize = 64;

enum Note {
    /// Give these locks back if they are held by the token.
    Release { keys: Keys, token: Token, _out: TaskTrackerToken },
    /// Wake the next waiter if the lock is free.
    PassOn(Key),
}

/// Where notes are left. The task ends when the last one is gone and every note is done.
#[derive(Clone)]
pub(crate) struct Returns {
    notes: mpsc::Sender<Note>,
    /// The name of this process, which stands in every token.
    name: Option<Arc<str>>,
    /// Claims that are not given back yet.
    out: TaskTracker,
}

/// What an attempt may have taken in Redis. Dropped while it is armed, it is given back.
pub(crate) struct Claim {
    pub keys: Keys,
    pub token: Token,
    armed: bool,
    returns: Returns,
    out: TaskTrackerToken,
}

/// The duty to try the lock, since its waiter was woken and no other was. Dropped, the duty is passed on.
pub(crate) struct Signal {
    key: Option<Key>,
    returns: Returns,
}

impl Returns {
    pub(crate) fn start(servers: Servers, name: Option<String>) -> Self {
        let (sender, notes) = mpsc::channel(NOTES_MAX);
        tokio::spawn(work_off(servers, notes));
        Self { notes: sender, name: name.map(Arc::from), out: TaskTracker::new() }
    }

    fn leave(&self, note: Note) {
        if self.notes.try_send(note).is_err() {
            tracing::warn!(
                "Redis is too slow to take leases back; some go free only after their TTL"
            );
        }
    }

    /// A claim to nothing yet, under a token of its own.
    pub(crate) fn claim(&self, keys: Keys) -> Claim {
        let token = Token::random(self.name.as_deref());
        Claim { keys, token, armed: false, returns: self.clone(), out: self.out.token() }
    }

    /// Waits until everything is given back that was claimed, and says whether that was before the deadline.
    pub(crate) async fn all_back(&self, deadline: Instant) -> bool {
        self.out.close();
        tokio::time::timeout_at(deadline.into(), self.out.wait()).await.is_ok()
    }

    pub(crate) fn signal(&self, key: Key) -> Signal {
        Signal { key: Some(key), returns: self.clone() }
    }
}

impl Claim {
    /// From now on Redis may hold the locks under this token.
    pub(crate) fn arm(&mut self) {
        self.armed = true;
    }

    /// Redis has said that it holds nothing under this token.
    pub(crate) fn disarm(&mut self) {
        self.armed = false;
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if self.armed {
            let (keys, token) = (self.keys.clone(), self.token.clone());
            self.returns.leave(Note::Release { keys, token, _out: self.out.clone() });
        }
    }
}

impl Signal {
    /// The lock was tried, or the signal given back, by a script.
    pub(crate) fn spend(mut self) {
        self.key = None;
    }
}

impl Drop for Signal {
    fn drop(&mut self) {
        if let Some(key) = self.key.take() {
            self.returns.leave(Note::PassOn(key));
        }
    }
}

async fn work_off(servers: Servers, mut notes: mpsc::Receiver<Note>) {
    let mut batch = Vec::with_capacity(BATCH_MAX);
    while notes.recv_many(&mut batch, BATCH_MAX).await > 0 {
        let leases: Vec<_> = batch.iter().filter_map(Note::lease).collect();
        if !leases.is_empty()
            && let Some(Err(error)) = servers.release(leases).await.into_iter().find(Result::is_err)
        {
            tracing::warn!(%error, "leases go free only after their TTL");
        }
        for note in &batch {
            if let Note::PassOn(key) = note
                && let Err(error) = servers.wake(key, false).await
            {
                tracing::debug!(%error, "a waiter is woken only when it looks again");
            }
        }
        batch.clear();
    }
}

impl Note {
    fn lease(&self) -> Option<(Keys, Token)> {
        match self {
            Self::Release { keys, token, .. } => Some((keys.clone(), token.clone())),
            Self::PassOn(_) => None,
        }
    }
}
