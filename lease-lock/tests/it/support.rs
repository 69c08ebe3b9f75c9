//! What every test needs: a server, locks on it, and ids of its own.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use lease_lock::{Lease, Locks, Terms};
use testkit::Redis;

pub(crate) const PREFIX: &str = "t";
/// For waits that end at once when all is well.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) fn locks(redis: &Redis) -> Locks {
    Locks::open(&redis.url(), PREFIX).unwrap()
}

/// An id that no other test has.
pub(crate) fn new_id() -> String {
    static LAST: AtomicU32 = AtomicU32::new(0);
    format!("{}-{}", std::process::id(), LAST.fetch_add(1, Ordering::Relaxed))
}

pub(crate) fn key(id: &str, kind: char) -> String {
    format!("{{{PREFIX}:{id}}}:{kind}")
}

/// Renewed for as long as a test lasts.
pub(crate) fn ttl(milliseconds: u64) -> Terms {
    Terms::new(Duration::from_millis(milliseconds), Duration::from_secs(700)).unwrap()
}

/// Never renewed: it runs to the end of its TTL, as that of a holder that died.
pub(crate) fn unrenewed(milliseconds: u64) -> Terms {
    let ttl = Duration::from_millis(milliseconds);
    Terms::new(ttl, ttl).unwrap()
}

pub(crate) async fn take(locks: &Locks, id: &str) -> Lease {
    locks.try_acquire(&[id], ttl(10_000)).await.unwrap()
}

pub(crate) fn soon(milliseconds: u64) -> Instant {
    Instant::now() + Duration::from_millis(milliseconds)
}

pub(crate) fn pttl(redis: &Redis, id: &str) -> i64 {
    redis.cli(&["PTTL", &key(id, 'l')]).parse().unwrap()
}

pub(crate) fn owner(redis: &Redis, id: &str) -> String {
    redis.cli(&["GET", &key(id, 'l')])
}

/// A number of `INFO`, such as `blocked_clients` of the section `clients`.
pub(crate) fn info(redis: &Redis, section: &str, name: &str) -> u64 {
    let text = redis.cli(&["INFO", section]);
    let fields = text.lines().flat_map(|line| line.split([',', ':'])).map(str::trim);
    let mut after =
        fields.skip_while(|field| *field != name && !field.starts_with(&format!("{name}=")));
    let field = after.next().unwrap_or("0");
    let value = match field.split_once('=') {
        Some((_, value)) => value.to_owned(),
        None => after.next().unwrap_or("0").to_owned(),
    };
    value.parse().unwrap()
}

/// How often a command was called, or refused.
pub(crate) fn command_stat(redis: &Redis, command: &str, name: &str) -> u64 {
    let text = redis.cli(&["INFO", "commandstats"]);
    let line = text.lines().find(|line| line.starts_with(&format!("cmdstat_{command}:")));
    let value = line.and_then(|line| {
        line.split([',', ':']).find_map(|field| field.strip_prefix(&format!("{name}=")))
    });
    value.map_or(0, |value| value.trim().parse().unwrap())
}

/// Looks until it is so.
pub(crate) async fn eventually(what: &str, within: Duration, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + within;
    while !is_so() {
        assert!(Instant::now() < end, "not within {within:?}: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Looks for a whole while whether it stays so.
pub(crate) async fn for_a_while(milliseconds: u64, mut check: impl FnMut()) {
    let end = soon(milliseconds);
    while Instant::now() < end {
        check();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Waits until the holder is told that the lease has ended.
pub(crate) async fn told(lost: &tokio_util::sync::CancellationToken) {
    tokio::time::timeout(PATIENCE, lost.cancelled()).await.expect("the holder is told");
}
