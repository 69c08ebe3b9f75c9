//! kill -9 of the service.

use crate::{
    load::Load,
    scenario::{Course, Outcome},
    shop::{CLIENTS, Place, Shop, rounds},
};
use anyhow::{Result, ensure};
use rand::{RngExt, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use srv_config::LockStrategy;
use std::time::Duration;
use testkit::{
    MariaDb, Network,
    network::{Direction, Event, Fault, MYSQL_COMMIT, Trap},
};
use tokio::{
    task::block_in_place,
    time::{Instant, sleep},
};

/// How soon a service that is started again must serve. It takes a part of a second; the rest is for a build without
/// optimisation on a machine that does other things.
pub const SERVED_WITHIN: Duration = Duration::from_secs(10);
/// How many bytes pass to the database between two faults at most: some orders' statements.
const BYTES_MAX: u64 = 6000;
/// How long a moment is waited for that must come, because clients are at work.
const MOMENT_WITHIN: Duration = Duration::from_secs(10);

/// The service is killed at any moment, under every strategy and on both databases.
pub async fn killed(course: &Course) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    let mut random = course.random();
    for (place, kills) in rounds(&Place::ALL, course.count) {
        course.say(format!("{place:?}, {} of {} kills", outcome.faults, course.count));
        let shop = Shop::at(place).await?;
        let kill = async |shop: &Shop, _: &mut StdRng| {
            let before = shop.recorder.counts().unknown;
            shop.replicas[0].kill();
            shop.replicas[0].restart()?;
            Ok(shop.recorder.counts().unknown > before)
        };
        shop.suffer(kills, SERVED_WITHIN, &mut outcome, &mut random, kill).await?;
    }
    outcome.came_about("an order is left open", outcome.told.unknown);
    Ok(outcome)
}

/// The service is killed when a byte of a chosen place in its talk with the database is about to pass: in the middle of
/// a statement, between two, before COMMIT, before the answer to COMMIT. What was on its way arrives after its death.
pub async fn killed_at_a_statement(course: &Course) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    let mut random = course.random();
    for (strategy, kills) in rounds(&LockStrategy::ALL, course.count) {
        course.say(format!("{strategy:?}, {} of {} kills", outcome.faults, course.count));
        let server = block_in_place(MariaDb::shared);
        let network = Network::before(server.port());
        let url = block_in_place(|| server.fresh_database());
        let shop = Shop::on(&network.reroute(&url), &url, strategy, 1).await?;
        let kill = async |shop: &Shop, random: &mut StdRng| {
            let before = shop.recorder.counts().unknown;
            // Nothing more passes, so that the process dies where it is.
            let trap = network.when(a_moment(random), Fault::BlackHole);
            until_sprung(&trap).await?;
            shop.replicas[0].kill();
            network.heal();
            shop.replicas[0].restart()?;
            Ok(shop.recorder.counts().unknown > before)
        };
        shop.suffer(kills, SERVED_WITHIN, &mut outcome, &mut random, kill).await?;
    }
    Ok(outcome)
}

/// Two replicas get the same orders at the same time, by clients of which one is killed again and again.
pub async fn replicas(course: &Course) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    let mut random = course.random();
    for (strategy, kills) in rounds(&LockStrategy::ALL, course.count) {
        course.say(format!("{strategy:?}, {} of {} kills", outcome.faults, course.count));
        let url = block_in_place(|| MariaDb::shared().fresh_database());
        let shop = Shop::on(&url, &url, strategy, 2).await?;
        // The same seed and the same numbers: every order comes twice, at about the same time, to either replica.
        let (mut one, mut other) = twins(&mut random);
        let loads = vec![
            Load::begin(&shop.caller()?, "o", CLIENTS / 2, &mut one),
            Load::begin(&shop.caller()?, "o", CLIENTS / 2, &mut other),
        ];
        let mut victims = (0..2).cycle();
        let kill = async |shop: &Shop, _: &mut StdRng| {
            let victim = &shop.replicas[victims.next().unwrap_or(0)];
            let before = shop.recorder.counts().unknown;
            victim.kill();
            victim.restart()?;
            Ok(shop.recorder.counts().unknown > before)
        };
        shop.endure(loads, kills, SERVED_WITHIN, &mut outcome, &mut random, kill).await?;
    }
    Ok(outcome)
}

fn twins(random: &mut StdRng) -> (StdRng, StdRng) {
    let seed = random.random();
    (StdRng::seed_from_u64(seed), StdRng::seed_from_u64(seed))
}

fn a_moment(random: &mut StdRng) -> Event {
    let bytes =
        |direction, random: &mut StdRng| Event::Bytes(direction, random.random_range(0..BYTES_MAX));
    let moments = [
        bytes(Direction::ToServer, random),
        bytes(Direction::ToClient, random),
        Event::Words(Direction::ToServer, MYSQL_COMMIT.into()),
        Event::AnswerTo(MYSQL_COMMIT.into()),
    ];
    moments.choose(random).cloned().unwrap_or(Event::AnswerTo(MYSQL_COMMIT.into()))
}

/// How often a trap is looked at: what follows is to come as soon after it as can be.
const LOOK: Duration = Duration::from_millis(1);

/// Waits until what a trap was set for has come about.
pub async fn until_sprung(trap: &Trap) -> Result<()> {
    let until = Instant::now() + MOMENT_WITHIN;
    while !trap.has_sprung() {
        ensure!(Instant::now() < until, "the moment for the fault never came");
        sleep(LOOK).await;
    }
    Ok(())
}
