//! Connections that carry one command at a time: one that blocks, or one whose effect the next is to confirm.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redis::RedisResult;
use redis::aio::MultiplexedConnection;
use tokio::sync::Semaphore;

use crate::link::{Link, is_broken};

/// A bounded number of connections to one Redis, made when they are needed and kept for the next who needs one.
pub(crate) struct Dedicated {
    link: Link,
    seats: Semaphore,
    answer_within: Duration,
    idle: Mutex<Vec<Idle>>,
}

struct Idle {
    connection: MultiplexedConnection,
    generation: u64,
}

impl Dedicated {
    pub(crate) fn new(link: Link, connections_max: usize, answer_within: Duration) -> Self {
        let seats = Semaphore::new(connections_max);
        Self { link, seats, answer_within, idle: Mutex::default() }
    }

    /// Runs a command, or `None` when all connections are taken.
    pub(crate) async fn try_run<T>(
        &self,
        command: impl AsyncFnOnce(MultiplexedConnection) -> RedisResult<T>,
    ) -> Option<RedisResult<T>> {
        let _seat = self.seats.try_acquire().ok()?;
        Some(self.run_seated(command).await)
    }

    /// Runs a command, after those who came earlier. The caller limits its time.
    pub(crate) async fn run<T>(
        &self,
        command: impl AsyncFnOnce(MultiplexedConnection) -> RedisResult<T>,
    ) -> RedisResult<T> {
        let _seat = self.seats.acquire().await.expect("the seats are never closed");
        self.run_seated(command).await
    }

    async fn run_seated<T>(
        &self,
        command: impl AsyncFnOnce(MultiplexedConnection) -> RedisResult<T>,
    ) -> RedisResult<T> {
        self.link.look_if_it_is_time().await;
        let generation = self.link.generation();
        let idle = self.idle().pop().filter(|idle| idle.generation == generation);
        let connection = match idle {
            Some(idle) => idle.connection,
            None => self.link.dedicated(self.answer_within).await?,
        };
        let result = command(connection.clone()).await;
        // After an error it is not used again: a late answer would be taken for the next one's.
        match &result {
            Ok(_) => self.idle().push(Idle { connection, generation }),
            Err(error) => {
                if is_broken(error) {
                    // Whatever ended it has ended those that were idle, too.
                    self.idle().clear();
                }
                self.link.doubt();
            }
        }
        result
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Idle>> {
        // Nothing here is left half done by a panic.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
