//! The disk under the database: its power is cut, or it is full.

use super::database::unserved;
use crate::{
    replica::Start,
    scenario::{Course, Form, Outcome},
    shop::Shop,
};
use anyhow::{Context, Result, ensure};
use rand::{RngExt, rngs::StdRng};
use sqlx::{
    Connection, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};
use srv_config::LockStrategy;
use std::{path::Path, time::Duration};
use testkit::{Disk, MariaDb, MariaDbOptions};
use tokio::{
    task::block_in_place,
    time::{Instant, sleep},
};

/// How soon something is served again once the database is there.
const SERVED_WITHIN: Duration = Duration::from_secs(10);
/// The same where the server waits for room by itself: MariaDB looks once a minute whether there is some for its binary
/// log.
const ROOM_FOUND_WITHIN: Duration = Duration::from_secs(90);
/// For how long a disk that is full is written to until somebody is told.
const FULL_WITHIN: Duration = Duration::from_secs(20);
/// How often it is looked whether somebody was.
const LOOK: Duration = Duration::from_millis(10);
/// How long the disk stays full after that, in milliseconds.
const STAYS_FULL: std::ops::Range<u64> = 100..500;
/// How large the disks are: room for the files that MariaDB begins with, and for what a run writes.
const MARIADB_MEGABYTES: u32 = 640;
const SQLITE_MEGABYTES: u32 = 64;
/// How many power cuts one server bears before there is a fresh one.
const CUTS_MAX: u64 = 10;
/// How many commits the control makes that is to lose some.
const CONTROL_COMMITS: i64 = 100;

/// The power of MariaDB's disk is cut, and of everything else on that machine. And once the power of a server that
/// flushes its log once a second: that one must lose orders, or the cut is none.
pub async fn power_cut_mariadb(course: &Course) -> Result<Outcome> {
    let (mut outcome, mut random) = (Outcome::default(), course.random());
    while outcome.faults < course.count {
        course.say(format!("{} of {} cuts", outcome.faults, course.count));
        let wanted = (course.count - outcome.faults).min(CUTS_MAX);
        cut_mariadb(MariaDb::options(), &[], wanted, &mut outcome, &mut random).await?;
    }
    course.say("the control");
    let forgetful = MariaDb::options().setting("innodb-flush-log-at-trx-commit", "2");
    let accepted = [("SHOPKEEPER_ALLOW_WEAK_DURABILITY", "true".to_owned())];
    let mut control = Outcome::default();
    // What it loses may also leave orders that nobody can answer any more. Before the cut nothing is lost.
    let ended = cut_mariadb(forgetful, &accepted, 1, &mut control, &mut random).await;
    if control.faults == 1 && (ended.is_err() || !control.violations.is_empty()) {
        outcome.notes.push("the control lost orders, as it must".to_owned());
    } else {
        outcome.broken(format!(
            "a server that flushes once a second lost nothing: the cuts show nothing ({ended:?})"
        ));
    }
    Ok(outcome)
}

async fn cut_mariadb(
    options: MariaDbOptions,
    environment: &[(&'static str, String)],
    cuts: u64,
    outcome: &mut Outcome,
    random: &mut StdRng,
) -> Result<()> {
    let disk = block_in_place(|| Disk::new(MARIADB_MEGABYTES))?;
    let server = block_in_place(|| options.data_below(&disk.path()).start())?;
    let url = block_in_place(|| server.fresh_database());
    let start = Start { environment, ..plain(&url) };
    let shop = Shop::open(&start, &url, 1).await?;
    // From here on what is acknowledged must stay; how a server is set up is no promise of ours.
    block_in_place(|| disk.sync())?;
    let cut = async |shop: &Shop, _: &mut StdRng| {
        let in_flight = shop.recorder.in_flight();
        // Everything on a machine without power stops at once.
        server.pause();
        shop.replicas[0].pause();
        block_in_place(|| disk.cut_power())?;
        shop.replicas[0].kill();
        block_in_place(|| {
            server.kill();
            disk.restore_power()?;
            server.restart();
            anyhow::Ok(())
        })?;
        shop.replicas[0].restart()?;
        Ok(in_flight > 0)
    };
    shop.suffer(cuts, SERVED_WITHIN, outcome, random, cut).await
}

/// The power of the disk with the SQLite file is cut. And once under a writer that does not sync each commit: that one
/// must lose some.
pub async fn power_cut_sqlite(course: &Course) -> Result<Outcome> {
    let (mut outcome, mut random) = (Outcome::default(), course.random());
    let disk = block_in_place(|| Disk::new(SQLITE_MEGABYTES))?;
    let file = disk.path().join("inventory.db");
    let url = format!("sqlite://{}", file.display());
    let shop = Shop::open(&plain(&url), &url, 1).await?;
    block_in_place(|| disk.sync())?;
    let cut = async |shop: &Shop, _: &mut StdRng| {
        course.say("cut");
        let in_flight = shop.recorder.in_flight();
        shop.replicas[0].pause();
        block_in_place(|| disk.cut_power())?;
        shop.replicas[0].kill();
        block_in_place(|| disk.restore_power())?;
        ensure!(is_sound(&url).await?, "the file is damaged");
        shop.replicas[0].restart()?;
        Ok(in_flight > 0)
    };
    shop.suffer(course.count, SERVED_WITHIN, &mut outcome, &mut random, cut).await?;
    course.say("the control");
    let kept = cut_a_forgetful_writer().await?;
    if kept == CONTROL_COMMITS {
        outcome.broken("a writer that does not sync lost nothing: the cuts show nothing");
    }
    outcome.notes.push(format!("the control kept {kept} of {CONTROL_COMMITS} commits"));
    Ok(outcome)
}

async fn is_sound(url: &str) -> Result<bool> {
    let mut connection = SqliteConnection::connect(url).await?;
    let said: String =
        sqlx::query_scalar("PRAGMA integrity_check").fetch_one(&mut connection).await?;
    connection.close().await?;
    Ok(said == "ok")
}

/// Commits with `synchronous=NORMAL`, cuts the power, and counts what is left.
async fn cut_a_forgetful_writer() -> Result<i64> {
    let disk = block_in_place(|| Disk::new(SQLITE_MEGABYTES))?;
    let file = disk.path().join("control.db");
    let mut writer = forgetful(&file).await?;
    sqlx::query("CREATE TABLE t (i INTEGER)").execute(&mut writer).await?;
    block_in_place(|| disk.sync())?;
    for number in 0..CONTROL_COMMITS {
        sqlx::query("INSERT INTO t VALUES (?)").bind(number).execute(&mut writer).await?;
    }
    block_in_place(|| disk.cut_power())?;
    // It fails: there is no disk any more.
    let _ = writer.close().await;
    block_in_place(|| disk.restore_power())?;
    let mut reader = forgetful(&file).await?;
    let kept = sqlx::query_scalar("SELECT COUNT(*) FROM t").fetch_one(&mut reader).await?;
    reader.close().await?;
    Ok(kept)
}

async fn forgetful(file: &Path) -> Result<SqliteConnection> {
    let options = SqliteConnectOptions::new()
        .filename(file)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Normal);
    Ok(SqliteConnection::connect_with(&options).await?)
}

/// The disk of the database is full: MariaDB's tables, MariaDB's binary log as well (which takes a minute, so in the
/// long form only), and SQLite's file.
pub async fn full(course: &Course) -> Result<Outcome> {
    let (mut outcome, mut random) = (Outcome::default(), course.random());
    let is_long = course.form == Form::Long;
    for round in 0.. {
        let wanted = course.count - outcome.faults.min(course.count);
        if wanted == 0 || round == course.count {
            break;
        }
        course.say(format!("{} of {} times full", outcome.faults, course.count));
        match round % 3 {
            0 => full_sqlite(&mut outcome, &mut random).await?,
            1 => full_mariadb(false, &mut outcome, &mut random).await?,
            _ => full_mariadb(is_long, &mut outcome, &mut random).await?,
        }
    }
    Ok(outcome)
}

async fn full_sqlite(outcome: &mut Outcome, random: &mut StdRng) -> Result<()> {
    let disk = block_in_place(|| Disk::new(SQLITE_MEGABYTES))?;
    let url = format!("sqlite://{}", disk.path().join("inventory.db").display());
    let shop = Shop::open(&plain(&url), &url, 1).await?;
    let fill = async |shop: &Shop, random: &mut StdRng| fill(shop, &disk, None, random).await;
    shop.suffer(1, SERVED_WITHIN, outcome, random, fill).await
}

async fn full_mariadb(with_log: bool, outcome: &mut Outcome, random: &mut StdRng) -> Result<()> {
    let disk = block_in_place(|| Disk::new(MARIADB_MEGABYTES))?;
    let elsewhere = tempfile::tempdir()?;
    let mut options = MariaDb::options().data_below(&disk.path());
    if !with_log {
        let log = elsewhere.path().join("binlog");
        options = options.setting("log-bin", &log.display().to_string());
    }
    let server = block_in_place(|| options.start())?;
    let url = block_in_place(|| server.fresh_database());
    let shop = Shop::open(&plain(&url), &url, 1).await?;
    let within = if with_log { ROOM_FOUND_WITHIN } else { SERVED_WITHIN };
    let server = Some(&server);
    let fill = async |shop: &Shop, random: &mut StdRng| fill(shop, &disk, server, random).await;
    shop.suffer(1, within, outcome, random, fill).await
}

/// Fills the disk, waits until orders are turned away, and gives the room back.
///
/// A full disk ends MariaDB at times: InnoDB aborts the server when a rollback itself finds no room ("Error (Out of
/// disk space) in rollback", seen on 5 of 28 disks that filled up under rows that change their length). So half of the
/// time it is ended here, and what has ended is started again when there is room, as whoever runs a database has it.
async fn fill(
    shop: &Shop,
    disk: &Disk,
    server: Option<&MariaDb>,
    random: &mut StdRng,
) -> Result<bool> {
    let before = unserved(shop);
    block_in_place(|| disk.fill())?;
    let until = Instant::now() + FULL_WITHIN;
    while unserved(shop) == before && Instant::now() < until {
        sleep(LOOK).await;
    }
    // The others run into it, too.
    sleep(Duration::from_millis(random.random_range(STAYS_FULL))).await;
    let hit = unserved(shop) > before;
    if let Some(server) = server
        && random.random()
    {
        block_in_place(|| server.kill());
    }
    block_in_place(|| disk.free()).context("the room cannot be given back")?;
    if let Some(server) = server
        && !server.is_running()
    {
        block_in_place(|| server.restart());
    }
    Ok(hit)
}

fn plain(url: &str) -> Start<'_> {
    Start {
        database_url: url,
        redis_url: None,
        strategy: LockStrategy::GroupCommit,
        configuration: "",
        options: &[],
        environment: &[],
    }
}
