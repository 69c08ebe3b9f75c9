//! The lock of the naive methods: `SET NX` with a time to live, tried again until it is had, released only by its
//! holder. By itself it is sound; what is wrong is how it is used.

use anyhow::{Context, Result, bail};
use redis::{AsyncConnectionConfig, Script, aio::MultiplexedConnection};
use std::time::Duration;
use tokio::time::{Instant, sleep};

const KEY: &str = "lock:goods";

/// How long a client waits for the lock: long beside the time in which all others had it once.
const WAIT_MAX: Duration = Duration::from_secs(10);

/// The longest pause between two tries, each of a random length: with 64 clients the lock is hardly ever free, and the
/// tries do not burden Redis.
const RETRY_PAUSE_MAX: Duration = Duration::from_millis(20);

/// How long Redis may take to answer; on the same machine it takes a fraction of a millisecond.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// Deletes the key only if it holds our token.
const RELEASE: &str =
    "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0";

/// Locks from one Redis.
pub(crate) struct Locks {
    redis: MultiplexedConnection,
    key: String,
    release: Script,
}

/// A lock that was had, and may have lapsed since.
pub(crate) struct Lock<'a> {
    locks: &'a Locks,
    token: String,
}

impl Locks {
    /// Each call has a lock of its own, so that no run meets what another left behind.
    pub(crate) async fn open(url: &str) -> Result<Self> {
        let config = AsyncConnectionConfig::new().set_response_timeout(Some(ANSWER_WITHIN));
        let client = redis::Client::open(url)?;
        let redis = client
            .get_multiplexed_async_connection_with_config(&config)
            .await
            .context("Redis does not answer")?;
        let key = format!("{KEY}:{:032x}", rand::random::<u128>());
        Ok(Self { redis, key, release: Script::new(RELEASE) })
    }

    pub(crate) async fn acquire(&self, ttl: Duration) -> Result<Lock<'_>> {
        let token = format!("{:032x}", rand::random::<u128>());
        let until = Instant::now() + WAIT_MAX;
        loop {
            let mut set = redis::cmd("SET");
            set.arg(&self.key).arg(&token).arg("NX").arg("PX").arg(ttl.as_millis());
            let had: Option<String> = set.query_async(&mut self.redis.clone()).await?;
            if had.is_some() {
                return Ok(Lock { locks: self, token });
            }
            if Instant::now() > until {
                bail!("the lock was not had within {WAIT_MAX:?}");
            }
            sleep(RETRY_PAUSE_MAX.mul_f64(rand::random())).await;
        }
    }
}

impl Lock<'_> {
    /// Gives it back; one that has lapsed meanwhile is left alone.
    pub(crate) async fn release(self) -> Result<()> {
        let Locks { redis, key, release } = self.locks;
        release.key(key).arg(self.token).invoke_async::<()>(&mut redis.clone()).await?;
        Ok(())
    }
}
