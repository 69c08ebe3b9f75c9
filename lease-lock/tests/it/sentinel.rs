//! A master that changes, as its sentinels say.

use std::time::{Duration, Instant};

use lease_lock::{AcquireError, Lease, Locks, Unavailable};
use testkit::RedisSentinel;
use tokio::task::block_in_place;

use crate::support::{
    PATIENCE, PREFIX, eventually, info, key, new_id, owner, pttl, take, told, ttl,
};

/// Long enough for the sentinels to notice, to agree and to act.
const FAILOVER: Duration = Duration::from_secs(30);

fn locks(set: &RedisSentinel) -> Locks {
    Locks::open(&set.url(), PREFIX).unwrap()
}

/// Leases that the replica has before they are had.
fn confirmed(set: &RedisSentinel) -> Locks {
    Locks::options().replicas(1, Duration::from_secs(1)).open(&set.url(), PREFIX).unwrap()
}

/// Asks until Redis answers; during a failover it does not.
async fn take_when_it_answers(locks: &Locks, id: &str) -> Lease {
    let end = Instant::now() + FAILOVER;
    loop {
        match locks.acquire(&[id], ttl(10_000), end).await {
            Ok(lease) => return lease,
            Err(AcquireError::Unavailable(_)) => {}
            Err(error) => panic!("{error}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn renew_when_it_answers(lease: &Lease) {
    let end = Instant::now() + FAILOVER;
    while let Err(error) = lease.renew().await {
        assert!(Instant::now() < end, "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_goes_on_at_the_new_master_after_a_failover() {
    let (set, id) = (RedisSentinel::start(), new_id());
    let locks = confirmed(&set);
    let lease = locks.try_acquire(&[&id], ttl(20_000)).await.unwrap();
    let new = set.replica();
    assert!(!owner(new, &id).is_empty(), "a confirmed lease is at the replica");
    block_in_place(|| set.fail_over());
    new.cli(&["PEXPIRE", &key(&id, 'l'), "9000"]);
    renew_when_it_answers(&lease).await;
    assert!(pttl(new, &id) > 15_000, "it is renewed at the new master");
    lease.release().await.unwrap();
    assert_eq!(owner(new, &id), "");
    take_when_it_answers(&locks, &id).await.release().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_waiter_outlasts_the_death_of_the_master() {
    let (set, id) = (RedisSentinel::start(), new_id());
    let (holder, waiter) = (confirmed(&set), locks(&set));
    let lease = holder.try_acquire(&[&id], ttl(30_000)).await.unwrap();
    let (old, new, fence) = (set.master(), set.replica(), lease.fence());
    let wait = tokio::spawn({
        let id = id.clone();
        async move { take_when_it_answers(&waiter, &id).await }
    });
    eventually("it waits", PATIENCE, || info(old, "clients", "blocked_clients") == 1).await;
    old.kill();
    block_in_place(|| set.wait_until_master(new));
    lease.check().unwrap();
    assert!(!wait.is_finished(), "the lease is not lost with its master");
    renew_when_it_answers(&lease).await;
    lease.release().await.unwrap();
    let next = wait.await.unwrap();
    assert!(next.fence() > fence);
    assert!(!owner(new, &id).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_that_hangs_is_left_for_the_new_one() {
    let (set, id) = (RedisSentinel::start(), new_id());
    let locks = locks(&set);
    take(&locks, &id).await.release().await.unwrap();
    let (old, new) = (set.master(), set.replica());
    old.pause();
    let lease = take_when_it_answers(&locks, &id).await;
    assert_eq!(set.master().port(), new.port());
    assert!(!owner(new, &id).is_empty());
    lease.release().await.unwrap();
    old.resume();
}

/// It comes back while the sentinels have not yet told it that it is a replica, and answers as a master.
#[tokio::test(flavor = "multi_thread")]
async fn after_a_rest_the_sentinels_are_asked_before_an_old_master_is_believed() {
    let (set, id) = (RedisSentinel::start(), new_id());
    let locks = locks(&set);
    take(&locks, &id).await.release().await.unwrap();
    let rested = Instant::now() + Duration::from_millis(3100);
    let (old, new) = (set.master(), set.replica());
    old.pause();
    block_in_place(|| set.wait_until_master(new));
    tokio::time::sleep_until(rested.into()).await;
    old.resume();
    assert!(old.cli(&["ROLE"]).starts_with("master"), "it was told already: nothing is tested");
    let _lease = take(&locks, &id).await;
    assert!(!owner(new, &id).is_empty(), "the lease is at the old master");
}

/// Likewise over the connections on which replicas are waited for, which nobody else uses.
#[tokio::test(flavor = "multi_thread")]
async fn after_a_rest_an_old_master_is_not_believed_by_who_wants_confirmed_leases_either() {
    let (set, id, held) = (RedisSentinel::start(), new_id(), new_id());
    let (locks, others) = (confirmed(&set), locks(&set));
    take(&locks, &id).await.release().await.unwrap();
    let lease = others.try_acquire(&[&held], ttl(60_000)).await.unwrap();
    let rested = Instant::now() + Duration::from_millis(3100);
    let (old, new) = (set.master(), set.replica());
    eventually("the replica has it", PATIENCE, || !owner(new, &held).is_empty()).await;
    old.pause();
    block_in_place(|| set.wait_until_master(new));
    new.cli(&["DEL", &key(&held, 'l')]);
    tokio::time::sleep_until(rested.into()).await;
    old.resume();
    assert!(old.cli(&["ROLE"]).starts_with("master"), "it was told already: nothing is tested");
    let told = locks.try_acquire(&[&held], ttl(60_000)).await.map(drop);
    assert!(!matches!(told, Err(AcquireError::Busy { .. })), "the old master was believed");
    drop(lease);
}

/// As after a restart, or where a server closes idle clients.
#[tokio::test(flavor = "multi_thread")]
async fn connections_that_ended_while_they_were_idle_cost_no_lease() {
    let set = RedisSentinel::start();
    let locks = confirmed(&set);
    let at_once = (0..4).map(|_| {
        let locks = locks.clone();
        tokio::spawn(async move { locks.try_acquire(&[new_id()], ttl(5_000)).await.unwrap() })
    });
    let mut leases = Vec::new();
    for lease in at_once.collect::<Vec<_>>() {
        leases.push(lease.await.unwrap());
    }
    for lease in leases {
        lease.release().await.unwrap();
    }
    set.master().cli(&["CLIENT", "KILL", "TYPE", "normal"]);
    take(&locks, &new_id()).await.release().await.unwrap();
}

// P24
#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_no_replica_has_is_not_had() {
    let (set, id) = (RedisSentinel::start(), new_id());
    let within = Duration::from_millis(100);
    let locks = Locks::options().replicas(1, within).open(&set.url(), PREFIX).unwrap();
    take(&locks, &id).await.release().await.unwrap();
    set.replica().pause();
    let before = Instant::now();
    let refused = locks.try_acquire(&[&id], ttl(60_000)).await.map(drop);
    assert!(
        matches!(
            refused,
            Err(AcquireError::Unavailable(Unavailable::NotReplicated { confirmed: 0, wanted: 1 }))
        ),
        "{refused:?}"
    );
    assert!(before.elapsed() >= within && before.elapsed() < Duration::from_secs(1));
    eventually("it is given back", PATIENCE, || owner(set.master(), &id).is_empty()).await;
    // What others hold is busy, without a wait for replicas.
    let plain = self::locks(&set);
    let lease = take(&plain, &id).await;
    let busy = locks.try_acquire(&[&id], ttl(60_000)).await.map(drop);
    assert!(matches!(busy, Err(AcquireError::Busy { .. })), "{busy:?}");
    lease.release().await.unwrap();
    set.replica().resume();
    take_when_it_answers(&locks, &id).await.release().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_master_is_found_while_a_sentinel_lives_and_serves_on_when_none_does() {
    let (set, id) = (RedisSentinel::start(), new_id());
    let unknown = Locks::open(&set.url().replace("#main", "#other"), PREFIX).unwrap();
    let Err(Unavailable::Failed(reason)) = unknown.probe().await else { panic!("there is none") };
    assert!(reason.contains("`other`") && reason.contains("No such master"), "{reason}");

    set.kill_sentinel(0);
    set.kill_sentinel(1);
    let locks = locks(&set);
    let lease = locks.try_acquire(&[&id], ttl(1500)).await.unwrap();
    set.kill_sentinel(2);
    // Longer than the sentinels are believed for.
    tokio::time::timeout(Duration::from_millis(3500), lease.lost().cancelled()).await.unwrap_err();
    lease.release().await.unwrap();
    take(&locks, &id).await.release().await.unwrap();
    let Err(Unavailable::Failed(reason)) = self::locks(&set).probe().await else {
        panic!("nobody can say where the master is")
    };
    assert!(reason.contains("no sentinel"), "{reason}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_the_new_master_never_had_is_told_to_be_lost() {
    let (set, id) = (RedisSentinel::start(), new_id());
    let locks = locks(&set);
    let new = set.replica();
    // The replica hears nothing of the lease, and is made the master.
    new.pause();
    set.master().cli(&["CLIENT", "KILL", "TYPE", "replica"]);
    let lease = locks.try_acquire(&[&id], ttl(30_000)).await.unwrap();
    set.master().kill();
    new.resume();
    block_in_place(|| set.wait_until_master(new));
    told(lease.lost()).await;
    let _next = take_when_it_answers(&locks, &id).await;
}
