//! All Redis servers of one [`crate::Locks`], asked at once; a majority decides. Mostly there is one.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use crate::error::Unavailable;
use crate::keys::{Key, Keys, Token};
use crate::majority::{Answer, Tally, Value, Verdict, Votes, value_of_most};
use crate::server::{ANSWER_WITHIN, Renewal, Server};

/// One server of several may take this part of the TTL to give a lock, so that the time which is lost to a server that
/// hangs is small against the lease.
const WITHIN_PER_TTL: u32 = 20;
/// A network within a data centre and a busy machine need this long now and then.
const WITHIN_MIN: Duration = Duration::from_millis(20);
/// How often a fencing number is raised: once, and again for each rival who raised it meanwhile.
const RAISES_MAX: u32 = 3;

#[derive(Clone)]
pub(crate) struct Servers(Arc<[Server]>);

/// The caller was woken: by the release of this lock at this server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Signalled {
    pub on: usize,
    pub at: usize,
}

impl Servers {
    pub(crate) fn new(each: Vec<Server>) -> Self {
        Self(each.into())
    }

    /// Whether a majority answered when they were last asked.
    pub(crate) fn answer(&self) -> bool {
        self.0.iter().filter(|server| server.answers()).count() > self.0.len() / 2
    }

    /// Takes all locks or none. What is taken at some servers only must be given back.
    pub(crate) async fn acquire(
        &self,
        keys: &Keys,
        token: &Token,
        ttl: Duration,
        signalled: Option<Signalled>,
    ) -> Result<Verdict, Unavailable> {
        let within = match self.0.len() {
            1 => ANSWER_WITHIN,
            _ => (ttl / WITHIN_PER_TTL).clamp(WITHIN_MIN, ANSWER_WITHIN),
        };
        let mut votes = Votes::of(self.0.len());
        self.ask_each(
            |at, server| {
                let (keys, token) = (keys.clone(), token.clone());
                let signalled = signalled.filter(|signalled| signalled.at == at);
                let on = signalled.map(|signalled| signalled.on);
                async move { take(&server, &keys, &token, ttl, on, within).await }
            },
            |at, answer| {
                votes.add(at, answer);
                votes.outcome().is_some()
            },
        )
        .await;
        // No outcome: the runtime ends.
        match votes.outcome().unwrap_or(Err(Unavailable::Silent))? {
            Verdict::Won { fence } if self.0.len() > 1 => {
                Ok(Verdict::Won { fence: self.raise(keys, fence + 1, within).await? })
            }
            verdict => Ok(verdict),
        }
    }

    /// Gives back what is held under the tokens; for each lease whether it was held until now.
    pub(crate) async fn release(
        &self,
        leases: Vec<(Keys, Token)>,
    ) -> Vec<Result<bool, Unavailable>> {
        for (_, token) in &leases {
            token.end();
        }
        let mut tally = Tally::of(self.0.len(), leases.len());
        let leases = Arc::new(leases);
        self.ask_each(
            |_, server| {
                let leases = leases.clone();
                async move { server.release(&leases, ANSWER_WITHIN).await }
            },
            |_, answer| tally.add(answer),
        )
        .await;
        tally.outcome()
    }

    /// For each lease whether it is held and renewed.
    pub(crate) async fn renew(
        &self,
        renewals: Vec<Renewal>,
        within: Duration,
    ) -> Vec<Result<bool, Unavailable>> {
        let within = within.min(ANSWER_WITHIN);
        let (mut tally, mut missing) = (Tally::of(self.0.len(), renewals.len()), Vec::new());
        let renewals = Arc::new(renewals);
        self.ask_each(
            |_, server| {
                let renewals = renewals.clone();
                async move { server.renew(&renewals, within).await }
            },
            |at, answer| {
                let held = answer.as_deref().unwrap_or_default();
                missing
                    .extend((0..held.len()).filter(|lease| !held[*lease]).map(|lease| (at, lease)));
                tally.add(answer);
                false
            },
        )
        .await;
        let outcome = tally.outcome();
        for (at, lease) in missing {
            if matches!(outcome[lease], Ok(true)) {
                self.put_back(at, renewals[lease].clone(), within);
            }
        }
        outcome
    }

    /// Wakes the next waiter if the lock is free; `force` frees it first. Says whether a lock was freed.
    pub(crate) async fn wake(&self, key: &Key, force: bool) -> Result<bool, Unavailable> {
        let (mut freed, mut tally) = (false, Tally::of(self.0.len(), 1));
        self.ask_each(
            |_, server| {
                let key = key.clone();
                async move { server.wake(&key, force).await }
            },
            |_, answer| {
                freed |= matches!(answer, Ok(true));
                tally.add(answer.map(|_| vec![true]))
            },
        )
        .await;
        tally.outcome().pop().unwrap_or(Err(Unavailable::Silent)).map(|_| freed)
    }

    /// The value of the lock and its ttl, if a majority agree on one.
    pub(crate) async fn owner(&self, key: &Key) -> Result<Option<Value>, Unavailable> {
        let mut answers = Vec::new();
        self.ask_each(
            |_, server| {
                let key = key.clone();
                async move { server.owner(&key).await }
            },
            |_, answer| {
                answers.push(answer);
                false
            },
        )
        .await;
        value_of_most(self.0.len(), answers)
    }

    /// The policy by which one of them may evict locks.
    pub(crate) async fn eviction_policy(&self) -> Option<String> {
        let mut found = None;
        self.ask_each(
            |_, server| async move { server.eviction_policy().await },
            |_, policy| {
                found = found.take().or(policy);
                false
            },
        )
        .await;
        found
    }

    /// Waits at one server for a release of the lock.
    pub(crate) async fn pop(&self, at: usize, key: &Key) -> Option<bool> {
        self.0.get(at)?.pop(key).await
    }

    /// The fences of one server are its own. Raised to one number at a majority, the next lease, whose majority shares
    /// a server with this one, can only get a higher number.
    async fn raise(&self, keys: &Keys, fence: u64, within: Duration) -> Result<u64, Unavailable> {
        let mut fence = fence;
        for _ in 0..RAISES_MAX {
            let (mut highest, mut tally) = (0, Tally::of(self.0.len(), 1));
            self.ask_each(
                |_, server| {
                    let keys = keys.clone();
                    async move { server.raise(&keys, fence, within).await }
                },
                |_, answer| {
                    highest = highest.max(*answer.as_ref().unwrap_or(&0));
                    tally.add(answer.map(|_| vec![true]))
                },
            )
            .await;
            tally.outcome().pop().unwrap_or(Err(Unavailable::Silent))?;
            if highest < fence {
                return Ok(fence);
            }
            fence = highest + 1;
        }
        Err(Unavailable::Failed("rivals raise the fencing number again and again".into()))
    }

    /// A server that lost the lock, by a restart, gets it back while a majority still hold it. Otherwise one restart
    /// after the other would end the lease.
    fn put_back(&self, at: usize, renewal: Renewal, within: Duration) {
        let server = self.0[at].clone();
        tokio::spawn(async move {
            let Renewal { keys, token, ttl } = renewal;
            if let Err(error) = take(&server, &keys, &token, ttl, None, within).await {
                tracing::debug!(%error, "a lock is not put back; the next renewal tries again");
            }
        });
    }

    /// Asks every server at once and tells `enough` each answer until it says that it has enough. The rest go on by
    /// themselves.
    async fn ask_each<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
        &self,
        ask: impl Fn(usize, Server) -> F,
        mut enough: impl FnMut(usize, T) -> bool,
    ) {
        if let [server] = &*self.0 {
            enough(0, ask(0, server.clone()).await);
            return;
        }
        let mut asked = JoinSet::new();
        for (at, server) in self.0.iter().enumerate() {
            let answer = ask(at, server.clone());
            asked.spawn(async move { (at, answer.await) });
        }
        while let Some(answer) = asked.join_next().await {
            // An answer is missing only when the runtime ends.
            if let Ok((at, answer)) = answer
                && enough(at, answer)
            {
                break;
            }
        }
        asked.detach_all();
    }
}

/// An acquire whose answer comes after its lease was given back, or is lost, would leave the lock for its whole TTL.
async fn take(
    server: &Server,
    keys: &Keys,
    token: &Token,
    ttl: Duration,
    signalled: Option<usize>,
    within: Duration,
) -> Result<Answer, Unavailable> {
    let answer = server.acquire(keys, token, ttl, signalled, within).await;
    if token.is_over()
        && let Err(error) = server.release(&[(keys.clone(), token.clone())], within).await
    {
        tracing::debug!(%error, "a lock that came too late goes free after its ttl");
    }
    answer
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{ANSWER_WITHIN, Server, Token, take};
    use crate::keys::Prefix;
    use crate::link::Link;
    use crate::place::Place;

    #[tokio::test]
    async fn a_lock_that_comes_after_its_lease_was_given_back_is_given_back() {
        let redis = testkit::Redis::shared();
        let server = Server::new(Link::new(Place::parse(&redis.url()).unwrap()), None);
        let (keys, token) =
            (Prefix::new("t").unwrap().keys(&["late"]).unwrap(), Token::random(None));
        let ttl = Duration::from_secs(60);
        take(&server, &keys, &token, ttl, None, ANSWER_WITHIN).await.unwrap();
        assert!(server.owner(&keys[0]).await.unwrap().is_some());
        token.end();
        take(&server, &keys, &token, ttl, None, ANSWER_WITHIN).await.unwrap();
        assert!(server.owner(&keys[0]).await.unwrap().is_none());
    }
}
