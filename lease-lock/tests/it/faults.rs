//! A Redis that hangs, dies, refuses, and a network that loses an answer.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use lease_lock::{AcquireError, Cause, Locks, ReleaseError, Unavailable};
use testkit::Redis;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::{TcpListener, TcpStream};

use crate::support::{PREFIX, for_a_while, key, locks, new_id, owner, soon, take, told, ttl};

/// Between the locks and Redis: swallows one answer on demand and closes the connection.
struct Lossy {
    url: String,
    swallow: Arc<Mutex<Option<String>>>,
}

impl Lossy {
    async fn start(redis: &Redis) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("redis://{}/", listener.local_addr().unwrap());
        let (swallow, port) = (Arc::new(Mutex::new(None)), redis.port());
        let wish = swallow.clone();
        tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let server = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                tokio::spawn(forward(client, server, wish.clone()));
            }
        });
        Self { url, swallow }
    }

    /// The next answer is lost.
    fn lose_next(&self) {
        *self.swallow.lock().unwrap() = Some(String::new());
    }

    fn lost(&self) -> String {
        self.swallow.lock().unwrap().take().unwrap()
    }
}

async fn forward(client: TcpStream, server: TcpStream, swallow: Arc<Mutex<Option<String>>>) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let requests = tokio::spawn(async move { copy(&mut from_client, &mut to_server).await });
    let mut answer = [0; 4096];
    while let Ok(length @ 1..) = from_server.read(&mut answer).await {
        if let Some(lost) = swallow.lock().unwrap().as_mut().filter(|lost| lost.is_empty()) {
            lost.push_str(&String::from_utf8_lossy(&answer[..length]));
            break;
        }
        if to_client.write_all(&answer[..length]).await.is_err() {
            break;
        }
    }
    requests.abort();
}

// T19
#[tokio::test(flavor = "multi_thread")]
async fn an_acquire_whose_answer_was_lost_finds_its_own_lock() {
    let (redis, id) = (Redis::start(), new_id());
    let lossy = Lossy::start(&redis).await;
    let locks = Locks::open(&lossy.url, PREFIX).unwrap();
    take(&locks, &new_id()).await.release().await.unwrap();

    lossy.lose_next();
    let lease = take(&locks, &id).await;
    let lost = lossy.lost();
    assert!(
        lost.contains(&lease.fence().to_string()),
        "the same lease, with the same fence: {lost}"
    );
    assert_eq!(redis.cli(&["GET", &key(&id, 'f')]), lease.fence().to_string());

    lossy.lose_next();
    lease.release().await.expect("what the first try released is no error");
    assert!(!lossy.lost().is_empty());
    assert_eq!(owner(&redis, &id), "");
}

// T31
#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_hangs_is_unavailable_and_not_busy() {
    let (redis, id) = (Redis::start(), new_id());
    let locks = locks(&redis);
    let taken = Instant::now();
    let lease = locks.try_acquire(&[&id], ttl(1500)).await.unwrap();
    redis.pause();
    let before = Instant::now();
    for acquire in [
        locks.try_acquire(&[&new_id()], ttl(1000)).await,
        locks.acquire(&[&id], ttl(1000), soon(10_000)).await,
    ] {
        assert!(matches!(acquire, Err(AcquireError::Unavailable(_))));
    }
    assert!(before.elapsed() < Duration::from_millis(2500), "{:?}", before.elapsed());
    told(lease.lost()).await;
    assert!(matches!(lease.check().unwrap_err().0, Cause::Expired(_)));
    assert!(taken.elapsed() < Duration::from_millis(2700), "{:?}", taken.elapsed());
    assert!(matches!(lease.release().await, Err(ReleaseError::Unavailable(Unavailable::Silent))));
    redis.resume();
    drop(locks.acquire(&[&id], ttl(1000), soon(10_000)).await.unwrap());
}

// T31
#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_hangs_ends_a_lease_before_its_key_can_expire() {
    let (redis, id) = (Redis::start(), new_id());
    let locks = locks(&redis);
    let lease = locks.try_acquire(&[&id], ttl(1500)).await.unwrap();
    redis.pause();
    let certain = Instant::now() + lease.remaining();
    told(lease.lost()).await;
    assert!(Instant::now() < certain + Duration::from_millis(100));
    redis.resume();
}

// T32
#[tokio::test(flavor = "multi_thread")]
async fn a_pause_shorter_than_the_ttl_loses_nothing() {
    let (redis, id) = (Redis::start(), new_id());
    let lease = locks(&redis).try_acquire(&[&id], ttl(3000)).await.unwrap();
    redis.pause();
    for_a_while(1700, || lease.check().unwrap()).await;
    redis.resume();
    for_a_while(3300, || lease.check().unwrap()).await;
    lease.release().await.unwrap();
}

// T30
#[tokio::test(flavor = "multi_thread")]
async fn an_empty_redis_after_a_restart_ends_the_lease_and_serves_the_next() {
    let (redis, id) = (Redis::start(), new_id());
    let locks = locks(&redis);
    let lease = locks.try_acquire(&[&id], ttl(1500)).await.unwrap();
    redis.restart();
    told(lease.lost()).await;
    assert_eq!(lease.check().unwrap_err().0, Cause::Taken);
    assert!(matches!(lease.release().await, Err(ReleaseError::NotHeld)));
    let next = locks.try_acquire(&[&id], ttl(500)).await.unwrap();
    for_a_while(1200, || next.check().unwrap()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_login_is_told_and_tried_again() {
    let redis = Redis::start();
    redis.cli(&["CONFIG", "SET", "requirepass", "new"]);
    let locks = Locks::open(&format!("redis://:old@127.0.0.1:{}/", redis.port()), PREFIX).unwrap();
    for _ in 0..2 {
        let Err(Unavailable::Failed(reason)) = locks.probe().await else { panic!("it let us in") };
        assert!(reason.contains("uthentication"), "{reason}");
        assert!(!reason.contains("old"), "no password in a message: {reason}");
    }
    redis.cli(&["-a", "new", "CONFIG", "SET", "requirepass", "old"]);
    locks.probe().await.unwrap();
}
