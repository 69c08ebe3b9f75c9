//! Wall clocks that jump, by a second or by an hour, forwards and backwards: the database's and the service's, each by
//! itself.

use crate::{
    checker,
    replica::Start,
    scenario::{Course, Outcome},
    shop::Shop,
};
use anyhow::{Context, Result};
use rand::{RngExt, rngs::StdRng, seq::IndexedRandom};
use srv_config::LockStrategy;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use testkit::{Clock, MariaDb};
use tokio::{task::block_in_place, time::sleep};

/// Nothing waits for a clock, so it is served at once.
const SERVED_WITHIN: Duration = Duration::from_secs(5);
/// By how many seconds a clock is off, at most one way or the other.
const JUMPS: [i64; 6] = [-3600, -60, -2, 2, 60, 3600];
/// How long a clock stays where it jumped to, in milliseconds.
const STAYS: std::ops::Range<u64> = 100..1000;
/// How many jumps one shop sees.
const JUMPS_MAX: u64 = 60;

/// Clocks jump.
pub async fn jumps(course: &Course) -> Result<Outcome> {
    let (mut outcome, mut random) = (Outcome::default(), course.random());
    let (database, service) = block_in_place(|| anyhow::Ok((Clock::new()?, Clock::new()?)))?;
    let mut options = MariaDb::options();
    for (name, value) in database.environment() {
        options = options.environment(name, &value);
    }
    let server = block_in_place(|| options.start())?;
    while outcome.faults < course.count {
        course.say(format!("{} of {} jumps", outcome.faults, course.count));
        let url = block_in_place(|| server.fresh_database());
        let start = Start {
            database_url: &url,
            redis_url: None,
            strategy: LockStrategy::GroupCommit,
            configuration: "",
            options: &[],
            environment: &service.environment(),
        };
        let mut shop = Shop::open(&start, &url, 1).await?;
        shop.clock = checker::Clock::Jumps;
        let wanted = (course.count - outcome.faults).min(JUMPS_MAX);
        let jump = async |_: &Shop, random: &mut StdRng| {
            let (here, there) = (jump_of(random), jump_of(random));
            set(&database, here)?;
            set(&service, there)?;
            sleep(Duration::from_millis(random.random_range(STAYS))).await;
            is_off_by(&server, here)
        };
        shop.suffer(wanted, SERVED_WITHIN, &mut outcome, &mut random, jump).await?;
    }
    Ok(outcome)
}

fn jump_of(random: &mut StdRng) -> i64 {
    JUMPS.choose(random).copied().unwrap_or_default()
}

fn set(clock: &Clock, seconds: i64) -> Result<()> {
    let by = Duration::from_secs(seconds.unsigned_abs());
    if seconds < 0 { clock.behind(by) } else { clock.ahead(by) }
}

/// Whether the server's clock is off as it should be, give or take a second.
fn is_off_by(server: &MariaDb, seconds: i64) -> Result<bool> {
    let told = block_in_place(|| server.try_sql("SELECT UNIX_TIMESTAMP()"))?;
    let told: i64 = told.trim().parse().context("MariaDB tells no time")?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs().cast_signed();
    Ok((told - now - seconds).abs() <= 1)
}
