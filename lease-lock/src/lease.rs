//! The guard of a lease, and the way to work under it.

use std::ops::Deref;
use std::pin::pin;
use std::sync::Arc;
use std::time::Instant;

use crate::error::{Cause, Lost, ReleaseError, RenewError, Unavailable};
use crate::hold::Hold;
use crate::keeper::{self, Keeper};
use crate::keys::{Keys, Token};
use crate::returns::Claim;
use crate::servers::Servers;

/// Tries of a renewal on demand, with a pause of TTL/12 between them.
const RENEW_TRIES: u32 = 3;

/// The right to release a lease from elsewhere: [`Locks::release`](crate::Locks::release).
#[derive(Clone, Debug)]
pub struct Ticket {
    pub(crate) keys: Keys,
    pub(crate) token: Token,
}

/// Locks held. It is renewed by itself; dropped, it is given back as soon as Redis answers.
#[must_use = "a lease that is not kept is given back at once"]
pub struct Lease {
    hold: Hold,
    /// `None` only when release has taken it.
    claim: Option<Claim>,
    number: u64,
    keeper: Keeper,
    servers: Servers,
}

impl Lease {
    pub(crate) fn new(hold: Hold, claim: Claim, keeper: Keeper, servers: Servers) -> Self {
        let number = keeper.watch(hold.0.clone());
        Self { hold, claim: Some(claim), number, keeper, servers }
    }

    /// Does `work` and releases after it, so that a transaction that is committed inside `work` is over before
    /// anybody else gets the lock. The work is dropped when the lease is lost, unless it has passed
    /// [`Hold::check_before_commit`].
    ///
    /// Dropping the returned future drops the work first and the lease after it. A database client may roll back
    /// later than that: where it matters, run it in a task of its own.
    ///
    /// # Errors
    /// What `work` returns, or [`Lost`]. A release that fails is not an error: the work is done, and the lock goes
    /// free by its TTL.
    pub async fn run<T, E: From<Lost>>(
        self,
        work: impl AsyncFnOnce(Hold) -> Result<T, E>,
    ) -> Result<T, E> {
        let outcome = {
            let work = pin!(work(self.hold.clone()));
            let cut_off = async {
                self.hold.lost().cancelled().await;
                if self.hold.is_committing() {
                    std::future::pending::<()>().await;
                }
            };
            tokio::select! {
                biased;
                outcome = work => outcome,
                () = cut_off => Err(E::from(self.hold.loss())),
            }
        };
        if let Err(error) = self.release().await {
            tracing::debug!(%error, "the work under the lease is done");
        }
        outcome
    }

    /// Gives the locks back and wakes the next waiters. It goes on when the returned future is dropped.
    ///
    /// # Errors
    /// [`ReleaseError`]; in either case the lease is over.
    pub async fn release(mut self) -> Result<(), ReleaseError> {
        let Some(mut claim) = self.claim.take() else { return Ok(()) };
        let servers = self.servers.clone();
        drop(self); // no renewal from here on
        let released = tokio::spawn(async move {
            let released = release(&servers, &claim.keys, &claim.token).await;
            // Without an answer, the claim leaves a note and is tried once more.
            if !matches!(released, Err(ReleaseError::Unavailable(_))) {
                claim.disarm();
            }
            released
        });
        released.await.unwrap_or_else(|_| Err(Unavailable::Silent.into()))
    }

    /// Renews now, without waiting for the time to come. The new TTL replaces the old one.
    ///
    /// # Errors
    /// [`RenewError::Lost`] at once when the lease has ended, [`RenewError::Unavailable`] after three tries.
    pub async fn renew(&self) -> Result<(), RenewError> {
        let held = &self.hold.0;
        let mut tried = 0;
        loop {
            self.check()?;
            let ttl = held.next_ttl(Instant::now());
            let renewed = keeper::renew(&self.servers, &[(Arc::clone(held), ttl)]).await;
            tried += 1;
            match renewed {
                Ok(()) => return Ok(self.check()?),
                Err(error) if tried == RENEW_TRIES => return Err(error.into()),
                Err(_) => tokio::time::sleep(held.retry_pause()).await,
            }
        }
    }

    /// What another task or process needs to release this lease.
    pub fn ticket(&self) -> Ticket {
        Ticket { keys: self.hold.0.keys.clone(), token: self.hold.0.token.clone() }
    }
}

impl Deref for Lease {
    type Target = Hold;

    fn deref(&self) -> &Hold {
        &self.hold
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.keeper.forget(self.number);
        self.hold.0.end(Cause::Released);
        // The claim is dropped after this and leaves a note for the task that gives back.
    }
}

pub(crate) async fn release(
    servers: &Servers,
    keys: &Keys,
    token: &Token,
) -> Result<(), ReleaseError> {
    match servers.release(vec![(keys.clone(), token.clone())]).await.pop() {
        Some(Ok(true)) => Ok(()),
        Some(Ok(false)) => Err(ReleaseError::NotHeld),
        Some(Err(error)) => Err(error.into()),
        None => Err(Unavailable::Silent.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Instant;

    use super::Lease;
    use crate::error::Cause;
    use crate::hold::{Held, Hold};
    use crate::keeper::Keeper;
    use crate::keys::{Prefix, Token};
    use crate::link::Link;
    use crate::place::Place;
    use crate::returns::Returns;
    use crate::server::Server;
    use crate::servers::Servers;
    use crate::terms::Terms;

    #[tokio::test]
    async fn a_dropped_lease_is_not_kept_in_memory() {
        let nowhere = Link::new(Place::parse("redis://127.0.0.1:1").unwrap());
        let servers = Servers::new(vec![Server::new(nowhere, None)]);
        let keeper = Keeper::start(servers.clone());
        let returns = Returns::start(servers.clone(), None);
        let keys = Prefix::new("t").unwrap().keys(&["a"]).unwrap();
        let held =
            Held::new(keys.clone(), Token::random(None), 1, Terms::default(), Instant::now());
        let held = Arc::new(held);
        let lease = Lease::new(Hold(held.clone()), returns.claim(keys), keeper, servers);
        let copy = Hold::clone(&lease);
        assert_eq!(Arc::strong_count(&held), 4, "here, in the lease, in the copy, at the keeper");
        drop(lease);
        assert_eq!(Arc::strong_count(&held), 2);
        assert_eq!(
            copy.check().unwrap_err().0,
            Cause::Released,
            "a copy does not outlive its lease"
        );
    }
}
