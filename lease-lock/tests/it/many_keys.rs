//! Several locks in one lease.

use std::time::Duration;

use lease_lock::AcquireError;
use testkit::Redis;

use crate::support::{PATIENCE, eventually, key, locks, new_id, owner, soon, take, ttl};

// T44
#[tokio::test(flavor = "multi_thread")]
async fn a_lease_of_many_locks_takes_all_or_none() {
    let redis = Redis::shared();
    let (locks, ids) = (locks(redis), [new_id(), new_id(), new_id(), new_id()]);
    let [a, b, c, d] = &ids;
    let first = locks.try_acquire(&[a, b], ttl(10_000)).await.unwrap();
    let second = locks.try_acquire(&[c, d], ttl(10_000)).await.unwrap();
    let tokens = ids.each_ref().map(|id| owner(redis, id));
    assert!(matches!(
        locks.try_acquire(&[b, c], ttl(10_000)).await,
        Err(AcquireError::Busy { .. })
    ));
    assert_eq!(ids.each_ref().map(|id| owner(redis, id)), tokens);

    first.release().await.unwrap();
    assert!(matches!(
        locks.try_acquire(&[b, c], ttl(10_000)).await,
        Err(AcquireError::Busy { .. })
    ));
    assert_eq!(owner(redis, b), "", "what is free stays free");
    second.release().await.unwrap();
    let both = locks.try_acquire(&[b, c], ttl(10_000)).await.unwrap();
    assert_eq!(owner(redis, b), owner(redis, c));
    assert_eq!(redis.cli(&["GET", &key(b, 'f')]), both.fence().to_string());
    assert_eq!(redis.cli(&["GET", &key(c, 'f')]), both.fence().to_string());
}

// T45
#[tokio::test(flavor = "multi_thread")]
async fn locks_named_in_any_order_and_twice_never_deadlock() {
    let redis = Redis::shared();
    let (a, b) = (new_id(), new_id());
    let orders = [vec![a.clone(), b.clone()], vec![b.clone(), a.clone(), b.clone()]];
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..4 {
        let (locks, ids) = (locks(redis), orders[number % 2].clone());
        tasks.spawn(async move {
            for _ in 0..250 {
                let lease = locks.acquire(&ids, ttl(10_000), soon(60_000)).await.unwrap();
                lease.release().await.unwrap();
            }
        });
    }
    tokio::time::timeout(Duration::from_secs(60), tasks.join_all()).await.expect("they go on");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_waiter_for_many_locks_does_not_hold_up_those_for_one() {
    let redis = Redis::start();
    let (locks, hot, cold) = (locks(&redis), new_id(), new_id());
    let lease = take(&locks, &hot).await;
    let waiter = tokio::spawn({
        let (locks, ids) = (locks.clone(), [hot.clone(), cold.clone()]);
        async move { locks.acquire(&ids, ttl(10_000), soon(20_000)).await }
    });
    eventually("it waits", PATIENCE, || {
        crate::support::info(&redis, "clients", "blocked_clients") == 1
    })
    .await;
    locks.acquire(&[&cold], ttl(10_000), soon(5000)).await.unwrap().release().await.unwrap();
    lease.release().await.unwrap();
    drop(waiter.await.unwrap().unwrap());
}

/// The one that was woken could not take its locks, so another must hear of the release.
#[tokio::test(flavor = "multi_thread")]
async fn a_waiter_that_still_lacks_a_lock_wakes_the_next() {
    let redis = Redis::start();
    let (first, second, holder) = (locks(&redis), locks(&redis), locks(&redis));
    let (a, b) = (new_id(), new_id());
    let blocked = |number| crate::support::info(&redis, "clients", "blocked_clients") == number;
    let (lease_a, lease_b) = (take(&holder, &a).await, take(&holder, &b).await);
    let both = tokio::spawn({
        let ids = [a.clone(), b.clone()];
        async move { first.acquire(&ids, ttl(10_000), soon(20_000)).await }
    });
    eventually("the first waits", PATIENCE, || blocked(1)).await;
    let one = tokio::spawn({
        let id = a.clone();
        async move {
            let lease = second.acquire(&[id], ttl(10_000), soon(20_000)).await;
            (lease, std::time::Instant::now())
        }
    });
    eventually("the second waits", PATIENCE, || blocked(2)).await;
    let released = std::time::Instant::now();
    lease_a.release().await.unwrap();
    let (lease, at) = one.await.unwrap();
    assert!(at - released < Duration::from_millis(500), "took {:?}", at - released);
    lease.unwrap().release().await.unwrap();
    lease_b.release().await.unwrap();
    drop(both.await.unwrap().unwrap());
}
