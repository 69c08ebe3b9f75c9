//! Work under a lease: `run`.

use lease_lock::{Cause, Lost};
use testkit::Redis;
use tokio::sync::oneshot;

use crate::support::{PATIENCE, key, locks, new_id, owner, take, told, ttl};

#[derive(Debug, PartialEq)]
enum WorkError {
    Refused,
    Lost(Cause),
}

impl From<Lost> for WorkError {
    fn from(lost: Lost) -> Self {
        Self::Lost(lost.0)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lock_is_held_until_the_work_is_done_and_free_after_it() {
    let (redis, id) = (Redis::shared(), new_id());
    let locks = locks(redis);
    let results = [Ok(7), Err(WorkError::Refused)];
    for result in results {
        let lease = take(&locks, &id).await;
        let expected = format!("{result:?}");
        let outcome = lease
            .run(async |lease| {
                tokio::task::yield_now().await;
                assert!(!owner(redis, &id).is_empty());
                lease.check_before_commit()?;
                assert!(!owner(redis, &id).is_empty());
                result
            })
            .await;
        assert_eq!(format!("{outcome:?}"), expected);
        assert_eq!(owner(redis, &id), "");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn work_is_cut_off_when_the_lease_is_lost() {
    let (redis, id) = (Redis::shared(), new_id());
    let lease = locks(redis).try_acquire(&[&id], ttl(300)).await.unwrap();
    redis.cli(&["DEL", &key(&id, 'l')]);
    let work = lease.run(async |_| std::future::pending::<Result<(), WorkError>>().await);
    let outcome = tokio::time::timeout(PATIENCE, work).await.expect("it is cut off");
    assert_eq!(outcome.unwrap_err(), WorkError::Lost(Cause::Taken));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_under_way_is_waited_for_when_the_lease_is_lost() {
    let (redis, id) = (Redis::shared(), new_id());
    let lease = locks(redis).try_acquire(&[&id], ttl(300)).await.unwrap();
    let (commits, committing) = oneshot::channel();
    let (answer, commit) = oneshot::channel();
    let lost = lease.lost().clone();
    let work = tokio::spawn(lease.run(async move |lease| {
        lease.check_before_commit()?;
        commits.send(()).unwrap();
        commit.await.map_err(|_| WorkError::Refused)
    }));
    committing.await.unwrap();
    redis.cli(&["DEL", &key(&id, 'l')]);
    told(&lost).await;
    answer.send("committed").unwrap();
    assert_eq!(work.await.unwrap(), Ok("committed"));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_commit_begins_after_the_loss() {
    let (redis, id) = (Redis::shared(), new_id());
    let lease = locks(redis).try_acquire(&[&id], ttl(300)).await.unwrap();
    redis.cli(&["DEL", &key(&id, 'l')]);
    told(lease.lost()).await;
    assert_eq!(lease.check_before_commit().unwrap_err().0, Cause::Taken);
}
