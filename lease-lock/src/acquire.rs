//! Getting a lease: one attempt, and the contest of attempts until a deadline.

use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use crate::error::{AcquireError, Cause, Lost, Unavailable};
use crate::gates::{Gates, Pass};
use crate::hold::{Held, Hold};
use crate::keeper::Keeper;
use crate::keys::Keys;
use crate::lease::Lease;
use crate::majority::{Busy, Verdict};
use crate::returns::{Claim, Returns, Signal};
use crate::server::LOOK_AFTER_MAX;
use crate::servers::{Servers, Signalled};
use crate::signals::{self, Signals, Waiting};
use crate::terms::Terms;

/// A waiter looks this much later than the holder's TTL says, so that Redis has surely expired the key by then.
const AFTER_EXPIRY_MILLISECONDS: std::ops::RangeInclusive<u64> = 2..=12;

/// All that takes part in getting a lease.
pub(crate) struct Parts {
    pub servers: Servers,
    pub returns: Returns,
    pub keeper: Keeper,
    pub signals: Signals,
    pub gates: Gates,
    /// Cancelled when no more leases are given.
    pub closed: CancellationToken,
}

/// What came of one attempt.
pub(crate) enum Attempt {
    Won(Lease),
    /// The claim comes back, for the next attempt under the same token, unless something must be given back under it.
    Busy(Busy, Option<Claim>),
}

/// The last holder that was seen, for the error when the time is over.
pub(crate) type Seen = Option<Option<Duration>>;

impl Parts {
    pub(crate) fn claim(&self, keys: Keys) -> Claim {
        self.returns.claim(keys)
    }

    /// Asks Redis once. The work is done in a task of its own that owns the token: a caller who has gone drops only
    /// the answer, and with it the lease.
    pub(crate) async fn attempt(
        &self,
        mut claim: Claim,
        terms: Terms,
        signal: Option<(Signalled, Signal)>,
    ) -> Result<Attempt, Unavailable> {
        let (servers, keeper) = (self.servers.clone(), self.keeper.clone());
        let task = tokio::spawn(async move {
            let signalled = signal.as_ref().map(|(signalled, _)| *signalled);
            let sent = Instant::now();
            claim.arm();
            let verdict =
                servers.acquire(&claim.keys, &claim.token, terms.ttl(), signalled).await?;
            if let Some((_, signal)) = signal {
                signal.spend();
            }
            match verdict {
                Verdict::Won { fence } => {
                    let (keys, token) = (claim.keys.clone(), claim.token.clone());
                    let hold = Hold(Held::new(keys, token, fence, terms, sent).into());
                    let lease = Lease::new(hold, claim, keeper, servers);
                    // An answer that comes after the lease's end is none; dropped, the lease is given back.
                    match lease.check() {
                        Ok(()) => Ok(Attempt::Won(lease)),
                        Err(Lost(Cause::Closed)) => Err(Unavailable::Closed),
                        Err(Lost(_)) => Err(Unavailable::Silent),
                    }
                }
                Verdict::Busy(busy) if busy.partly => Ok(Attempt::Busy(busy, None)),
                Verdict::Busy(busy) => {
                    claim.disarm();
                    Ok(Attempt::Busy(busy, Some(claim)))
                }
            }
        });
        // The task ends without a result only when the runtime ends.
        task.await.unwrap_or(Err(Unavailable::Silent))
    }

    /// Attempts until one wins. The caller sets the end.
    pub(crate) async fn contest(
        &self,
        keys: Keys,
        terms: Terms,
        seen: &mut Seen,
    ) -> Result<Lease, AcquireError> {
        let mut claim = None;
        // Who comes when others wait stands behind them.
        let queued = keys.iter().find(|key| self.gates.is_queued(&key.lock));
        let mut pass: Option<Pass<'_>> = match queued {
            Some(key) => Some(self.gates.enter(&key.lock).await),
            None => None,
        };
        let mut waiting: Option<(Signalled, Waiting)> = None;
        let mut signal = None;
        loop {
            let next = claim.take().unwrap_or_else(|| self.claim(keys.clone()));
            let busy = match self.attempt(next, terms, signal.take()).await? {
                Attempt::Won(lease) => return Ok(lease),
                Attempt::Busy(busy, back) => {
                    claim = back;
                    busy
                }
            };
            *seen = Some(busy.holder_ttl);
            let name = keys[busy.on].lock.as_str();
            if !pass.as_ref().is_some_and(|pass| pass.is_for(name)) {
                // Never two at a time: a task at one gate does not hold up those who want another lock.
                drop(pass.take());
                // What is waited for no more passes its signal on.
                drop(waiting.take());
                pass = self.gates.try_enter(name);
                if pass.is_none() {
                    pass = Some(self.gates.enter(name).await);
                    continue;
                }
            }
            let wanted = Signalled { on: busy.on, at: busy.at };
            let (_, mut receiver) = match waiting.take() {
                Some(waiting) if waiting.0 == wanted => waiting,
                _ => (wanted, self.signals.wait(busy.at, &keys[busy.on])),
            };
            tokio::select! {
                came = &mut receiver => signal = came.ok().flatten().map(|signal| (wanted, signal)),
                () = tokio::time::sleep(look_after(&busy)) => waiting = Some((wanted, receiver)),
            }
        }
    }
}

/// When to look again if no signal comes: when the holder would expire, and never late by more than a lost signal
/// costs. Rivals who each got a part of the servers have no holder to wait for, and must not meet again.
fn look_after(busy: &Busy) -> Duration {
    if busy.split {
        return signals::look_again();
    }
    let late = Duration::from_millis(rand::random_range(AFTER_EXPIRY_MILLISECONDS));
    busy.holder_ttl.map_or(LOOK_AFTER_MAX, |ttl| (ttl + late).min(LOOK_AFTER_MAX))
}
