//! Many who want the same lock.

use std::time::{Duration, Instant};

use lease_lock::{AcquireError, Locks};
use redis::AsyncCommands;
use testkit::Redis;
use tokio::task::JoinSet;

use crate::child;
use crate::support::{PATIENCE, command_stat, eventually, info, locks, new_id, soon, ttl};

const RIVALS: usize = 125;

/// A counter in Redis that is read and written in two steps: two at the same time would lose one of them.
pub(crate) struct Counter {
    redis: redis::aio::MultiplexedConnection,
    inside: String,
    total: String,
}

impl Counter {
    pub(crate) async fn open(url: &str, id: &str) -> Self {
        let client = redis::Client::open(url).unwrap();
        let redis = client.get_multiplexed_async_connection().await.unwrap();
        Self { redis, inside: format!("inside-{id}"), total: format!("total-{id}") }
    }

    pub(crate) async fn add_one_alone(&mut self) {
        let together: u32 = self.redis.incr(&self.inside, 1).await.unwrap();
        assert_eq!(together, 1, "two hold the same lock");
        let count: Option<u32> = self.redis.get(&self.total).await.unwrap();
        tokio::task::yield_now().await;
        let () = self.redis.set(&self.total, count.unwrap_or(0) + 1).await.unwrap();
        let () = self.redis.decr(&self.inside, 1).await.unwrap();
    }
}

pub(crate) async fn compete(locks: Locks, url: &str, id: &str, rounds: u32) {
    let mut counter = Counter::open(url, id).await;
    for _ in 0..rounds {
        let lease = locks.acquire(&[id], ttl(10_000), soon(120_000)).await.unwrap();
        counter.add_one_alone().await;
        lease.release().await.unwrap();
    }
}

// T9
#[tokio::test(flavor = "multi_thread")]
async fn of_125_rivals_and_three_processes_no_two_are_inside() {
    const ROUNDS: u32 = 2;
    const PROCESSES: u32 = 3;
    const PROCESS_ROUNDS: u32 = 20;
    let (redis, id) = (Redis::start(), new_id());
    let processes: Vec<_> =
        (0..PROCESSES).map(|_| child::start(&redis, &id, PROCESS_ROUNDS)).collect();
    let several = [0; 5].map(|_| locks(&redis));
    let mut tasks = JoinSet::new();
    for rival in 0..RIVALS {
        let (locks, url, id) = (several[rival % several.len()].clone(), redis.url(), id.clone());
        tasks.spawn(async move { compete(locks, &url, &id, ROUNDS).await });
    }
    tasks.join_all().await;
    for process in processes {
        assert!(process.wait_with_output().unwrap().status.success(), "a process saw an overlap");
    }
    let total = redis.cli(&["GET", &format!("total-{id}")]);
    assert_eq!(total, (RIVALS as u32 * ROUNDS + PROCESSES * PROCESS_ROUNDS).to_string());
}

// T10
#[tokio::test(flavor = "multi_thread")]
async fn of_125_tries_one_wins() {
    let (redis, id) = (Redis::shared(), new_id());
    let several = [0; 5].map(|_| locks(redis));
    let start = std::sync::Arc::new(tokio::sync::Barrier::new(RIVALS));
    let mut tasks = JoinSet::new();
    for rival in 0..RIVALS {
        let (locks, id, start) =
            (several[rival % several.len()].clone(), id.clone(), start.clone());
        tasks.spawn(async move {
            start.wait().await;
            locks.try_acquire(&[&id], ttl(60_000)).await
        });
    }
    let (won, lost): (Vec<_>, Vec<_>) = tasks.join_all().await.into_iter().partition(Result::is_ok);
    assert_eq!(won.len(), 1);
    assert!(lost.iter().all(|result| matches!(result, Err(AcquireError::Busy { .. }))));
}

// T48
#[tokio::test(flavor = "multi_thread")]
async fn a_release_wakes_one_waiter_and_not_all() {
    const WAITERS: u64 = 64;
    let (redis, id) = (Redis::start(), new_id());
    let gate = locks(&redis).try_acquire(&[&id], ttl(60_000)).await.unwrap();
    let calls = || command_stat(&redis, "evalsha", "calls");
    let (before, start) = (calls(), Instant::now());
    let mut tasks = JoinSet::new();
    for _ in 0..WAITERS {
        // Each waits at Redis, as in a process of its own.
        let (locks, id) = (locks(&redis), id.clone());
        tasks.spawn(async move {
            let lease = locks.acquire(&[&id], ttl(60_000), soon(60_000)).await.unwrap();
            lease.release().await.unwrap();
        });
    }
    let blocked = || info(&redis, "clients", "blocked_clients") == WAITERS;
    eventually("all wait", PATIENCE, blocked).await;
    gate.release().await.unwrap();
    tasks.join_all().await;
    let tries = calls() - before - (WAITERS + 1);
    // Each tries before it waits and when it is woken; and it looks once in a second, for a signal may be lost.
    let looks = start.elapsed().as_secs() * WAITERS;
    assert!(
        tries * 10 <= WAITERS * 22 + looks * 10,
        "{tries} tries and {looks} looks for {WAITERS} leases"
    );
}

// T47
#[tokio::test(flavor = "multi_thread")]
async fn every_waiter_gets_its_share() {
    const WAITERS: usize = 16;
    const PROCESSES: usize = 4;
    let (redis, id) = (Redis::start(), new_id());
    let several = [0; PROCESSES].map(|_| locks(&redis));
    let end = Instant::now() + Duration::from_secs(3);
    let mut tasks = JoinSet::new();
    for waiter in 0..WAITERS {
        let (locks, id) = (several[waiter % PROCESSES].clone(), id.clone());
        tasks.spawn(async move {
            let mut leases = 0_u32;
            while Instant::now() < end {
                let lease = locks.acquire(&[&id], ttl(60_000), soon(60_000)).await.unwrap();
                tokio::time::sleep(Duration::from_millis(1)).await;
                lease.release().await.unwrap();
                leases += 1;
            }
            leases
        });
    }
    let shares = tasks.join_all().await;
    let (least, most) = (shares.iter().min().unwrap(), shares.iter().max().unwrap());
    assert!(*least >= 10 && least * 10 >= most * 7, "{shares:?}");
}
