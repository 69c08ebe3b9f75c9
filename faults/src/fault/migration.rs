//! The schema is made by five processes at once, some of which are killed on the way: whoever is left makes it whole,
//! and as it always is.

use crate::{
    replica::program,
    scenario::{Course, Outcome},
};
use anyhow::{Context, Result};
use rand::{RngExt, rngs::StdRng};
use sqlx::{Connection, SqliteConnection};
use std::{
    os::unix::process::ExitStatusExt,
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};
use testkit::MariaDb;
use tokio::{task::block_in_place, time::sleep};

/// How many replicas begin at once, and how many of them are killed at most.
const PROCESSES: usize = 5;
const KILLS: std::ops::RangeInclusive<usize> = 1..=4;
/// The least that passes before a kill; the most is what a migration takes that nobody disturbs.
const PAUSE_MIN: Duration = Duration::from_millis(2);
/// How often it is tried for each run in which a kill hits.
const TRIES: u64 = 4;
/// Every so many runs one is on SQLite, whose migrations are transactions; a server's are not.
const SQLITE_EVERY: u64 = 5;

/// What MariaDB says of a database's schema, as lines of text.
const SCHEMA: [&str; 4] = [
    "SELECT table_name, column_name, ordinal_position, column_type, is_nullable, column_default, extra \
     FROM information_schema.columns WHERE table_schema = DATABASE() ORDER BY 1, 3",
    "SELECT table_name, index_name, seq_in_index, column_name, non_unique \
     FROM information_schema.statistics WHERE table_schema = DATABASE() ORDER BY 1, 2, 3",
    "SELECT table_name, constraint_name, check_clause \
     FROM information_schema.check_constraints WHERE constraint_schema = DATABASE() ORDER BY 1, 2",
    "SELECT version, success FROM _sqlx_migrations ORDER BY 1",
];

/// Migrations are killed.
pub async fn killed(course: &Course) -> Result<Outcome> {
    let (mut outcome, mut random) = (Outcome::default(), course.random());
    let wanted = [Database::mariadb(), Database::sqlite()?];
    let mut takes = Vec::new();
    for database in &wanted {
        let began = Instant::now();
        block_in_place(|| anyhow::Ok(database.migrate()?.wait_with_output()?))?;
        takes.push(began.elapsed().max(2 * PAUSE_MIN));
    }
    let tables = wanted[0].tables()?;
    let mut half_made = 0;
    for run in 0..course.count * TRIES {
        if outcome.faults >= course.count {
            break;
        }
        course.say(format!("{} of {} runs", outcome.faults, course.count));
        let on_sqlite = run % SQLITE_EVERY == SQLITE_EVERY - 1;
        let database = if on_sqlite { Database::sqlite()? } else { Database::mariadb() };
        let takes = takes[usize::from(on_sqlite)];
        let (left, outputs) = race(&database, takes, &mut random).await?;
        let killed = left.len();
        outcome.faults += u64::from(killed > 0);
        half_made += left.iter().filter(|left| (1..tables).contains(left)).count() as u64;
        for output in outputs.iter().filter(|output| !output.status.success()) {
            let said = String::from_utf8_lossy(&output.stderr);
            outcome.broken(format!(
                "beside {killed} that were killed, one did not make the schema: {said}"
            ));
        }
        let (is, should) =
            (database.schema().await?, wanted[usize::from(on_sqlite)].schema().await?);
        if is != should {
            outcome.broken(format!("after {killed} kills the schema is\n{is}\nand not\n{should}"));
        }
    }
    outcome.came_about("a schema was half made when its maker was killed", half_made);
    Ok(outcome)
}

/// Lets five begin, each of which takes about so long, and kills some of them. How many tables there were when each of
/// those died, and how the others ended.
async fn race(
    database: &Database,
    takes: Duration,
    random: &mut StdRng,
) -> Result<(Vec<usize>, Vec<Output>)> {
    let mut running: Vec<Child> =
        (0..PROCESSES).map(|_| database.migrate()).collect::<Result<_>>()?;
    let mut left = Vec::new();
    for _ in 0..random.random_range(KILLS) {
        sleep(random.random_range(PAUSE_MIN..takes)).await;
        let mut victim = running.swap_remove(random.random_range(0..running.len()));
        // One that has ended by itself is not killed any more.
        let _ = victim.kill();
        if block_in_place(|| victim.wait())?.signal().is_some() {
            left.push(block_in_place(|| database.tables())?);
        }
    }
    let outputs = block_in_place(|| running.into_iter().map(Child::wait_with_output).collect());
    let outputs: std::io::Result<Vec<Output>> = outputs;
    Ok((left, outputs?))
}

/// An empty database.
enum Database {
    MariaDb(String),
    Sqlite(tempfile::TempDir),
}

impl Database {
    fn mariadb() -> Self {
        Self::MariaDb(block_in_place(|| MariaDb::shared().fresh_database()))
    }

    fn sqlite() -> Result<Self> {
        Ok(Self::Sqlite(tempfile::tempdir()?))
    }

    fn url(&self) -> String {
        match self {
            Self::MariaDb(url) => url.clone(),
            Self::Sqlite(folder) => {
                format!("sqlite://{}", folder.path().join("inventory.db").display())
            }
        }
    }

    fn migrate(&self) -> Result<Child> {
        let mut migrate = Command::new(program()?);
        migrate.args(["migrate", "--database-url", &self.url()]).env_clear();
        migrate.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        migrate.spawn().context("the migration cannot be started")
    }

    /// How many tables there are; of SQLite, whose schema comes whole, none are counted.
    fn tables(&self) -> Result<usize> {
        match self {
            Self::Sqlite(_) => Ok(0),
            Self::MariaDb(_) => {
                let count = "SELECT COUNT(*) FROM information_schema.tables \
                    WHERE table_schema = DATABASE()";
                Ok(self.ask(count)?.trim().parse()?)
            }
        }
    }

    async fn schema(&self) -> Result<String> {
        match self {
            Self::MariaDb(_) => {
                let told: Vec<String> = block_in_place(|| {
                    SCHEMA.iter().map(|statement| self.ask(statement)).collect::<Result<_>>()
                })?;
                Ok(told.concat())
            }
            Self::Sqlite(_) => {
                let mut connection = SqliteConnection::connect(&self.url()).await?;
                let told: Vec<(Option<String>,)> =
                    sqlx::query_as("SELECT sql FROM sqlite_schema ORDER BY name")
                        .fetch_all(&mut connection)
                        .await?;
                connection.close().await?;
                Ok(told.into_iter().filter_map(|row| row.0).collect::<Vec<_>>().join("\n"))
            }
        }
    }

    fn ask(&self, statement: &str) -> Result<String> {
        let url = self.url();
        let name = url.rsplit('/').next().unwrap_or_default();
        MariaDb::shared().try_sql(&format!("USE {name}; {statement}"))
    }
}
