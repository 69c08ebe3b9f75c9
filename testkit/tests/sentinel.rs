//! Redis with sentinels: a failover by request, and one because the master is away.

use testkit::RedisSentinel;

#[test]
fn a_replica_takes_over_by_request_and_when_its_master_is_away() {
    let set = RedisSentinel::start();
    let (first, second) = (set.master(), set.replica());
    assert_ne!(first.port(), second.port());
    assert_eq!(first.cli(&["SET", "a", "1"]), "OK");
    // One replica has it before anything is failed over.
    assert_eq!(first.cli(&["WAIT", "1", "10000"]), "1");

    set.fail_over();
    assert_eq!(set.master().port(), second.port());
    assert_eq!(second.cli(&["GET", "a"]), "1");
    assert!(first.try_cli(&["SET", "a", "2"]).is_err(), "the old master still takes writes");

    set.kill_sentinel(0);
    second.kill();
    set.wait_until_master(first);
    assert_eq!(set.replica().port(), second.port());
    assert_eq!(first.cli(&["GET", "a"]), "1");
}

#[test]
fn the_url_names_every_sentinel_and_the_master() {
    let set = RedisSentinel::start();
    let url = set.url();
    assert_eq!(set.addresses().len(), 3);
    assert!(set.addresses().iter().all(|address| url.contains(address)), "{url}");
    assert!(
        url.starts_with("redis-sentinel://") && url.ends_with(&format!("#{}", set.master_name()))
    );
}
