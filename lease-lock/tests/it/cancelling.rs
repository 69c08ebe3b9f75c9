//! Callers that go away in the middle.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use testkit::Redis;

use crate::support::{PATIENCE, eventually, locks, new_id, soon, take, ttl};

/// Drops the future after some polls, if it is not ready before.
async fn cut_off<F: Future>(future: F, polls: u32) -> Option<F::Output> {
    let patience = async {
        for _ in 0..polls {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        biased;
        output = future => Some(output),
        () = patience => None,
    }
}

fn random() -> StdRng {
    let seed = rand::random();
    println!("seed {seed}");
    StdRng::seed_from_u64(seed)
}

// T34
#[tokio::test(flavor = "multi_thread")]
async fn an_acquire_that_is_cut_off_leaves_nothing_behind() {
    let (redis, mut random) = (Redis::start(), random());
    let locks = locks(&redis);
    take(&locks, &new_id()).await.release().await.unwrap();
    let mut cut = 0;
    for number in 0..500 {
        let (id, polls) = (new_id(), random.random_range(0..60));
        let taken = if number % 2 == 0 {
            cut_off(locks.try_acquire(&[&id], ttl(60_000)), polls).await
        } else {
            cut_off(locks.acquire(&[&id], ttl(60_000), soon(60_000)), polls).await
        };
        match taken {
            Some(lease) => lease.unwrap().release().await.unwrap(),
            None => cut += 1,
        }
    }
    assert!(cut > 100, "only {cut} were cut off");
    eventually("every key is gone", Duration::from_secs(2), || {
        redis.cli(&["KEYS", "*:l"]).is_empty()
    })
    .await;
}

// T35
#[tokio::test(flavor = "multi_thread")]
async fn a_release_that_is_cut_off_releases() {
    let (redis, mut random) = (Redis::start(), random());
    let locks = locks(&redis);
    for _ in 0..100 {
        let lease = take(&locks, &new_id()).await;
        cut_off(lease.release(), random.random_range(0..20)).await;
    }
    eventually("every key is gone", Duration::from_secs(2), || {
        redis.cli(&["KEYS", "*:l"]).is_empty()
    })
    .await;
}

// T37, without a database
#[tokio::test(flavor = "multi_thread")]
async fn work_that_is_cut_off_is_dropped_before_the_lease() {
    let (redis, id) = (Redis::shared(), new_id());
    let lease = take(&locks(redis), &id).await;
    let (mut started, dropped) =
        (tokio::sync::oneshot::channel(), tokio::sync::oneshot::channel::<()>());
    let work = tokio::spawn(lease.run(async move |lease| {
        let _rolled_back_with_this = dropped.0;
        started.0.send(lease).unwrap();
        std::future::pending::<Result<(), lease_lock::Lost>>().await
    }));
    let lease = (&mut started.1).await.unwrap();
    lease.check().unwrap();
    work.abort();
    assert!(dropped.1.await.is_err(), "the work is dropped");
    eventually("the key is gone", PATIENCE, || crate::support::owner(redis, &id).is_empty()).await;
    lease.check().unwrap_err();
}
