//! The way to one Redis: a connection that all commands share and that is made anew when it breaks, or when it leads
//! to a server that is not the master any more.
//!
//! The client library's own manager keeps a connection that failed to log in for ever; this one tries again.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, ErrorKind, RedisError, RedisResult};
use tokio::sync::Mutex;

use crate::place::Place;
use crate::sentinels::Master;

/// How long a connection may take until Redis has greeted us. In a cluster it takes milliseconds.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(500);
/// How often the sentinels are asked while all seems well. A master that was cut off does not know that there is
/// another; this is how long we may believe it when nothing else tells us.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// After so long without a look, as after a time without any work, the look comes before the work.
const BELIEVE_FOR: Duration = Duration::from_secs(3);

/// One Redis server, or the one that is master now.
#[derive(Clone)]
pub(crate) struct Link(Arc<Inner>);

struct Inner {
    place: Place,
    shared: Mutex<Option<Shared>>,
    /// Counts the shared connections that were given up: what is older than the last of them is suspect as well.
    given_up: AtomicU64,
    /// When the sentinels were last asked.
    looked_at: std::sync::Mutex<Instant>,
    /// Held by the one who asks them.
    looking: Arc<Mutex<()>>,
}

#[derive(Clone)]
struct Shared {
    connection: MultiplexedConnection,
    /// Where it leads, when sentinels have said so.
    master: Option<Master>,
    /// Tells one connection from the next: only the one that broke is thrown away.
    number: u64,
}

impl Link {
    pub(crate) fn new(place: Place) -> Self {
        Self(Arc::new(Inner {
            place,
            shared: Mutex::default(),
            given_up: AtomicU64::new(0),
            looked_at: std::sync::Mutex::new(Instant::now()),
            looking: Arc::default(),
        }))
    }

    /// A connection for commands that must not be sent over the shared one.
    pub(crate) async fn dedicated(
        &self,
        answer_within: Duration,
    ) -> RedisResult<MultiplexedConnection> {
        Ok(self.0.connect(Some(answer_within)).await?.0)
    }

    /// Differs from its value of before when connections of before should not be used any more.
    pub(crate) fn generation(&self) -> u64 {
        self.0.given_up.load(Ordering::Relaxed)
    }

    /// Runs a command over the shared connection. The caller limits its time.
    pub(crate) async fn run<T>(
        &self,
        command: impl AsyncFnOnce(MultiplexedConnection) -> RedisResult<T>,
    ) -> RedisResult<T> {
        self.look_if_it_is_time().await;
        let Shared { connection, number, .. } = self.0.shared().await?;
        let result = command(connection).await;
        if result.as_ref().is_err_and(is_broken) {
            self.0.give_up(|shared| shared.number == number).await;
        }
        result
    }

    /// Looks, beside what goes on, whether the sentinels name another master by now. Without sentinels there is nobody
    /// to ask.
    pub(crate) fn doubt(&self) {
        if let Place::Sentinels(_) = self.0.place
            && let Ok(looking) = self.0.looking.clone().try_lock_owned()
        {
            let inner = self.0.clone();
            tokio::spawn(async move {
                inner.look().await;
                drop(looking);
            });
        }
    }

    /// Looks before an answer is believed, if the last look was long ago.
    pub(crate) async fn look_if_it_is_time(&self) {
        if let Place::Server(_) = self.0.place {
            return;
        }
        let age = self.0.looked_at().elapsed();
        if age > BELIEVE_FOR {
            let _looking = self.0.looking.lock().await;
            // Whoever waited for another's look needs none.
            if self.0.looked_at().elapsed() > BELIEVE_FOR {
                self.0.look().await;
            }
        } else if age > LOOK_EVERY {
            self.doubt();
        }
    }
}

impl Inner {
    /// Whoever comes first connects; the others wait for it here.
    async fn shared(&self) -> RedisResult<Shared> {
        let mut shared = self.shared.lock().await;
        if let Some(shared) = &*shared {
            return Ok(shared.clone());
        }
        // No answer in time is no reason to reconnect: what was sent before stays in order before what is sent next.
        let (connection, master) = self.connect(None).await?;
        Ok(shared.insert(Shared { connection, master, number: rand::random() }).clone())
    }

    async fn connect(
        &self,
        answer_within: Option<Duration>,
    ) -> RedisResult<(MultiplexedConnection, Option<Master>)> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(answer_within);
        match &self.place {
            Place::Server(client) => {
                Ok((client.get_multiplexed_async_connection_with_config(&config).await?, None))
            }
            Place::Sentinels(sentinels) => {
                let (connection, master) = sentinels.connect(&config).await?;
                *self.looked_at() = Instant::now();
                Ok((connection, Some(master)))
            }
        }
    }

    /// Gives up the way to a master that the sentinels have replaced.
    async fn look(&self) {
        if let Place::Sentinels(sentinels) = &self.place
            && let Ok(master) = sentinels.find().await
        {
            let is_old =
                |shared: &Shared| shared.master.as_ref().is_some_and(|old| old.is_before(&master));
            self.give_up(is_old).await;
        }
        *self.looked_at() = Instant::now();
    }

    async fn give_up(&self, which: impl Fn(&Shared) -> bool) {
        if self.shared.lock().await.take_if(|shared| which(shared)).is_some() {
            self.given_up.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn looked_at(&self) -> MutexGuard<'_, Instant> {
        // Nothing here is left half done by a panic.
        self.looked_at.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The connection cannot be used any more: it broke, and a command may have been run or not; or it leads to a server
/// that has become a replica.
pub(crate) fn is_broken(error: &RedisError) -> bool {
    let is_io = error.is_io_error() && !error.is_timeout();
    // Redis 6 tells it inside the error of the script.
    is_io || error.kind() == ErrorKind::Parse || error.to_string().contains("READONLY")
}
