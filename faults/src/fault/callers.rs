//! Callers that go away: at any moment of a call, by their deadline or by hanging up.

use crate::{
    caller::Caller,
    history::{Act, Told},
    load::{Left, settle},
    scenario::{Course, Outcome},
    script::lines,
    shop::{Shop, rounds},
};
use anyhow::{Context, Result};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use srv_config::LockStrategy;
use std::time::Duration;
use testkit::{MariaDb, Network, network::Direction};
use tokio::{
    task::{JoinSet, block_in_place},
    time::{Instant, sleep, timeout},
};

/// How long a packet takes between the service and its database, so that every statement takes a while and a caller can
/// go away in the middle of each.
const DELAY: Duration = Duration::from_micros(500);
/// How many callers there are at a time.
const CALLERS: u64 = 32;
/// How long a caller waits at most, in microseconds: from nothing to longer than a call takes.
const PATIENCE_MAX: u64 = 40_000;
/// For how long one whose deadline has passed listens to what the service says of it.
const LISTENS_ON: Duration = Duration::from_secs(2);
/// For how long writes go on whose callers are gone: each until its own deadline or a little longer, and there are many
/// of them behind few connections.
const QUIET_WITHIN: Duration = Duration::from_secs(30);

/// Callers go away.
pub async fn gone(course: &Course) -> Result<Outcome> {
    let (mut outcome, mut random) = (Outcome::default(), course.random());
    for (strategy, share) in shares(course.count) {
        course.say(format!("{strategy:?}, {} of {} callers", outcome.faults, course.count));
        let server = block_in_place(MariaDb::shared);
        let network = Network::before(server.port());
        for direction in [Direction::ToServer, Direction::ToClient] {
            network.delay(direction, DELAY);
        }
        let url = block_in_place(|| server.fresh_database());
        let shop = Shop::on(&network.reroute(&url), &url, strategy, 1).await?;
        let mut callers = JoinSet::new();
        for number in 0..CALLERS {
            let random = StdRng::seed_from_u64(random.random());
            let calls = share.div_ceil(CALLERS);
            callers.spawn(go_away(shop.caller()?, number, calls, random));
        }
        let left = callers.join_all().await.concat();
        outcome.faults += left.len() as u64;
        until_quiet(server).await?;
        network.heal();
        settle(&shop.caller()?, left, &mut random).await?;
        note_what_became(&shop, &mut outcome);
        shop.check(&mut outcome).await?;
        until_quiet(server).await?;
    }
    Ok(outcome)
}

/// As [`rounds`], in parts that one shop bears.
fn shares(count: u64) -> Vec<(LockStrategy, u64)> {
    const CALLS: u64 = 100;
    let parts = rounds(&LockStrategy::ALL, count.div_ceil(CALLS));
    parts.into_iter().map(|(strategy, parts)| (strategy, parts * CALLS)).collect()
}

/// Sends so many orders that go unanswered; gives them.
async fn go_away(caller: Caller, number: u64, calls: u64, mut random: StdRng) -> Vec<Left> {
    let mut left = Vec::new();
    for call in 0.. {
        if left.len() as u64 >= calls {
            break;
        }
        let (order, act) = (format!("o-{number}-{call}"), Act::Sell(lines(&mut random)));
        let patience = Duration::from_micros(random.random_range(0..PATIENCE_MAX));
        let answered = if random.random() {
            // Hangs up.
            timeout(patience, caller.clone().try_once(&order, &act)).await.unwrap_or_default()
        } else {
            // Has told how long it waits.
            let caller = caller.clone().with_deadline(patience).listening_on(LISTENS_ON);
            caller.clone().try_once(&order, &act).await
        };
        if answered.is_none() {
            left.push(Left::of(order, act));
        }
    }
    left
}

/// How often it is looked. MariaDB shows a copy of its list of transactions, and makes a new one only when nobody has
/// looked for a tenth of a second.
const LOOK: Duration = Duration::from_millis(250);

/// Waits until no transaction is open on the server: a write whose caller is gone ends all the same, and a connection
/// that goes back to the pool takes none along.
async fn until_quiet(server: &MariaDb) -> Result<()> {
    let until = Instant::now() + QUIET_WITHIN;
    let open =
        || block_in_place(|| server.try_sql("SELECT COUNT(*) FROM information_schema.INNODB_TRX"));
    while open()?.trim() != "0" {
        let transactions =
            || block_in_place(|| server.try_sql("SELECT * FROM information_schema.INNODB_TRX"));
        if Instant::now() > until {
            anyhow::bail!("a transaction stays open: {}", transactions().context("which?")?);
        }
        sleep(LOOK).await;
    }
    Ok(())
}

/// Of the orders whose callers went away some are done, others are not; the run must have seen both.
fn note_what_became(shop: &Shop, outcome: &mut Outcome) {
    let history = shop.recorder.history();
    let (mut done, mut undone) = (0, 0);
    for calls in history.by_order().values() {
        match calls.last().map(|call| &call.told) {
            _ if calls.len() < 2 => {}
            Some(Told::Acknowledged { replayed: true, .. }) => done += 1,
            _ => undone += 1,
        }
    }
    outcome.came_about("an order whose caller went away is done", done);
    outcome.came_about("an order whose caller went away is not done", undone);
}
