//! The database behind a service: which one, connected, probed, and its credentials followed.
//!
//! Services get pools and nothing else from here; which statements run on them is their `store`'s business.

mod credentials;
mod durability;
mod mysql;
mod schema;
mod situation;
mod sqlite;
mod target;

pub use durability::Weakness;
pub use schema::{Schema, SchemaError};
pub use situation::Situation;
pub use sqlite::SqlitePools;

use crate::Metrics;
use futures::FutureExt;
use sqlx::{MySql, MySqlPool, Sqlite, Transaction};
use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};
use target::Target;
use tokio::{task::JoinSet, time::timeout};

/// How long a database may take for one statement. It may wait for the locks of others, and gives that up itself after
/// some seconds (`innodb_lock_wait_timeout`, `busy_timeout`); whoever has not answered by now is not there any more.
const ANSWER_MAX: Duration = Duration::from_secs(6);

/// Awaits the answer to a statement for as long as a database may take for it; past it, an error like that of a lost
/// connection. The connection is then to be dropped, and is not used again.
pub fn answered<T>(
    asked: impl Future<Output = Result<T, sqlx::Error>>,
) -> impl Future<Output = Result<T, sqlx::Error>> {
    answered_within(ANSWER_MAX, asked)
}

/// Not an `async fn`, which would keep room for `asked` twice.
fn answered_within<T>(
    time: Duration,
    asked: impl Future<Output = Result<T, sqlx::Error>>,
) -> impl Future<Output = Result<T, sqlx::Error>> {
    let silent = || io::Error::new(io::ErrorKind::TimedOut, "the database does not answer");
    timeout(time, asked).map(move |answer| answer.unwrap_or_else(|_| Err(silent().into())))
}

/// Which database. Neither option: a SQLite file in the current directory.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct DatabaseArguments {
    /// The database: <mysql://user:password@host:port/name> or <sqlite://path/to/file>.
    #[arg(
        long,
        value_name = "URL",
        env = "SHOPKEEPER_DATABASE_URL",
        conflicts_with = "database_url_file"
    )]
    pub database_url: Option<String>,
    /// A file that holds the database's URL. It is watched, and read every 10 s: new credentials are taken over without
    /// a restart. Old ones must be good until then.
    #[arg(long, value_name = "FILE", env = "SHOPKEEPER_DATABASE_URL_FILE")]
    pub database_url_file: Option<PathBuf>,
    /// Serve even from a MySQL or TiDB server that may forget an acknowledged order when its power fails.
    #[arg(long, env = "SHOPKEEPER_ALLOW_WEAK_DURABILITY")]
    pub allow_weak_durability: bool,
}

impl DatabaseArguments {
    /// Connects with at most `connections` connections and probes the server; `file` is the SQLite file when no
    /// database is named. Credentials are not followed: for `migrate` and tests. [`crate::Process::database`] follows
    /// them.
    pub async fn connect(&self, file: &str, connections: u32) -> Result<Database, DatabaseError> {
        Ok(self.open(file, connections).await?.database)
    }

    pub(crate) async fn open(&self, file: &str, connections: u32) -> Result<Opened, DatabaseError> {
        let source = UrlSource::of(self, file);
        match Target::parse(&source.read()?, &source)? {
            Target::Sqlite(options) => {
                let name = format!("SQLite {}", options.get_filename().display());
                let pools = sqlite::open(options, connections).await?;
                Ok(Opened { database: Database::Sqlite(pools), name, rotation: None })
            }
            Target::MySql(options) => {
                mysql::open(options, source, connections, self.allow_weak_durability).await
            }
        }
    }
}

/// Where the URL stands.
#[derive(Clone, Debug)]
pub(crate) enum UrlSource {
    Given(String),
    File(PathBuf),
}

impl UrlSource {
    fn of(arguments: &DatabaseArguments, file: &str) -> Self {
        match (&arguments.database_url_file, &arguments.database_url) {
            (Some(file), _) => Self::File(file.clone()),
            (None, Some(url)) => Self::Given(url.clone()),
            (None, None) => Self::Given(format!("sqlite://{file}")),
        }
    }

    fn read(&self) -> Result<String, DatabaseError> {
        match self {
            Self::Given(url) => Ok(url.clone()),
            Self::File(file) => std::fs::read_to_string(file)
                .map(|url| url.trim().to_owned())
                .map_err(|source| DatabaseError::NoUrl { file: file.clone(), source }),
        }
    }

    fn file(&self) -> Option<&Path> {
        match self {
            Self::Given(_) => None,
            Self::File(file) => Some(file),
        }
    }
}

/// A connected database, how to name it, and how to follow its credentials.
pub(crate) struct Opened {
    pub(crate) database: Database,
    /// For people: `MySQL 10.0.0.5:3306/inventory`. Never holds a password.
    pub(crate) name: String,
    rotation: Option<credentials::Rotation>,
}

impl Opened {
    /// Fills a MySQL pool and follows its URL file, until the returned tasks are dropped.
    pub(crate) fn attend(&mut self, metrics: &Metrics) -> JoinSet<()> {
        let mut tasks = JoinSet::new();
        if let Database::MySql(pool) = &self.database {
            tasks.spawn(mysql::fill(pool.clone()));
        }
        if let Some(rotation) = self.rotation.take() {
            tasks.spawn(rotation.follow(metrics.clone()));
        }
        tasks
    }
}

/// The two kinds of database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DatabaseKind {
    /// MySQL, MariaDB or TiDB.
    MySql,
    /// An embedded SQLite file.
    Sqlite,
}

/// A connected database. Clones share the pools.
#[derive(Clone, Debug)]
pub enum Database {
    /// MySQL 8, MariaDB >= 10.6 or TiDB: READ COMMITTED, UTC, strict mode; what is released is rolled back.
    MySql(MySqlPool),
    /// SQLite in WAL mode with `synchronous=FULL`.
    Sqlite(SqlitePools),
}

impl Database {
    /// Connects to `url` with at most `connections` connections, as a service would, but trusts a server that may
    /// forget: for tests. A SQLite file is created if it is missing.
    pub async fn connect(url: &str, connections: u32) -> Result<Self, DatabaseError> {
        let arguments = DatabaseArguments {
            database_url: Some(url.to_owned()),
            database_url_file: None,
            allow_weak_durability: true,
        };
        arguments.connect("", connections).await
    }

    /// Which kind it is.
    pub fn kind(&self) -> DatabaseKind {
        match self {
            Self::MySql(_) => DatabaseKind::MySql,
            Self::Sqlite(_) => DatabaseKind::Sqlite,
        }
    }

    /// Begins a write transaction. Inside [`crate::detached`] only: a `BEGIN` that is dropped in flight stays open. The
    /// wait for a connection is boxed, because it may have to make one, and that takes 18 KB which every caller would
    /// carry.
    pub async fn begin_write(&self) -> Result<WriteTransaction<'static>, sqlx::Error> {
        Ok(match self {
            Self::MySql(pool) => WriteTransaction::MySql(answered(Box::pin(pool.begin())).await?),
            Self::Sqlite(pools) => WriteTransaction::Sqlite(pools.begin_write().await?),
        })
    }

    /// Closes every connection, waiting for those in use.
    pub async fn close(&self) {
        match self {
            Self::MySql(pool) => pool.close().await,
            Self::Sqlite(pools) => {
                pools.read.close().await;
                pools.write.close().await;
            }
        }
    }
}

/// A write transaction on either database, on a connection of its own (`'static`) or a borrowed one. Dropped without
/// [`WriteTransaction::commit`] it is rolled back.
#[derive(Debug)]
pub enum WriteTransaction<'c> {
    /// On MySQL.
    MySql(Transaction<'c, MySql>),
    /// On SQLite, begun with `BEGIN IMMEDIATE`.
    Sqlite(Transaction<'c, Sqlite>),
}

impl WriteTransaction<'_> {
    /// Commits; durable when it returns. An error leaves open whether it was committed.
    pub async fn commit(self) -> Result<(), sqlx::Error> {
        match self {
            Self::MySql(transaction) => answered(transaction.commit()).await,
            Self::Sqlite(transaction) => transaction.commit().await,
        }
    }

    /// Rolls back.
    pub async fn rollback(self) -> Result<(), sqlx::Error> {
        match self {
            Self::MySql(transaction) => answered(transaction.rollback()).await,
            Self::Sqlite(transaction) => transaction.rollback().await,
        }
    }
}

/// Why there is no database.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// The file with the URL is not there.
    #[error(
        "cannot read the database URL from {}: in a pod, write it into the Secret and key that \
         spec.database.mysql.urlSecretRef names; otherwise name the file with --database-url-file",
        file.display()
    )]
    NoUrl {
        /// The file.
        file: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The URL is none that we know. Its text is not told, because it may hold a password.
    #[error(
        "{place} is not a database URL: {reason}; write mysql://user:password@host:3306/name or sqlite://file"
    )]
    NotAUrl {
        /// The option or file it stands in.
        place: String,
        /// What is wrong.
        reason: String,
    },
    /// The server does not answer, or not to these credentials.
    #[error(
        "cannot connect to {name}: check that it runs there and that the URL's user and password are right"
    )]
    Unreachable {
        /// The server.
        name: String,
        /// Why.
        #[source]
        source: sqlx::Error,
    },
    /// The server may forget, or cannot write.
    #[error("{name} is not fit to keep orders: {}", list(weaknesses))]
    Unfit {
        /// The server.
        name: String,
        /// Each with what to set.
        weaknesses: Vec<Weakness>,
    },
    /// The SQLite file cannot be opened.
    #[error("cannot open the SQLite file {}: its directory must exist and be writable for this user", file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// Why.
        #[source]
        source: sqlx::Error,
    },
}

fn list(weaknesses: &[Weakness]) -> String {
    weaknesses.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
