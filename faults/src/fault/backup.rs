//! Copies of the books that are made while clients are at work, as people make them, and restored: each is whole, holds
//! everything that was acknowledged before it began, and serves.

use crate::{
    books::Books,
    caller::Caller,
    checker::{Clock, violations},
    history::{Call, History, Recorder, Told},
    load::until_served,
    replica::{Replica, Start},
    scenario::{Course, Outcome},
    shop::{Place, Shop},
};
use anyhow::Result;
use sqlx::{AssertSqlSafe, Connection, Executor, SqliteConnection};
use srv_config::LockStrategy;
use std::{path::Path, time::Duration};
use tempfile::TempDir;
use testkit::MariaDb;
use tokio::{task::block_in_place, time::sleep};

const SERVED_WITHIN: Duration = Duration::from_secs(10);
/// How long clients work before a copy is made.
const WORK: Duration = Duration::from_millis(700);
/// How many orders from before the copy are sent again to what was restored.
const SENT_AGAIN: usize = 20;

/// `mariadb-dump --single-transaction` on MariaDB, `VACUUM INTO` on SQLite; restored, checked and served.
pub async fn restored(course: &Course) -> Result<Outcome> {
    let (mut outcome, mut random) = (Outcome::default(), course.random());
    let places = [Place::MariaDb(LockStrategy::GroupCommit), Place::Sqlite];
    for (number, place) in (0..course.count).zip(places.into_iter().cycle()) {
        course.say(format!("{number} of {} copies", course.count));
        let shop = Shop::at(place).await?;
        let load = shop.begin(&mut random)?;
        until_served(&shop.recorder, SERVED_WITHIN).await?;
        sleep(WORK).await;
        let (began, before) = (shop.recorder.now(), shop.recorder.counts().acknowledged);
        let copy = Copy::of(shop.books_url()).await?;
        let ended = shop.recorder.now();
        let meanwhile = shop.recorder.counts().acknowledged - before;
        sleep(WORK).await;
        let left = load.end().await;
        let history = shop.recorder.history().as_copied(began, ended);
        check(&copy, &history, &mut outcome).await?;
        serve(&copy, &history, &mut outcome, &mut random).await?;
        shop.close(left, &mut outcome, &mut random).await?;
        outcome.faults += 1;
        outcome.came_about("a call is acknowledged while a copy is made", meanwhile);
        let took = (ended - began).as_millis();
        outcome.notes.push(format!("{place:?} copied in {took} ms"));
    }
    Ok(outcome)
}

/// A restored copy.
struct Copy {
    url: String,
    folder: TempDir,
}

impl Copy {
    /// Copies the books of this URL and restores the copy, beside them.
    async fn of(url: &str) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let url = match url.starts_with("mysql:") {
            true => block_in_place(|| of_mariadb(url, folder.path()))?,
            false => of_sqlite(url, folder.path()).await?,
        };
        Ok(Self { url, folder })
    }
}

fn of_mariadb(url: &str, folder: &Path) -> Result<String> {
    let (server, file) = (MariaDb::shared(), folder.join("dump.sql"));
    server.dump(url, &file)?;
    let restored = server.fresh_database();
    server.load(&restored, &file)?;
    Ok(restored)
}

async fn of_sqlite(url: &str, folder: &Path) -> Result<String> {
    let file = folder.join("copy.db").display().to_string();
    let mut connection = SqliteConnection::connect(url).await?;
    // The name of a folder of ours, which holds no quotes.
    connection.execute(AssertSqlSafe(format!("VACUUM INTO '{file}'"))).await?;
    connection.close().await?;
    Ok(format!("sqlite://{file}"))
}

async fn check(copy: &Copy, history: &History, outcome: &mut Outcome) -> Result<()> {
    let books = Books::read(&copy.url).await?;
    let found = violations(history, &books, Clock::Steady);
    outcome.violations.extend(found.iter().map(|violation| format!("in the copy: {violation}")));
    Ok(())
}

/// What was acknowledged before the copy is known to a replica on it.
async fn serve(
    copy: &Copy,
    history: &History,
    outcome: &mut Outcome,
    random: &mut rand::rngs::StdRng,
) -> Result<()> {
    let start = Start {
        database_url: &copy.url,
        redis_url: None,
        strategy: LockStrategy::GroupCommit,
        configuration: "",
        options: &[],
        environment: &[],
    };
    let replica = Replica::start(&start, &copy.folder.path().join("config"))?;
    let mut caller = Caller::new(vec![replica.door()], Recorder::new())?;
    let is_done = |call: &&Call| matches!(call.told, Told::Acknowledged { .. });
    for call in history.calls.iter().filter(is_done).take(SENT_AGAIN) {
        let told = caller.call(&call.order, &call.act, random).await;
        let is_known = match &told {
            Some(Told::Acknowledged { replayed, .. }) => *replayed,
            // By something that became of it later.
            Some(Told::Refused(_)) => true,
            _ => false,
        };
        if !is_known {
            outcome.broken(format!("the restored copy does not know {call:?}: {told:?}"));
        }
    }
    Ok(())
}
