//! A shop on trial: a fresh database, replicas of the service on it, clients, and the checker at the end.

use crate::{
    books::Books,
    caller::Caller,
    checker::{Clock, violations},
    history::{Recorder, Told},
    load::{Left, Load, settle, until_served},
    replica::{Replica, Start, program},
    scenario::Outcome,
    script::GOODS,
};
use anyhow::{Context, Result, ensure};
use proto::inventory::v1::SetStockRequest;
use rand::{RngExt, rngs::StdRng};
use srv_config::LockStrategy;
use std::{process::Command, time::Duration};
use tempfile::TempDir;
use testkit::{MariaDb, Redis};
use tokio::{task::block_in_place, time::sleep};

/// How many clients are at work: as many as replicas have connections to the database, so that all of them are used.
pub const CLIENTS: u64 = 16;
/// How long clients work undisturbed between two faults.
const CALM: std::ops::Range<u64> = 20..250;
/// How often a fault is tried for each that must hit.
const TRIES: u64 = 3;
/// How long a lease holds, so that one whose holder was killed does not hold others up for long.
const LEASE: &str = "redisLock:\n  ttlMilliseconds: 1000\n";

/// Where a shop keeps its books.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// On the shared MariaDB, under this strategy.
    MariaDb(LockStrategy),
    /// In a SQLite file.
    Sqlite,
}

impl Place {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::MariaDb(LockStrategy::GroupCommit),
        Self::MariaDb(LockStrategy::RowLock),
        Self::MariaDb(LockStrategy::Optimistic),
        Self::MariaDb(LockStrategy::Conditional),
        Self::MariaDb(LockStrategy::RedisLock),
        Self::Sqlite,
    ];
}

/// Spreads so many faults over all of these in rounds: one after the other, so that each has its share, and not too
/// many in one, so that the checker has not too much at once.
pub fn rounds<T: Copy>(all: &[T], count: u64) -> Vec<(T, u64)> {
    const FAULTS_MAX: u64 = 25;
    let share = count.div_ceil(all.len() as u64).clamp(1, FAULTS_MAX);
    let mut left = count;
    let mut rounds = Vec::new();
    for one in all.iter().cycle() {
        if left == 0 {
            break;
        }
        rounds.push((*one, share.min(left)));
        left -= share.min(left);
    }
    rounds
}

/// A shop on trial.
pub struct Shop {
    /// What clients did.
    pub recorder: Recorder,
    /// The processes that serve.
    pub replicas: Vec<Replica>,
    /// How the clock goes that its database reads.
    pub clock: Clock,
    books_url: String,
    _folders: Vec<TempDir>,
}

impl Shop {
    /// A shop at this place, with one replica.
    pub async fn at(place: Place) -> Result<Self> {
        match place {
            Place::MariaDb(strategy) => {
                let url = block_in_place(|| MariaDb::shared().fresh_database());
                Self::on(&url, &url, strategy, 1).await
            }
            Place::Sqlite => {
                let folder = tempfile::tempdir()?;
                let url = format!("sqlite://{}", folder.path().join("inventory.db").display());
                let shop = Self::on(&url, &url, LockStrategy::GroupCommit, 1).await?;
                Ok(shop.keeping(folder))
            }
        }
    }

    /// A shop with so many replicas, which see their database at `database_url`; the checker sees it at `books_url`.
    pub async fn on(
        database_url: &str,
        books_url: &str,
        strategy: LockStrategy,
        replicas: usize,
    ) -> Result<Self> {
        let redis = (strategy == LockStrategy::RedisLock).then(|| Redis::shared().url());
        let start = Start {
            database_url,
            redis_url: redis.as_deref(),
            strategy,
            configuration: LEASE,
            options: &[],
            environment: &[],
        };
        Self::open(&start, books_url, replicas).await
    }

    /// A shop with so many replicas that are started so.
    pub async fn open(start: &Start<'_>, books_url: &str, replicas: usize) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("shopkeeper-shop.").tempdir()?;
        migrate(start)?;
        let replicas: Vec<Replica> = (0..replicas)
            .map(|number| Replica::start(start, &folder.path().join(format!("config-{number}"))))
            .collect::<Result<_>>()?;
        let mut client = replicas.first().context("a shop without replicas")?.client()?;
        for (goods_id, on_hand) in GOODS {
            let request = SetStockRequest { goods_id, on_hand, ..Default::default() };
            client.set_stock(request).await.context("the stock cannot be set")?;
        }
        let books_url = books_url.to_owned();
        Ok(Self {
            recorder: Recorder::new(),
            replicas,
            clock: Clock::Steady,
            books_url,
            _folders: vec![folder],
        })
    }

    /// The same, with a folder that goes with it.
    pub fn keeping(mut self, folder: TempDir) -> Self {
        self._folders.push(folder);
        self
    }

    /// Where the checker reads the books.
    pub fn books_url(&self) -> &str {
        &self.books_url
    }

    /// A client of all replicas.
    pub fn caller(&self) -> Result<Caller> {
        let doors = self.replicas.iter().map(Replica::door).collect();
        Caller::new(doors, self.recorder.clone())
    }

    /// Clients begin to work.
    pub fn begin(&self, random: &mut StdRng) -> Result<Load> {
        let name = format!("o-{}", self.recorder.now().as_millis());
        Ok(Load::begin(&self.caller()?, &name, CLIENTS, random))
    }

    /// Breaks something so many times while clients work. `fault` breaks and heals it, and says whether it hit; after
    /// each, something must be served again `within` this time. Then the shop is closed.
    pub async fn suffer(
        self,
        times: u64,
        within: Duration,
        outcome: &mut Outcome,
        random: &mut StdRng,
        fault: impl AsyncFnMut(&Self, &mut StdRng) -> Result<bool>,
    ) -> Result<()> {
        let load = self.begin(random)?;
        self.endure(vec![load], times, within, outcome, random, fault).await
    }

    /// The same, with clients that are at work already.
    pub async fn endure(
        self,
        loads: Vec<Load>,
        times: u64,
        within: Duration,
        outcome: &mut Outcome,
        random: &mut StdRng,
        mut fault: impl AsyncFnMut(&Self, &mut StdRng) -> Result<bool>,
    ) -> Result<()> {
        until_served(&self.recorder, within).await?;
        let mut hits = 0;
        for _ in 0..times * TRIES {
            if hits == times {
                break;
            }
            sleep(Duration::from_millis(random.random_range(CALM))).await;
            let hit = u64::from(fault(&self, random).await?);
            hits += hit;
            outcome.faults += hit;
            let served = until_served(&self.recorder, within).await;
            outcome.served_after(served.with_context(|| self.last_words())?);
        }
        let left = ended(loads).await;
        self.close(left, outcome, random).await
    }

    /// Has everything that is open answered, and the books checked.
    pub async fn close(
        self,
        left: Vec<Left>,
        outcome: &mut Outcome,
        random: &mut StdRng,
    ) -> Result<()> {
        settle(&self.caller()?, left, random).await?;
        self.check(outcome).await
    }

    /// Has the books checked.
    pub async fn check(self, outcome: &mut Outcome) -> Result<()> {
        let Self { recorder, replicas, clock, books_url, _folders } = self;
        let last_words = last_words(&replicas);
        // What they still write belongs to the books.
        drop(replicas);
        let books = Books::read(&books_url).await?;
        let (counts, history) = (recorder.counts(), recorder.history());
        let is_short = |told: &Told| *told == Told::Refused("INSUFFICIENT_STOCK".to_owned());
        let short = history.calls.iter().filter(|call| is_short(&call.told)).count();
        outcome.came_about("an order is acknowledged", counts.acknowledged);
        outcome.came_about("an order is sent again and known", counts.replayed);
        outcome.came_about("an order falls short", short as u64);
        outcome.told += counts;
        let found = violations(&history, &books, clock);
        outcome.violations.extend(found.iter().map(ToString::to_string));
        if !found.is_empty() {
            outcome.broken(last_words);
        }
        Ok(())
    }

    fn last_words(&self) -> String {
        last_words(&self.replicas)
    }
}

fn last_words(replicas: &[Replica]) -> String {
    let words = replicas.iter().map(|replica| format!("\n      {}", replica.last_words()));
    format!("the replicas complained at last:{}", words.collect::<String>())
}

/// Lets all clients finish the call they are at, and gives what they left open.
pub async fn ended(loads: Vec<Load>) -> Vec<Left> {
    futures::future::join_all(loads.into_iter().map(Load::end)).await.concat()
}

/// Brings the schema up to date, as an init container does.
fn migrate(start: &Start<'_>) -> Result<()> {
    let mut migrate = Command::new(program()?);
    migrate.args(["migrate", "--database-url", start.database_url]).env_clear();
    migrate.envs(start.environment.iter().map(|(name, value)| (name, value)));
    let output = block_in_place(|| migrate.output())?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "the schema cannot be made: {said}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_spread_over_all_places_and_none_is_lost() {
        for count in [1, 5, 15, 100, 1000] {
            let rounds = rounds(&Place::ALL, count);
            assert_eq!(rounds.iter().map(|round| round.1).sum::<u64>(), count);
            assert!(rounds.iter().all(|round| (1..=25).contains(&round.1)));
            let first: Vec<_> = rounds.iter().take(6).map(|round| round.0).collect();
            assert_eq!(first, Place::ALL[..first.len()]);
        }
    }
}
