//! MariaDB killed and hung, and COMMITs without an answer.

use super::service::until_sprung;
use crate::{
    caller::{told_by, wire},
    history::Act,
    load::{until_served, until_varied},
    scenario::{Course, Form, Outcome},
    script::one_of,
    shop::{Place, Shop, rounds},
};
use anyhow::Result;
use futures::future::join_all;
use proto::inventory::v1::SellRequest;
use rand::{RngExt, rngs::StdRng, seq::IndexedRandom};
use srv_config::LockStrategy;
use std::time::Duration;
use testkit::{
    MariaDb, Network,
    network::{Direction, Event, Fault, MYSQL_COMMIT},
};
use tokio::{
    task::block_in_place,
    time::{Instant, sleep, timeout},
};
use tonic::Request;

/// How soon something is served again once the database accepts connections, or goes on.
const SERVED_WITHIN: Duration = Duration::from_secs(5);
/// For how long the database stays away, at most, in milliseconds.
const AWAY_MAX: u64 = 300;
/// For how long it hangs: past the deadline of every call.
const HANG_SHORT: Duration = Duration::from_secs(7);
const HANG_LONG: Duration = Duration::from_secs(30);
/// By how much the memory of a replica may grow while everything waits.
const GROWTH_MAX: u64 = 50 << 20;
/// How long after its deadline a call may be answered.
const LATE_MAX: Duration = Duration::from_millis(100);
/// For how long after its deadline an answer is listened to.
const PATIENCE: Duration = Duration::from_secs(5);

/// MariaDB is killed and started again.
pub async fn killed(course: &Course) -> Result<Outcome> {
    let (mut outcome, mut random) = (Outcome::default(), course.random());
    let server = block_in_place(MariaDb::shared);
    for (strategy, kills) in rounds(&LockStrategy::ALL, course.count) {
        course.say(format!("{strategy:?}, {} of {} kills", outcome.faults, course.count));
        let shop = Shop::at(Place::MariaDb(strategy)).await?;
        let kill = async |shop: &Shop, random: &mut StdRng| {
            let in_flight = shop.recorder.in_flight();
            block_in_place(|| server.kill());
            sleep(Duration::from_millis(random.random_range(0..AWAY_MAX))).await;
            block_in_place(|| server.restart());
            Ok(in_flight > 0)
        };
        shop.suffer(kills, SERVED_WITHIN, &mut outcome, &mut random, kill).await?;
    }
    Ok(outcome)
}

/// A COMMIT gets no answer: its reply is lost after it was done, or it is lost itself and never done; with the
/// connection alone, or with the whole database for a while.
pub async fn commit_lost(course: &Course) -> Result<Outcome> {
    let (mut outcome, mut random) = (Outcome::default(), course.random());
    let server = block_in_place(MariaDb::shared);
    let mut losses = [
        Event::AnswerTo(MYSQL_COMMIT.into()),
        Event::Words(Direction::ToServer, MYSQL_COMMIT.into()),
    ]
    .into_iter()
    .cycle();
    for (strategy, times) in rounds(&LockStrategy::ALL, course.count) {
        course.say(format!("{strategy:?}, {} of {} COMMITs", outcome.faults, course.count));
        let network = Network::before(server.port());
        let url = block_in_place(|| server.fresh_database());
        let shop = Shop::on(&network.reroute(&url), &url, strategy, 1).await?;
        let lose = async |_: &Shop, random: &mut StdRng| {
            let faults = [Fault::Cut, Fault::Reset, Fault::Dark];
            let fault = faults.choose(random).copied().unwrap_or(Fault::Cut);
            if let Some(loss) = losses.next() {
                until_sprung(&network.when(loss, fault)).await?;
            }
            sleep(Duration::from_millis(random.random_range(0..AWAY_MAX))).await;
            network.heal();
            Ok(true)
        };
        shop.suffer(times, SERVED_WITHIN, &mut outcome, &mut random, lose).await?;
    }
    outcome.came_about("an order is left open", outcome.told.unknown);
    Ok(outcome)
}

/// MariaDB hangs, past the deadline of every call: it is not dead, and nothing answers.
pub async fn hung(course: &Course) -> Result<Outcome> {
    let (mut outcome, mut random) = (Outcome::default(), course.random());
    let server = block_in_place(MariaDb::shared);
    let hang = if course.form == Form::Short { HANG_SHORT } else { HANG_LONG };
    for (strategy, hangs) in rounds(&LockStrategy::ALL, course.count) {
        for _ in 0..hangs {
            course.say(format!("{strategy:?}, hung for {hang:?}"));
            let shop = Shop::at(Place::MariaDb(strategy)).await?;
            let load = shop.begin(&mut random)?;
            until_served(&shop.recorder, SERVED_WITHIN).await?;
            let (memory, before) = (shop.replicas[0].memory()?, unserved(&shop));
            server.pause();
            let until = Instant::now() + hang;
            let late = probe(&shop).await;
            tokio::time::sleep_until(until).await;
            let grown = shop.replicas[0].memory();
            server.resume();
            let grown = grown?.saturating_sub(memory);
            outcome.served_after(until_served(&shop.recorder, SERVED_WITHIN).await?);
            outcome.faults += u64::from(unserved(&shop) > before);
            outcome.violations.extend(late?);
            outcome.notes.push(format!("grew by {} MB while it hung", grown >> 20));
            if grown > GROWTH_MAX {
                outcome.broken(format!("the replica grew by {} MB", grown >> 20));
            }
            until_varied(&shop.recorder, SERVED_WITHIN).await;
            shop.close(load.end().await, &mut outcome, &mut random).await?;
        }
    }
    Ok(outcome)
}

/// How many calls were not served, whatever they were told.
pub fn unserved(shop: &Shop) -> u64 {
    let counts = shop.recorder.counts();
    counts.unknown + counts.undone
}

/// Calls with deadlines of all lengths while the database hangs; names those that were answered too late or not at all.
async fn probe(shop: &Shop) -> Result<Vec<String>> {
    let client = shop.replicas[0].patient_client().await?;
    let calls = (1..=20).map(|number: u32| {
        let (mut client, recorder) = (client.clone(), shop.recorder.clone());
        let deadline = Duration::from_millis(250) * number;
        async move {
            let (order_sn, lines) = (format!("probe-{number}"), one_of(2));
            let begun = recorder.begin(&order_sn, &Act::Sell(lines.clone()));
            let lines = wire(&lines, &order_sn);
            let mut request = Request::new(SellRequest { order_sn, lines, ttl: None });
            request.set_timeout(deadline);
            let began = Instant::now();
            let answer = timeout(deadline + PATIENCE, client.sell(request)).await;
            let took = began.elapsed();
            let told = match answer {
                Ok(Ok(_)) => Some("that it is sold".to_owned()),
                Ok(Err(status)) => {
                    begun.end(told_by(&status));
                    None
                }
                Err(_) => Some("nothing".to_owned()),
            };
            let is_late = took.saturating_sub(deadline) > LATE_MAX;
            (is_late || told.is_some()).then(|| {
                let told = told.unwrap_or_else(|| "that it is too late".to_owned());
                format!("a call with a deadline of {deadline:?} was told {told} after {took:?}")
            })
        }
    });
    Ok(join_all(calls).await.into_iter().flatten().collect())
}
