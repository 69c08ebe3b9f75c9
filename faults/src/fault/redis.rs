//! Redis under `redisLock`: flushed, killed, paused, refusing, failed over; and holders of leases that are paused
//! themselves. A lease only keeps contenders apart, so nothing of this may move a piece too many.

use super::database::unserved;
use crate::{
    replica::Start,
    scenario::{Course, Outcome},
    shop::Shop,
};
use anyhow::Result;
use rand::{RngExt, rngs::StdRng};
use srv_config::LockStrategy;
use std::{collections::BTreeSet, time::Duration};
use testkit::{MariaDb, Network, Redis, RedisSentinel, network::Fault};
use tokio::{task::block_in_place, time::sleep};

/// How soon something is served again once Redis is there.
const SERVED_WITHIN: Duration = Duration::from_secs(10);
/// The same where sentinels must agree first.
const FAILED_OVER_WITHIN: Duration = Duration::from_secs(30);
/// How long a lease holds: the shortest that there is.
const LEASE: &str = "redisLock:\n  ttlMilliseconds: 500\n";
/// Longer than that.
const PAST_THE_LEASE: Duration = Duration::from_millis(700);
/// Far longer than any work under a lease takes: one that is held for so long has a holder that does nothing.
const IDLE: Duration = Duration::from_millis(100);
/// For how long Redis is away at most, in milliseconds.
const AWAY_MAX: u64 = 800;
/// How many faults one shop suffers at most.
const FAULTS_MAX: u64 = 25;

/// The leases that are held, and who holds them.
const LEASES: &str = "local all = {} \
    for _, key in ipairs(redis.call('KEYS', '*:l')) do \
        all[#all + 1] = key .. '=' .. redis.call('GET', key) end \
    return all";
/// Forgets everything, and says how many leases that were.
const FLUSH: &str =
    "local leases = #redis.call('KEYS', '*:l') redis.call('FLUSHALL') return leases";

/// Redis forgets everything while leases are held.
pub async fn flushed(course: &Course) -> Result<Outcome> {
    let redis = block_in_place(|| Redis::options().start())?;
    each(course, &redis.url(), SERVED_WITHIN, async |_, _| {
        // One look in some hundred finds a lease held.
        for _ in 0..500 {
            if block_in_place(|| redis.try_cli(&["EVAL", FLUSH, "0"]))? != "0" {
                return Ok(true);
            }
        }
        Ok(false)
    })
    .await
}

/// Redis is killed, and comes back empty.
pub async fn killed(course: &Course) -> Result<Outcome> {
    let redis = block_in_place(|| Redis::options().start())?;
    each(course, &redis.url(), SERVED_WITHIN, async |shop, random| {
        let before = unserved(shop);
        block_in_place(|| redis.kill());
        sleep(Duration::from_millis(random.random_range(0..AWAY_MAX))).await;
        block_in_place(|| redis.restart());
        Ok(unserved(shop) > before)
    })
    .await
}

/// Redis hangs for longer than a lease holds, so that every lease lapses under its holder.
pub async fn paused(course: &Course) -> Result<Outcome> {
    let redis = block_in_place(|| Redis::options().start())?;
    each(course, &redis.url(), SERVED_WITHIN, async |_, _| {
        let held = leases(&redis)?;
        redis.pause();
        sleep(PAST_THE_LEASE).await;
        redis.resume();
        Ok(!held.is_empty())
    })
    .await
}

/// Redis refuses every connection for a while.
pub async fn refusing(course: &Course) -> Result<Outcome> {
    let redis = block_in_place(|| Redis::options().start())?;
    let network = Network::before(redis.port());
    each(course, &network.reroute(&redis.url()), SERVED_WITHIN, async |shop, random| {
        let before = unserved(shop);
        network.suffer(Fault::Dark);
        sleep(Duration::from_millis(random.random_range(AWAY_MAX / 2..AWAY_MAX))).await;
        network.heal();
        Ok(unserved(shop) > before)
    })
    .await
}

/// The sentinels make the replica the master, which may know less than the old one; in every second case because the
/// master was killed.
pub async fn failed_over(course: &Course) -> Result<Outcome> {
    let sentinels = block_in_place(RedisSentinel::start);
    let mut kills = false;
    each(course, &sentinels.url(), FAILED_OVER_WITHIN, async |_, _| {
        kills = !kills;
        block_in_place(|| {
            let (old, new) = (sentinels.master(), sentinels.replica());
            if kills {
                old.kill();
                sentinels.wait_until_master(new);
                old.restart();
            } else {
                sentinels.fail_over();
            }
        });
        Ok(true)
    })
    .await
}

/// One of two replicas hangs until its leases have lapsed and the other has taken them, and then goes on where it was.
pub async fn holder_paused(course: &Course) -> Result<Outcome> {
    let redis = block_in_place(|| Redis::options().start())?;
    let mut victims = (0..2).cycle();
    each(course, &redis.url(), SERVED_WITHIN, async |shop, _| {
        let victim = &shop.replicas[victims.next().unwrap_or(0)];
        victim.pause();
        let lapsed = lapsed(&redis).await;
        victim.resume();
        lapsed
    })
    .await
}

/// Waits for longer than a lease holds; whether one was held by somebody who did nothing, and lapsed.
async fn lapsed(redis: &Redis) -> Result<bool> {
    let mut held = leases(redis)?;
    sleep(IDLE).await;
    let still = leases(redis)?;
    held.retain(|lease| still.contains(lease));
    sleep(PAST_THE_LEASE).await;
    let at_last = leases(redis)?;
    Ok(held.iter().any(|lease| !at_last.contains(lease)))
}

fn leases(redis: &Redis) -> Result<BTreeSet<String>> {
    let told = block_in_place(|| redis.try_cli(&["EVAL", LEASES, "0"]))?;
    Ok(told.lines().filter(|line| line.contains('=')).map(str::to_owned).collect())
}

/// Does something to the Redis of a shop of two replicas, again and again.
async fn each(
    course: &Course,
    redis_url: &str,
    within: Duration,
    mut fault: impl AsyncFnMut(&Shop, &mut StdRng) -> Result<bool>,
) -> Result<Outcome> {
    let (mut outcome, mut random) = (Outcome::default(), course.random());
    while outcome.faults < course.count {
        course.say(format!("{} of {} faults", outcome.faults, course.count));
        let url = block_in_place(|| MariaDb::shared().fresh_database());
        let start = Start {
            database_url: &url,
            redis_url: Some(redis_url),
            strategy: LockStrategy::RedisLock,
            configuration: LEASE,
            options: &[],
            environment: &[],
        };
        let shop = Shop::open(&start, &url, 2).await?;
        let (before, wanted) = (outcome.faults, course.count - outcome.faults);
        let times = wanted.min(FAULTS_MAX);
        shop.suffer(times, within, &mut outcome, &mut random, &mut fault).await?;
        if outcome.faults < before + times {
            break;
        }
    }
    Ok(outcome)
}
