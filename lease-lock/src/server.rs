//! One Redis: the scripts as functions, each one round trip that Redis runs as a whole, and each may be repeated.

use std::sync::Arc;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{InfoDict, Script};
use tokio::time::timeout;

use crate::calls::{Calls, GRACE, Replicas, milliseconds};
use crate::dedicated::Dedicated;
use crate::error::Unavailable;
use crate::keys::{Key, Keys, Token};
use crate::link::Link;
use crate::majority::{Answer, Value};

/// How long a script may take, with the connection it may need first. Redis answers in a fraction of a millisecond;
/// what takes longer than this is a pause, and a lease that comes so late is worth little.
pub(crate) const ANSWER_WITHIN: Duration = Duration::from_millis(1000);
/// How long one `BLPOP` blocks. Also how late a waiter is when a signal was lost with a process that took it and
/// died.
pub(crate) const LOOK_AFTER_MAX: Duration = Duration::from_secs(1);
/// How long a signal waits for a waiter: a waiter of another process that is just between two looks.
const SIGNAL_LIFE: Duration = Duration::from_secs(1);
/// Connections that may block at the same time, so locks for which this process waits at the same time.
const WAITS_MAX: usize = 32;

#[derive(Clone)]
pub(crate) struct Server(Arc<Inner>);

struct Inner {
    calls: Calls,
    scripts: Scripts,
    waits: Dedicated,
}

struct Scripts {
    acquire: Script,
    release: Script,
    renew: Script,
    raise: Script,
    wake: Script,
    owner: Script,
}

/// A lease whose time is to be set anew.
#[derive(Clone)]
pub(crate) struct Renewal {
    pub keys: Keys,
    pub token: Token,
    pub ttl: Duration,
}

impl Server {
    pub(crate) fn new(link: Link, replicas: Option<Replicas>) -> Self {
        let scripts = Scripts {
            acquire: Script::new(include_str!("scripts/acquire.lua")),
            release: Script::new(include_str!("scripts/release.lua")),
            renew: Script::new(include_str!("scripts/renew.lua")),
            raise: Script::new(include_str!("scripts/raise.lua")),
            wake: Script::new(include_str!("scripts/wake.lua")),
            owner: Script::new(include_str!("scripts/owner.lua")),
        };
        let waits = Dedicated::new(link.clone(), WAITS_MAX, LOOK_AFTER_MAX + GRACE);
        Self(Arc::new(Inner { calls: Calls::new(link, replicas), scripts, waits }))
    }

    /// Whether Redis answered when it was last asked.
    pub(crate) fn answers(&self) -> bool {
        self.0.calls.are_answered()
    }

    /// `signalled` is the number of the lock whose signal the caller has taken.
    pub(crate) async fn acquire(
        &self,
        keys: &Keys,
        token: &Token,
        ttl: Duration,
        signalled: Option<usize>,
        within: Duration,
    ) -> Result<Answer, Unavailable> {
        let mut call = self.0.scripts.acquire.prepare_invoke();
        for key in keys.iter() {
            call.key(&key.lock).key(&key.fence).key(&key.signal);
        }
        call.arg(token.as_str()).arg(milliseconds(ttl)).arg(milliseconds(SIGNAL_LIFE));
        call.arg(signalled.map_or(0, |on| on + 1));
        let (won, number, holder_ttl) = self.0.calls.ask_confirmed(&call, within).await?;
        Ok(if won == 1 {
            Answer::Taken { fence: number.unsigned_abs() }
        } else {
            let on = usize::try_from(number).unwrap_or(1).clamp(1, keys.len()) - 1;
            Answer::Held { on, holder_ttl: remaining(holder_ttl) }
        })
    }

    /// For each lease whether all its locks were held by its token, and are free now.
    pub(crate) async fn release(
        &self,
        leases: &[(Keys, Token)],
        within: Duration,
    ) -> Result<Vec<bool>, Unavailable> {
        let mut call = self.0.scripts.release.prepare_invoke();
        call.arg(milliseconds(SIGNAL_LIFE));
        for (keys, token) in leases {
            for key in keys.iter() {
                call.key(&key.lock).key(&key.signal).arg(token.as_str());
            }
        }
        let (each, repeated): (Vec<bool>, bool) = self.0.calls.ask(&call, within).await?;
        // What a repeated release does not find was most likely released by the first, whose answer was lost.
        let each = each.into_iter().map(|released| released || repeated).collect();
        Ok(by_lease(each, leases.iter().map(|(keys, _)| keys)))
    }

    /// For each lease whether all its locks are held by its token.
    pub(crate) async fn renew(
        &self,
        renewals: &[Renewal],
        within: Duration,
    ) -> Result<Vec<bool>, Unavailable> {
        let mut call = self.0.scripts.renew.prepare_invoke();
        for Renewal { keys, token, ttl } in renewals {
            for key in keys.iter() {
                call.key(&key.lock).arg(token.as_str()).arg(milliseconds(*ttl));
            }
        }
        let (each, _) = self.0.calls.ask(&call, within).await?;
        Ok(by_lease(each, renewals.iter().map(|renewal| &renewal.keys)))
    }

    /// Raises the fencing numbers to `number`, unless one is there already; answers the highest that was there.
    pub(crate) async fn raise(
        &self,
        keys: &Keys,
        number: u64,
        within: Duration,
    ) -> Result<u64, Unavailable> {
        let mut call = self.0.scripts.raise.prepare_invoke();
        for key in keys.iter() {
            call.key(&key.fence);
        }
        call.arg(number);
        Ok(self.0.calls.ask(&call, within).await?.0)
    }

    /// Wakes the next waiter if the lock is free; `force` frees it first. Says whether a lock was freed.
    pub(crate) async fn wake(&self, key: &Key, force: bool) -> Result<bool, Unavailable> {
        let mut call = self.0.scripts.wake.prepare_invoke();
        call.key(&key.lock).key(&key.signal).arg(milliseconds(SIGNAL_LIFE)).arg(u8::from(force));
        Ok(self.0.calls.ask(&call, ANSWER_WITHIN).await?.0)
    }

    /// Who holds a lock.
    pub(crate) async fn owner(&self, key: &Key) -> Result<Option<Value>, Unavailable> {
        let mut call = self.0.scripts.owner.prepare_invoke();
        call.key(&key.lock);
        let ((value, ttl), _): ((Option<Vec<u8>>, i64), _) =
            self.0.calls.ask(&call, ANSWER_WITHIN).await?;
        Ok(value.map(|value| (String::from_utf8_lossy(&value).into_owned(), remaining(ttl))))
    }

    /// The policy by which this Redis may evict locks when its memory is full; `None` when it does not, or does not
    /// say.
    pub(crate) async fn eviction_policy(&self) -> Option<String> {
        let info = self.0.calls.link.run(async |mut connection: MultiplexedConnection| {
            redis::cmd("INFO").arg("memory").query_async::<InfoDict>(&mut connection).await
        });
        let info = match timeout(ANSWER_WITHIN, info).await {
            Ok(Ok(info)) => info,
            Ok(Err(error)) => {
                tracing::warn!(%error, "Redis does not say whether it evicts keys");
                return None;
            }
            Err(_) => return None,
        };
        let is_bounded = info.get::<u64>("maxmemory").is_some_and(|bytes| bytes > 0);
        info.get::<String>("maxmemory_policy").filter(|policy| is_bounded && policy != "noeviction")
    }

    /// Waits for a release of the lock, and says whether there was one; `None` when it could not be waited for.
    pub(crate) async fn pop(&self, key: &Key) -> Option<bool> {
        let pop = async |mut connection: MultiplexedConnection| {
            let mut command = redis::cmd("BLPOP");
            command.arg(&key.signal).arg(LOOK_AFTER_MAX.as_secs_f64());
            command.query_async::<Option<(String, String)>>(&mut connection).await
        };
        Some(self.0.waits.try_run(pop).await?.ok()?.is_some())
    }
}

/// Whether all locks of a lease are said to be so, from what is said of each lock.
fn by_lease<'a>(each: Vec<bool>, leases: impl Iterator<Item = &'a Keys>) -> Vec<bool> {
    let mut locks = each.into_iter();
    // Not `all`: it would stop in the middle of a lease.
    let of_all =
        |keys: &Keys| keys.iter().fold(true, |all, _| locks.next().unwrap_or(false) && all);
    leases.map(of_all).collect()
}

/// A negative ttl is "none", or "gone meanwhile", which cannot be inside a script.
fn remaining(ttl: i64) -> Option<Duration> {
    u64::try_from(ttl).ok().map(Duration::from_millis)
}

#[cfg(test)]
mod tests {
    use super::by_lease;
    use crate::keys::Prefix;

    #[test]
    fn a_lease_has_what_all_its_locks_have() {
        let prefix = Prefix::new("t").unwrap();
        let leases = [
            prefix.keys(&["a", "b"]).unwrap(),
            prefix.keys(&["c"]).unwrap(),
            prefix.keys(&["d", "e"]).unwrap(),
        ];
        let each = vec![false, true, true, true, true];
        assert_eq!(by_lease(each, leases.iter()), [false, true, true]);
    }
}
