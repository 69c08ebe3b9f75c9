//! Measures leases on Redis servers of its own: `cargo run --release -p lease-lock --example figures`.
#![expect(clippy::unwrap_used, reason = "a measurement that cannot go on ends here")]

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use lease_lock::{Locks, Terms};
use testkit::{Redis, RedisSentinel};
use tokio::task::JoinSet;

/// How long each row is measured.
const EACH: Duration = Duration::from_secs(3);
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::main]
async fn main() {
    println!("load before: {}", load());
    let redis = Redis::start();
    let locks = open(&redis);
    row("one task, a lock that is free", pairs(&locks, 1, 1).await);
    row("the same, 8 locks in a lease", pairs(&locks, 1, 8).await);
    row("64 tasks, each its own lock", pairs(&locks, 64, 1).await);

    let servers: Vec<Redis> = (0..5).map(|_| Redis::start()).collect();
    for count in [3, 5] {
        let urls: Vec<String> = servers[..count].iter().map(Redis::url).collect();
        let redlock = Locks::options().open_redlock(&urls, "figures").unwrap();
        row(&format!("one task, {count} servers"), pairs(&redlock, 1, 1).await);
    }

    let set = RedisSentinel::start();
    let plain = Locks::open(&set.url(), "figures").unwrap();
    row("one task, behind sentinels", pairs(&plain, 1, 1).await);
    let options = Locks::options().replicas(1, Duration::from_millis(500));
    let confirmed = options.open(&set.url(), "figures").unwrap();
    row("the same, a replica confirms", pairs(&confirmed, 1, 1).await);

    contended(&redis, 16, 1).await;
    contended(&redis, 4, 4).await;
    println!("load after: {}", load());
}

fn open(redis: &Redis) -> Locks {
    Locks::open(&redis.url(), "figures").unwrap()
}

fn load() -> String {
    std::fs::read_to_string("/proc/loadavg").unwrap_or_default().trim().to_owned()
}

fn row(what: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let per_second = times.len() as f64 / EACH.as_secs_f64();
    let (middle, late) = (times[times.len() / 2], times[times.len() * 99 / 100]);
    println!("{what}: {per_second:.0} leases/s, p50 {middle:.0?}, p99 {late:.0?}");
}

/// How long it took to take and give back a lease, again and again.
async fn pairs(locks: &Locks, tasks: usize, ids: usize) -> Vec<Duration> {
    let end = Instant::now() + EACH;
    let mut running = JoinSet::new();
    for task in 0..tasks {
        let locks = locks.clone();
        let ids: Vec<String> = (0..ids).map(|id| format!("{task}-{id}")).collect();
        running.spawn(async move {
            let mut times = Vec::new();
            while Instant::now() < end {
                let start = Instant::now();
                let deadline = start + PATIENCE;
                let lease = locks.acquire(&ids, Terms::default(), deadline).await.unwrap();
                lease.release().await.unwrap();
                times.push(start.elapsed());
            }
            times
        });
    }
    running.join_all().await.into_iter().flatten().collect()
}

/// Waiters of one lock that hold it for 1 ms: how long from a release to the next lease, and how the leases are shared.
async fn contended(redis: &Redis, processes: usize, tasks_each: usize) {
    let end = Instant::now() + EACH;
    let released: Arc<Mutex<Option<Instant>>> = Arc::default();
    let mut running = JoinSet::new();
    for _ in 0..processes {
        let locks = open(redis);
        for _ in 0..tasks_each {
            let (locks, released) = (locks.clone(), released.clone());
            running.spawn(async move {
                let mut times = Vec::new();
                while Instant::now() < end {
                    let deadline = Instant::now() + PATIENCE;
                    let lease = locks.acquire(&["hot"], Terms::default(), deadline).await.unwrap();
                    times.extend(released.lock().unwrap().map(|moment| moment.elapsed()));
                    tokio::time::sleep(Duration::from_millis(1)).await;
                    *released.lock().unwrap() = Some(Instant::now());
                    lease.release().await.unwrap();
                }
                times
            });
        }
    }
    let shares = running.join_all().await;
    let (least, most) = (shares.iter().map(Vec::len).min(), shares.iter().map(Vec::len).max());
    let what = format!("{processes} x {tasks_each} waiters of one lock, held for 1 ms, hand-over");
    row(&what, shares.into_iter().flatten().collect());
    println!("    each got {} to {} leases", least.unwrap(), most.unwrap());
}
