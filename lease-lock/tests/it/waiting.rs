//! Waiting for a lock, and being woken.

use std::time::{Duration, Instant};

use lease_lock::AcquireError;
use testkit::Redis;

use crate::support::{PATIENCE, eventually, info, key, locks, new_id, soon, take, ttl, unrenewed};

// T4
#[tokio::test(flavor = "multi_thread")]
async fn a_wait_ends_at_its_deadline() {
    let (redis, id) = (Redis::shared(), new_id());
    let _lease = take(&locks(redis), &id).await;
    let locks = locks(redis);
    for wait in [70, 700, 1500] {
        let before = Instant::now();
        let busy = locks.acquire(&[&id], ttl(1000), soon(wait)).await;
        let waited = before.elapsed();
        assert!(matches!(busy, Err(AcquireError::Busy { holder_ttl: Some(_) })));
        let wait = Duration::from_millis(wait);
        assert!(
            (wait..wait + Duration::from_millis(150)).contains(&waited),
            "{waited:?} for {wait:?}"
        );
    }
}

// T5
#[tokio::test(flavor = "multi_thread")]
async fn a_waiter_gets_the_lock_when_the_holder_expires() {
    let (redis, id) = (Redis::shared(), new_id());
    let locks = locks(redis);
    let _dead = locks.try_acquire(&[&id], unrenewed(600)).await.unwrap();
    let before = Instant::now();
    let _lease = locks.acquire(&[&id], ttl(10_000), soon(5000)).await.unwrap();
    let waited = before.elapsed();
    assert!(waited < Duration::from_millis(900), "{waited:?}");
}

// T6
#[tokio::test(flavor = "multi_thread")]
async fn a_renewed_lock_is_not_taken_from_its_holder() {
    let (redis, id) = (Redis::shared(), new_id());
    let lease = locks(redis).try_acquire(&[&id], ttl(600)).await.unwrap();
    let busy = locks(redis).acquire(&[&id], ttl(600), soon(1500)).await;
    assert!(matches!(busy, Err(AcquireError::Busy { .. })));
    lease.check().unwrap();
}

// T21
#[tokio::test(flavor = "multi_thread")]
async fn releases_that_nobody_waits_for_leave_one_signal_for_a_second() {
    let (redis, id) = (Redis::shared(), new_id());
    let locks = locks(redis);
    for _ in 0..10 {
        take(&locks, &id).await.release().await.unwrap();
    }
    assert_eq!(redis.cli(&["LLEN", &key(&id, 's')]), "1");
    eventually("the signal is gone", Duration::from_millis(1500), || {
        redis.cli(&["EXISTS", &key(&id, 's')]) == "0"
    })
    .await;
}

// T22
#[tokio::test(flavor = "multi_thread")]
async fn a_lock_freed_by_force_wakes_a_waiter() {
    let (redis, id) = (Redis::start(), new_id());
    let locks = locks(&redis);
    let _stuck = take(&locks, &id).await;
    let waiter = tokio::spawn({
        let (locks, id) = (locks.clone(), id.clone());
        async move {
            let lease = locks.acquire(&[id], ttl(10_000), soon(20_000)).await;
            (lease, Instant::now())
        }
    });
    eventually("it waits", PATIENCE, || info(&redis, "clients", "blocked_clients") == 1).await;
    let freed = Instant::now();
    assert!(locks.force_release(&id).await.unwrap());
    let (lease, at) = waiter.await.unwrap();
    drop(lease.unwrap());
    assert!(at - freed < Duration::from_millis(500), "{:?}", at - freed);
    assert!(!locks.force_release(&new_id()).await.unwrap());
}

// T36
#[tokio::test(flavor = "multi_thread")]
async fn a_waiter_that_has_gone_passes_the_signal_on() {
    let (redis, id) = (Redis::start(), new_id());
    let lease = take(&locks(&redis), &id).await;
    let blocked = |number| info(&redis, "clients", "blocked_clients") == number;
    let wait = || {
        let (locks, id) = (locks(&redis), id.clone());
        tokio::spawn(async move {
            let lease = locks.acquire(&[id], ttl(10_000), soon(20_000)).await;
            (lease, Instant::now())
        })
    };
    let gone = wait();
    eventually("the first waits", PATIENCE, || blocked(1)).await;
    let next = wait();
    eventually("the second waits", PATIENCE, || blocked(2)).await;
    gone.abort();
    assert!(gone.await.is_err());
    let released = Instant::now();
    lease.release().await.unwrap();
    let (lease, at) = next.await.unwrap();
    drop(lease.unwrap());
    assert!(at - released < Duration::from_millis(400), "{:?}", at - released);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_waiters_of_a_process_are_served_in_the_order_they_came() {
    let (redis, id) = (Redis::start(), new_id());
    let locks = locks(&redis);
    let lease = take(&locks, &id).await;
    let (sender, mut served) = tokio::sync::mpsc::unbounded_channel();
    for number in 0..8 {
        let (locks, id, sender) = (locks.clone(), id.clone(), sender.clone());
        let mut wait = Box::pin(async move {
            let lease = locks.acquire(&[id], ttl(10_000), soon(20_000)).await.unwrap();
            sender.send(number).unwrap();
            lease.release().await.unwrap();
        });
        // The first is at Redis before the others come; they stand in the queue after their first poll.
        assert!(futures_poll_once(&mut wait).await);
        tokio::spawn(wait);
        if number == 0 {
            eventually("it waits", PATIENCE, || info(&redis, "clients", "blocked_clients") == 1)
                .await;
        }
    }
    drop(sender);
    lease.release().await.unwrap();
    let mut order = Vec::new();
    while let Some(number) = served.recv().await {
        order.push(number);
    }
    assert_eq!(order, (0..8).collect::<Vec<_>>());
}

/// Whether the future is still pending after one poll.
async fn futures_poll_once(future: &mut (impl Future + Unpin)) -> bool {
    std::future::poll_fn(|context| {
        std::task::Poll::Ready(std::pin::Pin::new(&mut *future).poll(context).is_pending())
    })
    .await
}
