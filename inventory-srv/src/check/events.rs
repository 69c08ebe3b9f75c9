//! A check as a stream of events, told to somebody who may be slow, or gone.

use super::{Check, Drifted, Summary};
use crate::Inventory;
use crate::error::Error;
use crate::order::GoodsId;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::time::{Instant, timeout};

/// How many checks one process runs at a time: each keeps the database from forgetting what was before it, and a second
/// one would find the same.
pub(crate) const CHECKS_MAX: usize = 1;

/// How many events wait to be taken.
const EVENTS_MAX: usize = 16;

/// How a check is told.
#[derive(Clone, Copy, Debug)]
struct Limits {
    /// The longest that it may take. Databases keep all that is overwritten meanwhile; and what is purged must be older
    /// than a check.
    check: Duration,
    /// For how long nobody may take an event before it ends: it must not hold its snapshot for a caller that hangs.
    untaken: Duration,
    /// How often it says how far it is.
    progress: Duration,
}

const LIMITS: Limits = Limits {
    check: Duration::from_secs(60 * 60),
    untaken: Duration::from_secs(30),
    progress: Duration::from_secs(1),
};

/// When a caller whose check was not begun may ask again.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// What a check tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Goods that drifted.
    Drifted(Drifted),
    /// How far it is.
    Progress(Summary),
    /// All is checked.
    Done(Summary),
}

/// An event, or why the check ended without [`Event::Done`].
pub type Told = Result<Event, Error>;

impl Inventory {
    /// Checks these goods, or all if none is named, and with `repair` sets right what drifted. The last event is
    /// [`Event::Done`], or an error. The check ends when the receiver is dropped; a repair that was begun is finished.
    pub async fn check_ledger(
        &self,
        goods: &[GoodsId],
        repair: bool,
    ) -> Result<Receiver<Told>, Error> {
        let turn = Arc::clone(&self.checks).try_acquire_owned();
        let turn = turn.map_err(|_| Error::Overloaded { retry_after: RETRY_AFTER })?;
        let check = Check::begin(self.store.clone(), goods, repair).await;
        Ok(told(check.map_err(Error::from_reading)?, turn, LIMITS))
    }
}

/// Runs a check in a task of its own. Must be called inside a tokio runtime.
fn told(mut check: Check, turn: OwnedSemaphorePermit, limits: Limits) -> Receiver<Told> {
    let (events, receiver) = mpsc::channel(EVENTS_MAX + 1);
    // A place kept for the end, which whoever is too slow must learn as well.
    let end = events.clone().try_reserve_owned().expect("a new channel has room");
    tokio::spawn(async move {
        let ended = tokio::select! {
            () = events.closed() => return,
            ended = timeout(limits.check, tell(&mut check, &events, limits)) => ended,
        };
        // Whoever reads the end may begin the next check.
        drop((check, turn));
        end.send(ended.unwrap_or(Err(Error::CheckTooLong)).map(Event::Done));
    });
    receiver
}

/// Tells all but the end.
async fn tell(check: &mut Check, events: &Sender<Told>, limits: Limits) -> Result<Summary, Error> {
    let mut told = Instant::now();
    while let Some(drifted) = check.step().await? {
        let mut now: Vec<_> = drifted.into_iter().map(Event::Drifted).collect();
        if told.elapsed() >= limits.progress {
            told = Instant::now();
            now.push(Event::Progress(check.summary()));
        }
        for event in now {
            let taken = events.send_timeout(Ok(event), limits.untaken).await;
            taken.map_err(|_| Error::CheckTooLong)?;
        }
    }
    Ok(check.summary())
}

#[cfg(test)]
mod tests;
