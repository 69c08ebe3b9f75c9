//! The way in: all leases of one process on one Redis.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::timeout_at;
use tokio_util::sync::CancellationToken;

use crate::acquire::{Attempt, Parts};
use crate::error::{AcquireError, InvalidIds, OpenError, ReleaseError, Unavailable};
use crate::gates::Gates;
use crate::keeper::Keeper;
use crate::keys::{Key, Prefix, Token};
use crate::lease::{self, Lease, Ticket};
use crate::options::Options;
use crate::returns::Returns;
use crate::servers::Servers;
use crate::signals::Signals;
use crate::terms::Terms;

/// The id that [`Locks::probe`] takes a lease on.
const PROBE_ID: &str = "probe";

/// Leases on one Redis. Clones share connections, queue and renewal; make one for a process.
#[derive(Clone)]
pub struct Locks {
    prefix: Prefix,
    parts: Arc<Parts>,
}

/// Who holds a lock, for people and logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The name of its process ([`Options::name`]). `None` when it has none, or is not a lease of this crate.
    pub name: Option<String>,
    /// How long Redis keeps the lock without a renewal. `None`: for ever, so it is not a lease of this crate.
    pub ttl: Option<Duration>,
}

impl Locks {
    /// Locks with keys that begin with `{prefix:`, on the Redis that the URL names:
    ///
    /// - `redis://[user:password@]host[:port][/db]`: one server;
    /// - `redis-sentinel://[user:password@]host[:port],...[/db]#master`: the server that is master now, as its
    ///   sentinels (1 to 16, port 26379 by default) say. User and password are those of the server; sentinels that want
    ///   some of their own have them after the database: `?sentinel_user=..&sentinel_password=..`.
    ///
    /// It connects at the first use; [`Self::probe`] tells whether that works.
    ///
    /// # Errors
    /// When the URL or the prefix cannot be one.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn open(url: &str, prefix: &str) -> Result<Self, OpenError> {
        Self::options().open(url, prefix)
    }

    /// To open locks with a name, with replicas that confirm, or on several servers.
    pub fn options() -> Options {
        Options::default()
    }

    pub(crate) fn new(servers: Servers, prefix: Prefix, name: Option<String>) -> Self {
        let returns = Returns::start(servers.clone(), name);
        let keeper = Keeper::start(servers.clone());
        let signals = Signals::new(servers.clone(), returns.clone());
        let (gates, closed) = (Gates::default(), CancellationToken::new());
        let parts = Parts { servers, returns, keeper, signals, gates, closed };
        Self { prefix, parts: Arc::new(parts) }
    }

    /// Takes all locks or none, at once.
    ///
    /// # Errors
    /// [`AcquireError::Busy`] when one of them is held; the others of [`AcquireError`] but `DeadlinePassed`.
    pub async fn try_acquire(
        &self,
        ids: &[impl AsRef<str>],
        terms: Terms,
    ) -> Result<Lease, AcquireError> {
        let claim = self.parts.claim(self.prefix.keys(ids)?);
        self.refuse_when_closed()?;
        match self.parts.attempt(claim, terms, None).await? {
            Attempt::Won(lease) => Ok(lease),
            Attempt::Busy(busy, _) => Err(AcquireError::Busy { holder_ttl: busy.holder_ttl }),
        }
    }

    /// Takes all locks or none, and waits for them until the deadline. Inside this process the waiters of a lock are
    /// served in the order they came, between processes nearly so; a lease of many locks has no right before those of
    /// one. The order of the ids and repetitions mean nothing.
    ///
    /// Dropping the returned future takes nothing: what an attempt under way gets is given back.
    ///
    /// # Errors
    /// [`AcquireError::Busy`] at the deadline, [`AcquireError::Unavailable`] as soon as Redis does not answer.
    pub async fn acquire(
        &self,
        ids: &[impl AsRef<str>],
        terms: Terms,
        deadline: Instant,
    ) -> Result<Lease, AcquireError> {
        let keys = self.prefix.keys(ids)?;
        if deadline <= Instant::now() {
            return Err(AcquireError::DeadlinePassed);
        }
        let mut seen = None;
        let contest = timeout_at(deadline.into(), self.parts.contest(keys, terms, &mut seen));
        let won = tokio::select! {
            biased;
            () = self.parts.closed.cancelled() => return Err(Unavailable::Closed.into()),
            won = contest => won,
        };
        match won {
            Ok(won) => won,
            // A queue that does not move because Redis is away is not a lock that is held.
            Err(_) if !self.parts.servers.answer() => Err(Unavailable::Silent.into()),
            Err(_) => Err(AcquireError::Busy { holder_ttl: seen.flatten() }),
        }
    }

    /// Releases a lease by its ticket, from wherever.
    ///
    /// # Errors
    /// [`ReleaseError`], as [`Lease::release`].
    pub async fn release(&self, ticket: &Ticket) -> Result<(), ReleaseError> {
        let (parts, ticket) = (self.parts.clone(), ticket.clone());
        let released = tokio::spawn(async move {
            lease::release(&parts.servers, &ticket.keys, &ticket.token).await
        });
        released.await.unwrap_or_else(|_| Err(Unavailable::Silent.into()))
    }

    /// For an operator: frees one lock whoever holds it, and wakes a waiter. Says whether it was held. The holder is
    /// told at its next renewal.
    ///
    /// # Errors
    /// When the id cannot name a lock, or Redis does not answer.
    pub async fn force_release(&self, id: &str) -> Result<bool, AcquireError> {
        Ok(self.parts.servers.wake(&self.key(id)?, true).await?)
    }

    /// For an operator: who holds a lock. `None`: nobody does.
    ///
    /// # Errors
    /// When the id cannot name a lock, or Redis does not answer.
    pub async fn owner(&self, id: &str) -> Result<Option<Owner>, AcquireError> {
        let value = self.parts.servers.owner(&self.key(id)?).await?;
        Ok(value.map(|(token, ttl)| Owner { name: Token::name_in(&token).map(str::to_owned), ttl }))
    }

    /// Whether leases can be had from this Redis: it is reached, lets us in, does what a lease needs, and does not
    /// evict keys. Takes a lease on the id `probe` and gives it back.
    ///
    /// # Errors
    /// When it does not.
    pub async fn probe(&self) -> Result<(), Unavailable> {
        self.refuse_when_closed()?;
        let claim = self.parts.claim([self.prefix.key(PROBE_ID)].into());
        // When another process probes at this moment, Redis has answered too.
        self.parts.attempt(claim, Terms::default(), None).await.map(drop)?;
        self.parts
            .servers
            .eviction_policy()
            .await
            .map_or(Ok(()), |policy| Err(Unavailable::Evicts(policy)))
    }

    /// For the end of a process: gives no more leases, tells all who wait ([`Unavailable::Closed`]) and all who hold
    /// one ([`Cause::Closed`](crate::Cause::Closed)), and waits until everything is given back. Says whether that was
    /// done before the deadline; what was not goes free after its TTL.
    pub async fn close(&self, deadline: Instant) -> bool {
        self.parts.closed.cancel();
        self.parts.keeper.close();
        self.parts.returns.all_back(deadline).await
    }

    fn key(&self, id: &str) -> Result<Key, InvalidIds> {
        match &*self.prefix.keys(&[id])? {
            [key] => Ok(key.clone()),
            _ => Err(InvalidIds::None),
        }
    }

    fn refuse_when_closed(&self) -> Result<(), Unavailable> {
        if self.parts.closed.is_cancelled() { Err(Unavailable::Closed) } else { Ok(()) }
    }
}
