//! Leases on goods, from a Redis whose URL may change while we run.

use crate::order::GoodsId;
use lease_lock::{AcquireError, Lease, Terms, Unavailable};
use srv_config::RedisLockSettings;
use srv_runtime::Deadline;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Keeps our names apart from those of other users of the server.
const PREFIX: &str = "shopkeeper-inventory";

/// How often the file with the URL is read: a mounted Secret follows its object after a minute anyway.
const FILE_POLL: Duration = Duration::from_secs(1);

/// Where the Redis URL stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RedisUrl {
    /// Nowhere: `redisLock` cannot be used.
    None,
    /// On the command line.
    Given(String),
    /// In a file, which may change.
    File(PathBuf),
}

/// Why a lease was not had. Nothing was done.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// No Redis was named.
    #[error(
        "redisLock needs Redis: in a pod set spec.redis.urlSecretRef, otherwise start with --redis-url or \
         --redis-url-file; or choose another lockStrategy"
    )]
    NotConfigured,
    /// The file that should hold the URL cannot be read.
    #[error(
        "cannot read the Redis URL from {}: in a pod, write it into the Secret and key that spec.redis.urlSecretRef \
         names",
        file.display()
    )]
    NoUrl {
        /// The file.
        file: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// What stands where the URL should be is not one. Its text is not told, because it may hold a password.
    #[error("this is not a Redis URL: write redis://user:password@host:6379")]
    NotAUrl,
    /// Redis refuses us or does not answer.
    #[error(
        "Redis gives no lease: check that it runs at the address of its URL and that user and password are right"
    )]
    Away(#[source] Unavailable),
    /// Redis may throw leases away, and then two holders would not know of each other.
    #[error("Redis may evict leases: set its maxmemory-policy to noeviction, it is {0}")]
    Evicts(String),
    /// Others held the goods until the deadline.
    #[error("the goods were locked by others until the deadline")]
    Busy,
    /// The lease lapsed before COMMIT.
    #[error("the lease lapsed before the order was written")]
    Lost,
}

impl From<Unavailable> for LockError {
    fn from(error: Unavailable) -> Self {
        match error {
            Unavailable::Evicts(policy) => Self::Evicts(policy),
            error => Self::Away(error),
        }
    }
}

/// Leases on goods. Clones share one connection, which is made when it is first needed.
#[derive(Clone, Debug)]
pub struct Locks {
    url: RedisUrl,
    in_use: Arc<Mutex<Option<Server>>>,
}

#[derive(Clone)]
struct Server {
    url: String,
    locks: lease_lock::Locks,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Not the URL: it may hold a password.
        f.write_str("Server")
    }
}

impl Locks {
    /// Leases from the Redis of this URL.
    pub fn new(url: RedisUrl) -> Self {
        Self { url, in_use: Arc::default() }
    }

    /// Whether leases can be had with the URL as it is now; if so it is taken into use. Otherwise why not, in words
    /// that say what to do.
    pub async fn check(&self) -> Result<(), LockError> {
        let url = self.read_url().await?;
        let server = match self.in_use() {
            Some(server) if server.url == url => server,
            _ => open(url)?,
        };
        server.locks.probe().await?;
        self.take_into_use(server);
        Ok(())
    }

    /// Follows the file with the URL, if it stands in one: a URL that works is taken over, one that does not is told
    /// and the one in use stays. Never returns.
    pub async fn follow(self) {
        if !matches!(self.url, RedisUrl::File(_)) {
            return std::future::pending().await;
        }
        let mut told = None;
        loop {
            tokio::time::sleep(FILE_POLL).await;
            // Nobody has needed it yet.
            let Some(Server { url: in_use, .. }) = self.in_use() else { continue };
            if self.read_url().await.is_ok_and(|url| url == in_use) {
                told = None;
                continue;
            }
            match self.check().await {
                Ok(()) => tracing::info!("the new Redis URL works and is taken over"),
                Err(error) => {
                    let words = error.to_string();
                    if told.as_ref() != Some(&words) {
                        tracing::error!(%error, "the new Redis URL does not work; the one in use stays");
                    }
                    told = Some(words);
                }
            }
        }
    }

    /// A lease on all of `goods`, waiting for its holders until the deadline. It has one fence for all of them.
    pub(super) async fn acquire(
        &self,
        goods: &[GoodsId],
        settings: &RedisLockSettings,
        until: Deadline,
    ) -> Result<Lease, LockError> {
        let server = match self.in_use() {
            Some(server) => server,
            None => {
                let server = open(self.read_url().await?)?;
                self.take_into_use(server.clone());
                server
            }
        };
        let ids: Vec<_> = goods.iter().map(GoodsId::to_string).collect();
        server.locks.acquire(&ids, terms(settings), until.0.into_std()).await.map_err(|error| {
            match error {
                AcquireError::Busy { .. } | AcquireError::DeadlinePassed => LockError::Busy,
                AcquireError::Unavailable(error) => error.into(),
                AcquireError::Invalid(error) => {
                    unreachable!("an order has 1 to 200 goods: {error}")
                }
            }
        })
    }

    async fn read_url(&self) -> Result<String, LockError> {
        match &self.url {
            RedisUrl::None => Err(LockError::NotConfigured),
            RedisUrl::Given(url) => Ok(url.clone()),
            RedisUrl::File(file) => match tokio::fs::read_to_string(file).await {
                Ok(url) => Ok(url.trim().to_owned()),
                Err(source) => Err(LockError::NoUrl { file: file.clone(), source }),
            },
        }
    }

    fn in_use(&self) -> Option<Server> {
        // Nothing is left half done by a panic under this lock.
        self.in_use.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn take_into_use(&self, server: Server) {
        *self.in_use.lock().unwrap_or_else(PoisonError::into_inner) = Some(server);
    }
}

fn open(url: String) -> Result<Server, LockError> {
    let locks = lease_lock::Locks::open(&url, PREFIX).map_err(|_| LockError::NotAUrl)?;
    Ok(Server { url, locks })
}

fn terms(settings: &RedisLockSettings) -> Terms {
    let milliseconds =
        |number: i32| Duration::from_millis(u64::try_from(number).unwrap_or_default());
    let ttl = milliseconds(settings.ttl_milliseconds);
    Terms::new(ttl, milliseconds(settings.max_hold_milliseconds))
        .expect("the configuration's bounds are stricter")
}
