//! The schema of a service: which versions of it there are, and how a database gets there.

use crate::Database;
use sqlx::{
    MySqlConnection,
    migrate::{Migrate, MigrateError, Migrator},
};

/// Where sqlx notes which versions a database has.
const APPLIED: &str = "_sqlx_migrations";

/// For how many seconds a process waits while another migrates: longer than any migration of ours should take.
const TURN_SECONDS: i64 = 60;

/// The lock under which one process at a time migrates a database. sqlx's own asks for it with an endless timeout,
/// which MariaDB does not know: it answers at once, without the lock.
macro_rules! turn {
    () => {
        "CONCAT('shopkeeper.', LEFT(SHA1(DATABASE()), 16))"
    };
}

/// A schema as migrations per dialect. Both hold the same versions.
pub struct Schema {
    /// For MySQL and MariaDB. There every statement that makes a table is a commit of its own, and a process can die
    /// between two of them: a migration must do no harm and come to the same when it is run again.
    pub mysql: Migrator,
    /// For SQLite.
    pub sqlite: Migrator,
}

/// Why the schema is not up to date.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// Another process was at it all the time.
    #[error(
        "another process has been migrating this database for {TURN_SECONDS} s: see what it does, and try again"
    )]
    Busy,
    /// The database did not do it.
    #[error("cannot bring the database's schema up to date")]
    Failed(#[from] MigrateError),
}

impl From<sqlx::Error> for SchemaError {
    fn from(error: sqlx::Error) -> Self {
        Self::Failed(error.into())
    }
}

impl Schema {
    /// The schema of these migrations. A version in a database that they do not hold is from a newer service, and every
    /// version leaves the schema usable for the one before: a rollback starts on it.
    pub fn new(mut mysql: Migrator, mut sqlite: Migrator) -> Self {
        mysql.set_ignore_missing(true);
        sqlite.set_ignore_missing(true);
        Self { mysql, sqlite }
    }

    /// Brings `database` up to date. Several processes may do so at once; one works and the others wait.
    pub async fn migrate(&self, database: &Database) -> Result<(), SchemaError> {
        match database {
            Database::Sqlite(pools) => match self.sqlite.run(&pools.write).await {
                // Another process was first; there a migration is one transaction, so it is whole.
                Err(_) if self.missing_versions(database).await? == 0 => Ok(()),
                migrated => Ok(migrated?),
            },
            Database::MySql(pool) => {
                let mut connection = pool.acquire().await?;
                take_turn(&mut connection).await?;
                forget_unfinished(&mut connection).await?;
                let migrated = self.mysql.run(&mut *connection).await;
                sqlx::query(concat!("DO RELEASE_LOCK(", turn!(), ")"))
                    .execute(&mut *connection)
                    .await?;
                Ok(migrated?)
            }
        }
    }

    /// How many versions the schema of `database` lacks.
    pub async fn missing_versions(&self, database: &Database) -> Result<usize, SchemaError> {
        let (known, applied, unfinished) = match database {
            Database::MySql(pool) => {
                let mut connection = pool.acquire().await?;
                connection.ensure_migrations_table(APPLIED).await?;
                let applied = connection.list_applied_migrations(APPLIED).await?;
                (&self.mysql, applied, connection.dirty_version(APPLIED).await?)
            }
            Database::Sqlite(pools) => {
                let mut connection = pools.write.acquire().await?;
                connection.ensure_migrations_table(APPLIED).await?;
                let applied = connection.list_applied_migrations(APPLIED).await?;
                (&self.sqlite, applied, connection.dirty_version(APPLIED).await?)
            }
        };
        let is_applied = |version| {
            unfinished != Some(version)
                && applied.iter().any(|migration| migration.version == version)
        };
        Ok(known.iter().filter(|migration| !is_applied(migration.version)).count())
    }
}

async fn take_turn(connection: &mut MySqlConnection) -> Result<(), SchemaError> {
    let taken: Option<i64> = sqlx::query_scalar(concat!("SELECT GET_LOCK(", turn!(), ", ?)"))
        .bind(TURN_SECONDS)
        .fetch_one(connection)
        .await?;
    if taken == Some(1) { Ok(()) } else { Err(SchemaError::Busy) }
}

/// Forgets that a version was begun by a process that did not end it: it is our turn, so that one is gone. sqlx would
/// refuse to go on until somebody mends it by hand.
async fn forget_unfinished(connection: &mut MySqlConnection) -> Result<(), SchemaError> {
    connection.ensure_migrations_table(APPLIED).await?;
    if let Some(version) = connection.dirty_version(APPLIED).await? {
        tracing::warn!(
            version,
            "a process died while it made this version of the schema; it is made again"
        );
        sqlx::query("DELETE FROM _sqlx_migrations WHERE NOT success").execute(connection).await?;
    }
    Ok(())
}
