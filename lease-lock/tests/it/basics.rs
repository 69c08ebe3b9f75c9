//! Taking and giving back.

use std::time::{Duration, Instant};

use lease_lock::{
    AcquireError, Cause, InvalidIds, InvalidTerms, Locks, Lost, OpenError, ReleaseError,
    RenewError, Terms,
};
use testkit::Redis;

use crate::support::{
    PATIENCE, eventually, key, locks, new_id, owner, pttl, soon, take, ttl, unrenewed,
};

// T1
#[tokio::test(flavor = "multi_thread")]
async fn a_lease_is_a_token_with_a_ttl_in_redis() {
    let (redis, id) = (Redis::shared(), new_id());
    let lease = locks(redis).try_acquire(&[&id], ttl(5000)).await.unwrap();
    assert!(
        lease.remaining() <= Duration::from_millis(5000 - 52),
        "1 % and 2 ms are left for the clocks"
    );
    assert_eq!(owner(redis, &id).len(), 32);
    assert!((1..=5000).contains(&pttl(redis, &id)));
    lease.check().unwrap();
}

// T2
#[tokio::test(flavor = "multi_thread")]
async fn a_second_try_is_busy_at_once_and_changes_nothing() {
    let (redis, id) = (Redis::shared(), new_id());
    let (ours, theirs) = (locks(redis), locks(redis));
    let lease = take(&ours, &id).await;
    let token = owner(redis, &id);
    for rival in [&ours, &theirs] {
        let before = Instant::now();
        let Err(AcquireError::Busy { holder_ttl: Some(ttl) }) =
            rival.try_acquire(&[&id], ttl(60_000)).await
        else {
            panic!("the lock is held")
        };
        assert!(ttl <= Duration::from_secs(10) && before.elapsed() < Duration::from_secs(1));
    }
    assert_eq!(owner(redis, &id), token);
    assert!(pttl(redis, &id) <= 10_000);
    lease.check().unwrap();
}

// T3
#[tokio::test(flavor = "multi_thread")]
async fn a_released_lock_can_be_taken_again() {
    let (redis, id) = (Redis::shared(), new_id());
    let locks = locks(redis);
    let lease = take(&locks, &id).await;
    let token = owner(redis, &id);
    lease.release().await.unwrap();
    assert_eq!(owner(redis, &id), "");
    let _again = take(&locks, &id).await;
    assert_ne!(owner(redis, &id), token, "each lease has a token of its own");
}

// T8
#[tokio::test(flavor = "multi_thread")]
async fn settings_that_make_no_sense_are_refused() {
    let milliseconds = Duration::from_millis;
    for ttl in [Duration::ZERO, milliseconds(99), milliseconds(600_001)] {
        assert_eq!(Terms::new(ttl, ttl).unwrap_err(), InvalidTerms::Ttl(ttl));
    }
    for hold in [milliseconds(999), milliseconds(3_600_001)] {
        assert_eq!(Terms::new(milliseconds(1000), hold).unwrap_err(), InvalidTerms::MaxHold(hold));
    }
    let locks = locks(Redis::shared());
    let none: [&str; 0] = [];
    let refused = locks.try_acquire(&none, ttl(1000)).await;
    assert!(matches!(refused, Err(AcquireError::Invalid(InvalidIds::None))));
    let late = locks.acquire(&[new_id()], ttl(1000), Instant::now()).await;
    assert!(matches!(late, Err(AcquireError::DeadlinePassed)));
    assert!(matches!(Locks::open("http://127.0.0.1", "t"), Err(OpenError::Url(_))));
    assert!(matches!(Locks::open("redis://127.0.0.1", "{"), Err(OpenError::Prefix)));
}

// T11
#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_of_another_lease_releases_nothing() {
    let (redis, id) = (Redis::shared(), new_id());
    let locks = locks(redis);
    let earlier = take(&locks, &id).await;
    let ticket = earlier.ticket();
    earlier.release().await.unwrap();
    let _lease = take(&locks, &id).await;
    let token = owner(redis, &id);
    assert!(matches!(locks.release(&ticket).await, Err(ReleaseError::NotHeld)));
    assert_eq!(owner(redis, &id), token);
}

// T12
#[tokio::test(flavor = "multi_thread")]
async fn a_release_after_the_end_leaves_the_successor_alone() {
    let (redis, id) = (Redis::shared(), new_id());
    let locks = locks(redis);
    let old = locks.try_acquire(&[&id], unrenewed(150)).await.unwrap();
    eventually("the lease ran out", PATIENCE, || owner(redis, &id).is_empty()).await;
    let _successor = take(&locks, &id).await;
    let token = owner(redis, &id);
    assert!(matches!(old.release().await, Err(ReleaseError::NotHeld)));
    assert_eq!(owner(redis, &id), token);
}

// T13, T20
#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_releases_from_another_process_and_only_once() {
    let (redis, id) = (Redis::shared(), new_id());
    let lease = take(&locks(redis), &id).await;
    let elsewhere = locks(redis);
    elsewhere.release(&lease.ticket()).await.unwrap();
    assert_eq!(owner(redis, &id), "");
    assert!(matches!(elsewhere.release(&lease.ticket()).await, Err(ReleaseError::NotHeld)));
    assert!(matches!(lease.release().await, Err(ReleaseError::NotHeld)));
}

// T14, T16
#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_of_what_is_not_ours_is_lost_at_once_and_touches_nothing() {
    let (redis, id) = (Redis::shared(), new_id());
    let locks = locks(redis);
    // A pause between tries would be 5 s.
    let lease = locks.try_acquire(&[&id], ttl(60_000)).await.unwrap();
    redis.cli(&["SET", &key(&id, 'l'), "somebody else", "PX", "30000"]);
    let before = Instant::now();
    assert!(matches!(lease.renew().await, Err(RenewError::Lost(Lost(Cause::Taken)))));
    assert!(before.elapsed() < Duration::from_secs(2), "a loss is not tried again");
    assert_eq!(owner(redis, &id), "somebody else");
    assert!((1..=30_000).contains(&pttl(redis, &id)));
    assert!(lease.lost().is_cancelled());

    redis.cli(&["DEL", &key(&id, 'l')]);
    let lease = take(&locks, &id).await;
    redis.cli(&["DEL", &key(&id, 'l')]);
    assert!(matches!(lease.renew().await, Err(RenewError::Lost(Lost(Cause::Taken)))));
    assert_eq!(owner(redis, &id), "", "a renewal does not bring a lock back");
}

// T15
#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_replaces_the_ttl_and_does_not_add_to_it() {
    let (redis, id) = (Redis::shared(), new_id());
    let lease = locks(redis).try_acquire(&[&id], ttl(20_000)).await.unwrap();
    redis.cli(&["PEXPIRE", &key(&id, 'l'), "5000"]);
    for _ in 0..2 {
        lease.renew().await.unwrap();
        assert!((15_000..=20_000).contains(&pttl(redis, &id)));
    }
}

// T23
#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_value_in_the_key_is_a_busy_lock() {
    let redis = Redis::shared();
    let (locks, old, hash) = (locks(redis), new_id(), new_id());
    redis.cli(&["SET", &key(&old, 'l'), "\u{1}\u{fffd}\n"]);
    redis.cli(&["HSET", &key(&hash, 'l'), "holder", "1"]);
    for id in [&old, &hash] {
        let busy = locks.try_acquire(&[id], ttl(1000)).await;
        assert!(matches!(busy, Err(AcquireError::Busy { holder_ttl: None })));
        let busy = locks.acquire(&[id], ttl(1000), soon(50)).await;
        assert!(matches!(busy, Err(AcquireError::Busy { holder_ttl: None })));
    }
    assert!(locks.force_release(&hash).await.unwrap());
    let _lease = take(&locks, &hash).await;
}

// T24
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_forgot_the_scripts_is_taught_them_again() {
    let (redis, id) = (Redis::start(), new_id());
    let locks = locks(&redis);
    let lease = take(&locks, &id).await;
    redis.cli(&["SCRIPT", "FLUSH"]);
    lease.renew().await.unwrap();
    redis.cli(&["SCRIPT", "FLUSH"]);
    lease.release().await.unwrap();
    redis.cli(&["SCRIPT", "FLUSH"]);
    let _lease = take(&locks, &id).await;
}

// T39
#[tokio::test(flavor = "multi_thread")]
async fn the_fence_rises_with_every_lease_even_when_redis_lost_the_last_one() {
    let redis = Redis::start();
    let (ours, theirs, id, other) = (locks(&redis), locks(&redis), new_id(), new_id());
    let mut last = 0;
    for turn in 0..6 {
        let lease = match turn {
            0 | 3 => take(&ours, &id).await,
            1 => theirs.try_acquire(&[&other, &id], ttl(1000)).await.unwrap(),
            2 => theirs.acquire(&[&id], ttl(1000), soon(1000)).await.unwrap(),
            4 => {
                redis.cli(&["FLUSHALL"]);
                take(&ours, &id).await
            }
            _ => {
                // A clock that goes back: the last number is ahead of it.
                last += 1_000_000_000_000;
                redis.cli(&["SET", &key(&id, 'f'), &last.to_string()]);
                take(&theirs, &id).await
            }
        };
        assert!(lease.fence() > last, "turn {turn}: {} after {last}", lease.fence());
        assert_eq!(redis.cli(&["GET", &key(&id, 'f')]), lease.fence().to_string());
        last = lease.fence();
        lease.release().await.unwrap();
    }
}
