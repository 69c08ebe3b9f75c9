//! Staying the holder, and hearing that one is not.

use std::time::{Duration, Instant};

use lease_lock::{AcquireError, Cause, RenewError, Terms};
use testkit::Redis;

use crate::support::{
    PATIENCE, command_stat, eventually, for_a_while, key, locks, new_id, owner, pttl, soon, told,
    ttl,
};

// T25
#[tokio::test(flavor = "multi_thread")]
async fn a_lease_outlives_its_ttl_while_its_holder_lives() {
    let (redis, id) = (Redis::shared(), new_id());
    let lease = locks(redis).try_acquire(&[&id], ttl(500)).await.unwrap();
    let token = owner(redis, &id);
    for_a_while(1600, || {
        lease.check().unwrap();
        assert_eq!(owner(redis, &id), token);
    })
    .await;
    lease.release().await.unwrap();
}

/// Renewing each by itself would be ten times as many calls.
#[tokio::test(flavor = "multi_thread")]
async fn leases_that_are_due_together_are_renewed_in_one_call() {
    let redis = Redis::start();
    let locks = locks(&redis);
    let mut leases = Vec::new();
    for _ in 0..40 {
        leases.push(locks.try_acquire(&[new_id()], ttl(3000)).await.unwrap());
    }
    let before = command_stat(&redis, "evalsha", "calls");
    // Each is renewed at 1 s, 2 s and 3 s.
    for_a_while(3500, || leases.iter().for_each(|lease| lease.check().unwrap())).await;
    let calls = command_stat(&redis, "evalsha", "calls") - before;
    assert!((3..=40).contains(&calls), "{calls} calls for 120 renewals");
    drop(leases);
}

// T17
#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_that_fails_is_tried_again() {
    let (redis, id) = (Redis::start(), new_id());
    let lease = locks(&redis).try_acquire(&[&id], ttl(3000)).await.unwrap();
    redis.cli(&["ACL", "SETUSER", "default", "-evalsha"]);
    eventually("two renewals failed", PATIENCE, || {
        command_stat(&redis, "evalsha", "rejected_calls") >= 2
    })
    .await;
    redis.cli(&["ACL", "SETUSER", "default", "+evalsha"]);
    for_a_while(3200, || lease.check().unwrap()).await;
    lease.release().await.unwrap();
}

// T18
#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_without_an_answer_is_not_a_loss_but_the_end_of_the_time_is() {
    let (redis, id) = (Redis::start(), new_id());
    let taken = Instant::now();
    let lease = locks(&redis).try_acquire(&[&id], ttl(3000)).await.unwrap();
    redis.kill();
    assert!(matches!(lease.renew().await, Err(RenewError::Unavailable(_))));
    lease.check().unwrap();
    told(lease.lost()).await;
    let Cause::Expired(reason) = lease.check().unwrap_err().0 else {
        panic!("nobody said it is taken")
    };
    assert!(reason.contains("Redis"), "{reason}");
    assert!(taken.elapsed() < Duration::from_millis(3100), "{:?}", taken.elapsed());
}

// T26
#[tokio::test(flavor = "multi_thread")]
async fn after_the_release_the_next_holders_lock_is_never_renewed() {
    let (redis, id) = (Redis::shared(), new_id());
    let locks = locks(redis);
    let released = locks.try_acquire(&[&id], ttl(300)).await.unwrap();
    released.release().await.unwrap();
    redis.cli(&["SET", &key(&id, 'l'), "the next", "PX", "60000"]);
    let mut last = 60_000;
    for_a_while(700, || {
        let now = pttl(redis, &id);
        assert!(now <= last && now > 50_000, "{now} after {last}");
        last = now;
    })
    .await;

    // The same under a lease that lost its key to the next holder without a release.
    redis.cli(&["DEL", &key(&id, 'l')]);
    let robbed = locks.try_acquire(&[&id], ttl(300)).await.unwrap();
    redis.cli(&["SET", &key(&id, 'l'), "the next", "PX", "60000"]);
    told(robbed.lost()).await;
    drop(robbed);
    for_a_while(300, || assert!(pttl(redis, &id) > 50_000 && owner(redis, &id) == "the next"))
        .await;
}

// T27
#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_lease_is_given_back() {
    let (redis, id) = (Redis::shared(), new_id());
    let locks = locks(redis);
    drop(locks.try_acquire(&[&id], ttl(60_000)).await.unwrap());
    eventually("the key is gone", Duration::from_secs(2), || owner(redis, &id).is_empty()).await;
    // Also when the last handle goes with it.
    let lease = locks.try_acquire(&[&id], ttl(60_000)).await.unwrap();
    drop(locks);
    drop(lease);
    eventually("the key is gone", Duration::from_secs(2), || owner(redis, &id).is_empty()).await;
}

// T28, T29
#[tokio::test(flavor = "multi_thread")]
async fn a_holder_hears_of_a_deleted_key_within_a_third_of_the_ttl() {
    let redis = Redis::start();
    let locks = locks(&redis);
    for delete_one in [true, false] {
        let id = new_id();
        let lease = locks.try_acquire(&[&id], ttl(1500)).await.unwrap();
        let before = Instant::now();
        let key = key(&id, 'l');
        let delete: &[&str] = if delete_one { &["DEL", &key] } else { &["FLUSHALL"] };
        redis.cli(delete);
        told(lease.lost()).await;
        assert_eq!(lease.check().unwrap_err().0, Cause::Taken);
        assert_eq!(lease.remaining(), Duration::ZERO);
        assert!(before.elapsed() < Duration::from_millis(900), "{:?}", before.elapsed());
    }
}

// T33
#[tokio::test(flavor = "multi_thread")]
async fn a_stuck_holder_loses_the_lock_after_its_longest_hold() {
    let (redis, id) = (Redis::shared(), new_id());
    let terms = Terms::new(Duration::from_millis(900), Duration::from_millis(1000)).unwrap();
    let taken = Instant::now();
    let lease = locks(redis).try_acquire(&[&id], terms).await.unwrap();
    let waiter = locks(redis);
    let busy = waiter.acquire(&[&id], ttl(1000), soon(920)).await;
    assert!(matches!(busy, Err(AcquireError::Busy { .. })), "it is held until then");
    let _next = waiter.acquire(&[&id], ttl(10_000), soon(10_000)).await.unwrap();
    let (held, told) = (taken.elapsed(), lease.lost().is_cancelled());
    assert!((Duration::from_millis(950)..Duration::from_millis(1150)).contains(&held), "{held:?}");
    assert!(told, "the holder is told before anybody else gets the lock");
    assert_eq!(lease.check().unwrap_err().0, Cause::MaxHold);
}
