//! What an operator sees and does.

use std::time::Duration;

use lease_lock::{AcquireError, Locks, OpenError, Owner, Unavailable};
use testkit::Redis;

use crate::support::{PREFIX, key, locks, new_id, owner, take, ttl};

// P23
#[tokio::test(flavor = "multi_thread")]
async fn the_owner_of_a_lock_is_told_by_name() {
    let (redis, id, old) = (Redis::shared(), new_id(), new_id());
    let named = Locks::options().name("inventory-0").open(&redis.url(), PREFIX).unwrap();
    let anybody = locks(redis);
    assert_eq!(anybody.owner(&id).await.unwrap(), None);

    let lease = named.try_acquire(&[&id], ttl(5000)).await.unwrap();
    let Owner { name, ttl } = anybody.owner(&id).await.unwrap().unwrap();
    assert_eq!(name.as_deref(), Some("inventory-0"));
    assert!(ttl.unwrap() <= Duration::from_secs(5));
    assert!(owner(redis, &id).ends_with("@inventory-0"));
    lease.renew().await.unwrap();
    lease.release().await.unwrap();
    assert_eq!(anybody.owner(&id).await.unwrap(), None);

    let _lease = take(&anybody, &id).await;
    assert_eq!(named.owner(&id).await.unwrap().unwrap().name, None);
    redis.cli(&["HSET", &key(&old, 'l'), "holder", "1"]);
    assert_eq!(named.owner(&old).await.unwrap(), Some(Owner { name: None, ttl: None }));
    assert!(matches!(named.owner("").await, Err(AcquireError::Invalid(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn options_that_make_no_sense_are_refused() {
    let open = |options: lease_lock::Options| options.open("redis://127.0.0.1", PREFIX).map(drop);
    for name in ["", "a b", "é", &"x".repeat(65)] {
        assert!(matches!(open(Locks::options().name(name)), Err(OpenError::Name)), "{name:?}");
    }
    let milliseconds = Duration::from_millis;
    for (count, within) in [(0, milliseconds(100)), (1, milliseconds(0)), (1, milliseconds(1001))] {
        let options = Locks::options().replicas(count, within);
        assert!(matches!(open(options), Err(OpenError::Replicas)));
    }
    open(Locks::options().name("a{b}").replicas(1, milliseconds(1000))).unwrap();
}

// P27
#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_may_evict_locks_is_refused_by_the_probe() {
    let redis = Redis::start();
    let locks = locks(&redis);
    // Without a limit to its memory it evicts nothing.
    redis.cli(&["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]);
    locks.probe().await.unwrap();
    redis.cli(&["CONFIG", "SET", "maxmemory", "100mb"]);
    for policy in ["allkeys-lru", "volatile-ttl"] {
        redis.cli(&["CONFIG", "SET", "maxmemory-policy", policy]);
        let Err(Unavailable::Evicts(told)) = locks.probe().await else { panic!("{policy}") };
        assert_eq!(told, policy);
    }
    redis.cli(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]);
    locks.probe().await.unwrap();
    // Who may not ask takes it as it is.
    redis.cli(&["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]);
    redis.cli(&["ACL", "SETUSER", "default", "-info"]);
    locks.probe().await.unwrap();
}
