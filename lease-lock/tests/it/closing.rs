//! The end of a process that holds leases and waits for some.

use std::time::Duration;

use lease_lock::{AcquireError, Cause, Lost, Unavailable};
use testkit::Redis;

use crate::support::{PATIENCE, eventually, info, locks, new_id, owner, soon, take, ttl};

// T38
#[tokio::test(flavor = "multi_thread")]
async fn closing_tells_waiters_and_holders_and_gives_everything_back() {
    let (redis, mine, theirs) = (Redis::start(), new_id(), new_id());
    let (locks, others) = (locks(&redis), locks(&redis));
    let rival = take(&others, &theirs).await;
    let lease = locks.try_acquire(&[&mine], ttl(60_000)).await.unwrap();
    let work = tokio::spawn(lease.run(async |_| std::future::pending::<Result<(), Lost>>().await));
    // One waits at Redis, the other in the queue behind it.
    let waiters = [(); 2].map(|()| {
        let (locks, id) = (locks.clone(), theirs.clone());
        tokio::spawn(async move { locks.acquire(&[id], ttl(60_000), soon(60_000)).await })
    });
    eventually("one waits", PATIENCE, || info(&redis, "clients", "blocked_clients") == 1).await;

    assert!(locks.close(soon(10_000)).await, "everything is given back");
    assert_eq!(owner(&redis, &mine), "");
    assert_eq!(work.await.unwrap(), Err(Lost(Cause::Closed)));
    for waiter in waiters {
        let told = tokio::time::timeout(PATIENCE, waiter).await.unwrap().unwrap();
        assert!(matches!(told, Err(AcquireError::Unavailable(Unavailable::Closed))));
    }
    for late in [
        locks.try_acquire(&[&mine], ttl(1000)).await,
        locks.acquire(&[&mine], ttl(1000), soon(1000)).await,
    ] {
        assert!(matches!(late, Err(AcquireError::Unavailable(Unavailable::Closed))));
    }
    assert!(matches!(locks.probe().await, Err(Unavailable::Closed)));
    rival.check().unwrap();
    rival.release().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_waits_for_a_holder_until_the_deadline() {
    let (redis, id) = (Redis::shared(), new_id());
    let locks = locks(redis);
    let lease = take(&locks, &id).await;
    assert!(!locks.close(soon(100)).await, "it is still held");
    assert_eq!(lease.check().unwrap_err().0, Cause::Closed);
    assert!(!owner(redis, &id).is_empty());
    let closing = tokio::spawn(async move { locks.close(soon(20_000)).await });
    drop(lease);
    let closed = tokio::time::timeout(Duration::from_secs(5), closing).await.unwrap();
    assert!(closed.unwrap(), "the lease is dropped and given back");
    assert_eq!(owner(redis, &id), "");
}
