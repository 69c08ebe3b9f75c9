//! This test program as another process: a holder that can be killed, and rivals with connections and clocks of their
//! own.

use std::io::{BufRead, BufReader, Lines, Read, Write};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use testkit::Redis;

use crate::contention::compete;
use crate::support::{locks, new_id, soon, ttl};

const URL: &str = "LEASE_LOCK_TEST_URL";
const ID: &str = "LEASE_LOCK_TEST_ID";
const ROUNDS: &str = "LEASE_LOCK_TEST_ROUNDS";
const HELD: &str = "the lease is held";
const KNOWS: &str = "the holder knows: ";

pub(crate) fn start(redis: &Redis, id: &str, rounds: u32) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child::a_process_works_under_leases", "--nocapture"])
        .env(URL, redis.url())
        .env(ID, id)
        .env(ROUNDS, rounds.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// A process that holds a lease with a TTL of 1 s until it is killed, or until it reads a line: then it says what it
/// knows of its lease.
struct Holder {
    process: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Holder {
    fn start(redis: &Redis, id: &str) -> Self {
        let mut process = start(redis, id, 0);
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let holds = lines.by_ref().map_while(Result::ok).any(|line| line.contains(HELD));
        assert!(holds, "the child holds nothing");
        Self { process, lines }
    }

    fn signal(&self, signal: &str) {
        // Of the shell: the program of that name is not on every machine.
        let kill = format!("kill {signal} {}", self.process.id());
        let sent = Command::new("sh").args(["-c", &kill]).status();
        assert!(sent.unwrap().success());
    }

    /// Whether its lease still holds, and its fence.
    fn ask(&mut self) -> (String, u64) {
        self.process.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
        let mut lines = self.lines.by_ref().map_while(Result::ok);
        let line = lines.find(|line| line.contains(KNOWS)).unwrap();
        let (fence, check) = line.split_once(KNOWS).unwrap().1.split_once(' ').unwrap();
        (check.to_owned(), fence.parse().unwrap())
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// By itself it works three rounds on the shared server; told so by its environment, it is the other process of a
/// test.
#[tokio::test(flavor = "multi_thread")]
async fn a_process_works_under_leases() {
    let url = std::env::var(URL).unwrap_or_else(|_| Redis::shared().url());
    let id = std::env::var(ID).unwrap_or_else(|_| new_id());
    let rounds: u32 = std::env::var(ROUNDS).map_or(3, |rounds| rounds.parse().unwrap());
    let own = lease_lock::Locks::open(&url, crate::support::PREFIX).unwrap();
    if rounds == 0 {
        let lease = own.try_acquire(&[&id], ttl(1000)).await.unwrap();
        println!("{HELD}");
        let read = tokio::task::spawn_blocking(|| std::io::stdin().read(&mut [0])).await.unwrap();
        if read.unwrap() > 0 {
            println!("{KNOWS}{} {:?}", lease.fence(), lease.check());
        }
        return;
    }
    compete(own, &url, &id, rounds).await;
}

// T7
#[tokio::test(flavor = "multi_thread")]
async fn a_killed_holder_blocks_the_lock_for_one_ttl() {
    let (redis, id) = (Redis::shared(), new_id());
    let mut holder = Holder::start(redis, &id);
    let locks = locks(redis);
    let alive = locks.acquire(&[&id], ttl(1000), soon(1500)).await;
    assert!(alive.is_err(), "it is renewed while the holder lives");
    holder.process.kill().unwrap();
    let killed = Instant::now();
    let _lease = locks.acquire(&[&id], ttl(1000), soon(10_000)).await.unwrap();
    assert!(killed.elapsed() < Duration::from_millis(2000), "took {:?}", killed.elapsed());
}

// T41, without a database
#[tokio::test(flavor = "multi_thread")]
async fn a_holder_that_stood_still_for_longer_than_its_ttl_knows_that_it_lost() {
    let (redis, id) = (Redis::shared(), new_id());
    let mut holder = Holder::start(redis, &id);
    holder.signal("-STOP");
    let next = locks(redis).acquire(&[&id], ttl(10_000), soon(10_000)).await.unwrap();
    holder.signal("-CONT");
    let (check, fence) = holder.ask();
    assert!(check.starts_with("Err(Lost("), "it believes that it holds the lock: {check}");
    assert!(fence < next.fence(), "a write of the old holder could not be told from a new one's");
    next.check().unwrap();
}
