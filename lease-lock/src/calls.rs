//! How one Redis is asked: over which connection, for how long, and how often.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{FromRedisValue, RedisResult, ScriptInvocation};
use tokio::time::timeout;

use crate::dedicated::Dedicated;
use crate::error::Unavailable;
use crate::link::{self, Link};

/// How often a script is sent: once more when the connection broke, since every script says the same when it is
/// repeated.
const TRIES: u32 = 2;
/// Acquires that may wait for replicas at the same time; the others queue for their turn.
const CONFIRMATIONS_MAX: usize = 16;
/// How long Redis may take to end a command that blocks after its time; the connection is given up then.
pub(crate) const GRACE: Duration = Duration::from_secs(1);

/// Replicas that must have a lock before it counts as taken.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Replicas {
    pub count: usize,
    pub within: Duration,
}

pub(crate) struct Calls {
    pub link: Link,
    answers: AtomicBool,
    confirmations: Option<(Replicas, Dedicated)>,
}

impl Calls {
    pub(crate) fn new(link: Link, replicas: Option<Replicas>) -> Self {
        let confirmations = replicas.map(|replicas| {
            (replicas, Dedicated::new(link.clone(), CONFIRMATIONS_MAX, replicas.within + GRACE))
        });
        Self { link, answers: AtomicBool::new(true), confirmations }
    }

    /// Whether Redis answered when it was last asked.
    pub(crate) fn are_answered(&self) -> bool {
        self.answers.load(Ordering::Relaxed)
    }

    /// The answer, and whether it is the answer to a repetition.
    pub(crate) async fn ask<T: FromRedisValue>(
        &self,
        call: &ScriptInvocation<'_>,
        within: Duration,
    ) -> Result<(T, bool), Unavailable> {
        // Loads the script when Redis does not know it, after a restart or a SCRIPT FLUSH.
        let send =
            async |mut connection: MultiplexedConnection| call.invoke_async(&mut connection).await;
        self.answer(within, repeated(|| self.link.run(send))).await
    }

    /// As [`Self::ask`], for a script that answers with 1 first when it took something: then it is waited until enough
    /// replicas have that. The wait must follow on the same connection, and holds up what is behind it: so not on the
    /// shared one.
    pub(crate) async fn ask_confirmed(
        &self,
        call: &ScriptInvocation<'_>,
        within: Duration,
    ) -> Result<(i64, i64, i64), Unavailable> {
        let Some((Replicas { count, within: more }, connections)) = &self.confirmations else {
            return Ok(self.ask(call, within).await?.0);
        };
        let send = async |mut connection: MultiplexedConnection| {
            let answer: (i64, i64, i64) = call.invoke_async(&mut connection).await?;
            if answer.0 != 1 {
                return Ok((answer, *count));
            }
            let mut wait = redis::cmd("WAIT");
            wait.arg(*count).arg(milliseconds(*more));
            Ok((answer, wait.query_async(&mut connection).await?))
        };
        let asking = repeated(|| connections.run(send));
        let ((answer, confirmed), _) = self.answer(within + *more, asking).await?;
        if confirmed < *count {
            return Err(Unavailable::NotReplicated { confirmed, wanted: *count });
        }
        Ok(answer)
    }

    async fn answer<T>(
        &self,
        within: Duration,
        asking: impl Future<Output = RedisResult<T>>,
    ) -> Result<T, Unavailable> {
        let answer = match timeout(within, asking).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(Unavailable::Failed(error.to_string())),
            Err(_) => {
                self.link.doubt();
                Err(Unavailable::Silent)
            }
        };
        self.answers.store(answer.is_ok(), Ordering::Relaxed);
        answer
    }
}

/// The result, and whether it is that of a repetition.
async fn repeated<T, F: Future<Output = RedisResult<T>>>(
    mut ask: impl FnMut() -> F,
) -> RedisResult<(T, bool)> {
    let mut tried = 0;
    loop {
        tried += 1;
        match ask().await {
            Err(error) if link::is_broken(&error) && tried < TRIES => {}
            result => return result.map(|answer| (answer, tried > 1)),
        }
    }
}

pub(crate) fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1)
}
