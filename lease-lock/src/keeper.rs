//! Renews every lease of a [`crate::Locks`] from one task, and ends those whose time is over.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::error::{Cause, Unavailable};
use crate::hold::Held;
use crate::server::Renewal;
use crate::servers::Servers;

/// Keys renewed in one script call (a lease with more goes alone): the script stays far below a millisecond.
const RENEWED_TOGETHER_MAX: usize = 100;

/// The leases in use. The task ends with the last clone.
#[derive(Clone)]
pub(crate) struct Keeper {
    leases: Arc<Leases>,
    _stop: Arc<DropGuard>,
}

#[derive(Default)]
struct Leases {
    watched: Mutex<Watched>,
    /// A lease has an event before the moment the task sleeps to.
    sooner: Notify,
}

#[derive(Default)]
struct Watched {
    leases: HashMap<u64, Arc<Held>>,
    last_number: u64,
    wakes_at: Option<Instant>,
    closed: bool,
}

impl Keeper {
    pub(crate) fn start(servers: Servers) -> Self {
        let stop = CancellationToken::new();
        let leases = Arc::new(Leases::default());
        tokio::spawn(keep(servers, leases.clone(), stop.clone()));
        Self { leases, _stop: Arc::new(stop.drop_guard()) }
    }

    /// Renews the lease from now on. The number is for [`Self::forget`].
    pub(crate) fn watch(&self, held: Arc<Held>) -> u64 {
        let mut watched = self.leases.watched();
        if watched.closed {
            held.end(Cause::Closed);
        }
        watched.last_number += 1;
        let number = watched.last_number;
        let event = held.next_event();
        watched.leases.insert(number, held);
        // Most leases are released long before their first renewal; the task is not woken for them.
        if event.is_some_and(|event| watched.wakes_at.is_none_or(|wakes_at| event < wakes_at)) {
            self.leases.sooner.notify_one();
        }
        number
    }

    /// Ends every lease, also those that are still to come.
    pub(crate) fn close(&self) {
        let mut watched = self.leases.watched();
        watched.closed = true;
        watched.leases.values().for_each(|held| held.end(Cause::Closed));
    }

    /// Renews the lease no more.
    pub(crate) fn forget(&self, number: u64) {
        self.leases.watched().leases.remove(&number);
    }
}

impl Leases {
    fn watched(&self) -> MutexGuard<'_, Watched> {
        // Nothing here is left half done by a panic.
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends what is over and returns what is due.
    fn due(&self, now: Instant) -> Vec<(Arc<Held>, Duration)> {
        let watched = self.watched();
        let leases = watched.leases.values();
        leases
            .filter_map(|held| {
                held.expire(now);
                Some((held.clone(), held.begin_renewal(now)?))
            })
            .collect()
    }

    fn plan(&self) -> Option<Instant> {
        let mut watched = self.watched();
        watched.wakes_at = watched.leases.values().filter_map(|held| held.next_event()).min();
        watched.wakes_at
    }
}

async fn keep(servers: Servers, leases: Arc<Leases>, stop: CancellationToken) {
    // Rounds run beside this loop, so that a Redis that hangs does not delay the news that a lease has ended. A lease
    // is in at most one of them.
    let mut rounds = JoinSet::new();
    loop {
        for batch in batches(leases.due(Instant::now())) {
            let servers = servers.clone();
            rounds.spawn(async move { renew(&servers, &batch).await });
        }
        let wakes_at = leases.plan();
        let wake = async {
            match wakes_at {
                Some(moment) => tokio::time::sleep_until(moment.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = wake => {}
            () = leases.sooner.notified() => {}
            Some(_) = rounds.join_next(), if !rounds.is_empty() => {}
            () = stop.cancelled() => return,
        }
    }
}

fn batches(due: Vec<(Arc<Held>, Duration)>) -> Vec<Vec<(Arc<Held>, Duration)>> {
    let mut batches: Vec<Vec<(Arc<Held>, Duration)>> = Vec::new();
    let mut keys = 0;
    for (held, ttl) in due {
        keys += held.keys.len();
        match batches.last_mut() {
            Some(batch) if keys <= RENEWED_TOGETHER_MAX => batch.push((held, ttl)),
            _ => {
                keys = held.keys.len();
                batches.push(vec![(held, ttl)]);
            }
        }
    }
    batches
}

/// One round trip for all of them. Only the answer that a lock is not held by the token ends a lease.
pub(crate) async fn renew(
    servers: &Servers,
    batch: &[(Arc<Held>, Duration)],
) -> Result<(), Unavailable> {
    let renewal = |(held, ttl): &(Arc<Held>, Duration)| Renewal {
        keys: held.keys.clone(),
        token: held.token.clone(),
        ttl: *ttl,
    };
    let within = batch.iter().map(|(held, _)| held.try_within()).min().unwrap_or_default();
    let sent = Instant::now();
    let answers = servers.renew(batch.iter().map(renewal).collect(), within).await;
    let mut trouble = Ok(());
    for ((held, ttl), renewed) in batch.iter().zip(answers) {
        match renewed {
            Ok(true) => held.renewed(sent, *ttl),
            Ok(false) => held.end(Cause::Taken),
            Err(error) => {
                tracing::debug!(%error, "a lease was not renewed; another try follows");
                held.not_renewed(error.to_string());
                trouble = Err(error);
            }
        }
    }
    trouble
}
