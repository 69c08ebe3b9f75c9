//! What a network does between the service and its database: resets, holes, one-way loss, and a host that vanishes.

use super::service::until_sprung;
use crate::{
    scenario::{Course, Outcome},
    shop::{Shop, rounds},
};
use anyhow::{Context, Result};
use rand::{RngExt, rngs::StdRng};
use srv_config::LockStrategy;
use std::time::Duration;
use testkit::{
    MariaDb, Network,
    network::{Direction, Event, Fault, MYSQL_COMMIT},
};
use tokio::{task::block_in_place, time::sleep};

/// How soon something is served again once the network is healed. A call that a hole has swallowed is repeated within
/// its deadline.
const SERVED_WITHIN: Duration = Duration::from_secs(10);
/// The same where nobody says that connections are dead: the service must find out by itself, after a statement took
/// longer than any may and a ping was not answered.
const FOUND_OUT_WITHIN: Duration = Duration::from_secs(15);
/// How long a hole is, in milliseconds: shorter than the deadline of any call.
const HOLE: std::ops::Range<u64> = 200..1500;
/// Every fifth hole is longer than that.
const LONG_HOLE: Duration = Duration::from_secs(6);
const LONG_EVERY: u64 = 5;
/// For how long nothing may be acknowledged for a hole to be one.
const SILENCE: Duration = Duration::from_millis(100);

/// Every connection to the database is reset.
pub async fn reset(course: &Course) -> Result<Outcome> {
    let aborted = || -> Result<u64> {
        let status = block_in_place(|| {
            MariaDb::shared().try_sql("SHOW GLOBAL STATUS LIKE 'Aborted_clients'")
        })?;
        let count =
            status.split_whitespace().nth(1).context("MariaDB counts no aborted clients")?;
        Ok(count.parse()?)
    };
    each(course, SERVED_WITHIN, async |_, network, _| {
        let before = aborted()?;
        network.suffer(Fault::Reset);
        // The server notices on its own time.
        sleep(SILENCE).await;
        Ok(aborted()? > before)
    })
    .await
}

/// Nothing is carried for a while; then what was on its way arrives.
pub async fn black_hole(course: &Course) -> Result<Outcome> {
    let mut holes = 0_u64..;
    each(course, SERVED_WITHIN, async |shop, network, random| {
        let number = holes.next().unwrap_or_default();
        // From a moment at which a COMMIT, or its answer, is the first that is swallowed; or from any moment.
        let begins = match number % 4 {
            0 => Some(Event::AnswerTo(MYSQL_COMMIT.into())),
            2 => Some(Event::Words(Direction::ToServer, MYSQL_COMMIT.into())),
            _ => None,
        };
        hole(shop, network, Fault::BlackHole, begins, length_of(number, random)).await
    })
    .await
}

/// The database hears the service, and the service does not hear the database; or the other way round.
pub async fn one_way(course: &Course) -> Result<Outcome> {
    let mut holes = 0_u64..;
    each(course, SERVED_WITHIN, async |shop, network, random| {
        let number = holes.next().unwrap_or_default();
        let (way, begins) = match number % 4 {
            0 => (Direction::ToClient, Some(Event::AnswerTo(MYSQL_COMMIT.into()))),
            1 => (Direction::ToServer, None),
            2 => {
                let commit = Event::Words(Direction::ToServer, MYSQL_COMMIT.into());
                (Direction::ToServer, Some(commit))
            }
            _ => (Direction::ToClient, None),
        };
        hole(shop, network, Fault::Silence(way), begins, length_of(number, random)).await
    })
    .await
}

/// The database's host is gone without a word, and another has its address: connections that are open never say
/// anything again, and new ones work.
pub async fn vanished(course: &Course) -> Result<Outcome> {
    each(course, FOUND_OUT_WITHIN, async |shop, network, _| {
        let in_flight = shop.recorder.in_flight();
        network.suffer(Fault::Vanish);
        Ok(in_flight > 0)
    })
    .await
}

fn length_of(number: u64, random: &mut StdRng) -> Duration {
    let short = Duration::from_millis(random.random_range(HOLE));
    if number.is_multiple_of(LONG_EVERY) { LONG_HOLE } else { short }
}

/// Nothing is carried from the moment on at which it `begins`, or from now on, for so long.
async fn hole(
    shop: &Shop,
    network: &Network,
    fault: Fault,
    begins: Option<Event>,
    length: Duration,
) -> Result<bool> {
    match begins {
        Some(event) => until_sprung(&network.when(event, fault)).await?,
        None => network.suffer(fault),
    }
    // The fault itself: nothing that could be waited for ends it.
    sleep(length).await;
    let before = shop.recorder.counts().acknowledged;
    sleep(SILENCE).await;
    let counts = shop.recorder.counts();
    let hit = counts.acknowledged == before && shop.recorder.in_flight() > 0;
    network.heal();
    Ok(hit)
}

/// Does something to the network of a shop, again and again, under each strategy.
async fn each(
    course: &Course,
    within: Duration,
    mut fault: impl AsyncFnMut(&Shop, &Network, &mut StdRng) -> Result<bool>,
) -> Result<Outcome> {
    let (mut outcome, mut random) = (Outcome::default(), course.random());
    let server = block_in_place(MariaDb::shared);
    for (strategy, faults) in rounds(&LockStrategy::ALL, course.count) {
        course.say(format!("{strategy:?}, {} of {} faults", outcome.faults, course.count));
        let network = Network::before(server.port());
        let url = block_in_place(|| server.fresh_database());
        let shop = Shop::on(&network.reroute(&url), &url, strategy, 1).await?;
        let suffer = async |shop: &Shop, random: &mut StdRng| fault(shop, &network, random).await;
        shop.suffer(faults, within, &mut outcome, &mut random, suffer).await?;
    }
    Ok(outcome)
}
