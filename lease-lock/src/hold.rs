//! What is known of one lease: since when, until when, and why it ended. Local knowledge only, no Redis.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use crate::error::{Cause, Lost};
use crate::keys::{Keys, Token};
use crate::terms::Terms;

/// A lease is renewed after this part of its TTL, which leaves time for further tries.
const RENEWALS_PER_TTL: u32 = 3;
/// A lease that is due within this part of its TTL is renewed together with one that is due now.
const TOGETHER_PER_TTL: u32 = 24;
/// What a clock here and a clock there may disagree over one TTL: 1 %, and 2 ms for Redis's own rounding.
const DRIFT_DIVISOR: u32 = 100;
const DRIFT_MIN: Duration = Duration::from_millis(2);

/// A view of a lease for the work done under it. Clones are cheap; the lease ends without regard to them.
#[derive(Clone, Debug)]
pub struct Hold(pub(crate) Arc<Held>);

#[derive(Debug)]
pub(crate) struct Held {
    pub keys: Keys,
    pub token: Token,
    fence: u64,
    terms: Terms,
    /// When it ends in any case.
    ends_at: Instant,
    term: Mutex<Term>,
    lost: CancellationToken,
    committing: AtomicBool,
}

#[derive(Debug)]
struct Term {
    valid_until: Instant,
    /// When to renew. `None`: nothing is left to renew, it runs to its end.
    due: Option<Instant>,
    renewing: bool,
    trouble: Option<String>,
    ended: Option<Cause>,
}

impl Hold {
    /// The fencing number. For each id it only rises from lease to lease, so a write that carries it can be refused
    /// when a later lease has written: `... WHERE lock_fence <= $fence`.
    pub fn fence(&self) -> u64 {
        self.0.fence
    }

    /// Whether the lease still holds, by the local clock and by all that Redis said. Costs no round trip.
    ///
    /// # Errors
    /// [`Lost`] when it has ended.
    pub fn check(&self) -> Result<(), Lost> {
        self.0.expire(Instant::now());
        match self.0.cause() {
            Some(cause) => Err(Lost(cause)),
            None => Ok(()),
        }
    }

    /// The last [`check`](Self::check), immediately before the COMMIT: inside [`Lease::run`](crate::Lease::run), work
    /// that has passed it is not cut off any more, so that no COMMIT is left without its answer.
    ///
    /// # Errors
    /// [`Lost`] when the lease has ended; then roll back.
    pub fn check_before_commit(&self) -> Result<(), Lost> {
        self.check()?;
        self.0.committing.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Cancelled when the lease ends, by loss or by release.
    pub fn lost(&self) -> &CancellationToken {
        &self.0.lost
    }

    /// For how long it certainly holds if it is not renewed again. Zero when it has ended.
    pub fn remaining(&self) -> Duration {
        let term = self.0.term();
        if term.ended.is_some() { Duration::ZERO } else { until(term.valid_until) }
    }

    /// Why it has ended.
    pub(crate) fn loss(&self) -> Lost {
        Lost(self.0.cause().unwrap_or(Cause::Released))
    }

    pub(crate) fn is_committing(&self) -> bool {
        self.0.committing.load(Ordering::Relaxed)
    }
}

impl Held {
    /// `sent` is the moment before the script that took the locks was sent: Redis began to count later than that.
    pub(crate) fn new(keys: Keys, token: Token, fence: u64, terms: Terms, sent: Instant) -> Self {
        let ends_at = sent + terms.max_hold();
        let term = Term {
            valid_until: sent + certain(terms.ttl()),
            due: None,
            renewing: false,
            trouble: None,
            ended: None,
        };
        let (lost, committing) = (CancellationToken::new(), AtomicBool::new(false));
        let held =
            Self { keys, token, fence, terms, ends_at, term: Mutex::new(term), lost, committing };
        held.renewed(sent, terms.ttl());
        held
    }

    /// When something is to be done about it: a renewal, or its end. `None` when it has ended.
    pub(crate) fn next_event(&self) -> Option<Instant> {
        let term = self.term();
        let due = term.due.filter(|_| !term.renewing);
        term.ended.is_none().then(|| due.map_or(term.valid_until, |due| due.min(term.valid_until)))
    }

    /// Ends it when its time is over.
    pub(crate) fn expire(&self, now: Instant) {
        let term = self.term();
        if term.ended.is_some() || now < term.valid_until {
            return;
        }
        let cause = match (&term.due, &term.trouble) {
            (None, _) => Cause::MaxHold,
            (Some(_), Some(trouble)) => Cause::Expired(trouble.clone()),
            (Some(_), None) => Cause::Expired("this process stood still".into()),
        };
        drop(term);
        self.end(cause);
    }

    /// Ends it; the first cause stays.
    pub(crate) fn end(&self, cause: Cause) {
        self.term().ended.get_or_insert(cause);
        self.lost.cancel();
    }

    fn cause(&self) -> Option<Cause> {
        self.term().ended.clone()
    }

    /// The TTL to ask for if a renewal is due now or soon; it is not due again until that one's result is told.
    pub(crate) fn begin_renewal(&self, now: Instant) -> Option<Duration> {
        let mut term = self.term();
        let soon = now + self.terms.ttl() / TOGETHER_PER_TTL;
        let is_due =
            term.ended.is_none() && !term.renewing && term.due.is_some_and(|due| due <= soon);
        term.renewing |= is_due;
        is_due.then(|| self.next_ttl(now))
    }

    /// The whole TTL, or what `max_hold` leaves of it.
    pub(crate) fn next_ttl(&self, now: Instant) -> Duration {
        self.terms.ttl().min(self.ends_at.saturating_duration_since(now))
    }

    /// Redis has set this TTL after `sent`.
    pub(crate) fn renewed(&self, sent: Instant, ttl: Duration) {
        let mut term = self.term();
        term.valid_until = sent + certain(ttl);
        let more = self.ends_at > sent + ttl;
        term.due = more.then(|| sent + self.terms.ttl() / RENEWALS_PER_TTL);
        term.renewing = false;
        term.trouble = None;
    }

    /// A renewal had no answer; another is due after `pause`.
    pub(crate) fn not_renewed(&self, trouble: String) {
        let mut term = self.term();
        term.due = Some(Instant::now() + self.retry_pause());
        term.renewing = false;
        term.trouble = Some(trouble);
    }

    /// A renewal at TTL/3 that fails leaves 2/3 of the TTL: at least three tries of this length, with pauses of half
    /// of it.
    pub(crate) fn try_within(&self) -> Duration {
        self.terms.ttl() / 6
    }

    pub(crate) fn retry_pause(&self) -> Duration {
        self.terms.ttl() / 12
    }

    fn term(&self) -> MutexGuard<'_, Term> {
        // Nothing here is left half done by a panic.
        self.term.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn certain(ttl: Duration) -> Duration {
    ttl.saturating_sub(ttl / DRIFT_DIVISOR + DRIFT_MIN)
}

fn until(moment: Instant) -> Duration {
    moment.saturating_duration_since(Instant::now())
}
