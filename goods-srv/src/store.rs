//! The database: transactions, the statements that run in them, and what their failures mean. SQL is named below here
//! and nowhere else. One text serves both databases.

mod brand;
mod category;
mod failure;
mod goods;
mod request;
mod schema;
mod session;
mod statement;

pub use brand::{BrandRow, CreateBrand, DeleteBrand, UpdateBrand};
pub use category::{CategoryRow, CreateCategory, DeleteCategory, UpdateCategory};
pub use failure::StoreError;
pub use goods::{CreateGoods, DeleteGoods, GoodsRow, UpdateGoods};
pub use request::{Created, RequestKey};
pub use schema::{migrate, missing_versions};
pub use session::Session;

use crate::error::Error;
use rand::RngExt;
use session::{Reader, Transaction};
use srv_runtime::{Database, detached};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How often one write may find another writer in its way. Rivals for one row wait in the database; it is deadlocks
/// that come here, and a catalog has few writers.
const ATTEMPTS_MAX: u32 = 5;

/// For how long a write is tried again: not after a wait that the database gave up, which took most of a call's time.
const ATTEMPTS_BOUND: Duration = Duration::from_secs(2);

/// The longest pause before another attempt, so that rivals do not meet again in step.
const PAUSE_MILLISECONDS_MAX: u64 = 20;

/// The database behind the service. Clones share its pools.
#[derive(Clone, Debug)]
pub struct Store {
    database: Database,
    statements: Arc<AtomicU64>,
}

/// A change of the catalog: what happens in one transaction. It may be run again after a conflict.
pub trait Write: Send + Sync + 'static {
    /// What it answers.
    type Done: Send + 'static;

    /// Makes the change. An error rolls it back.
    fn run(
        &self,
        session: &mut Session<'_>,
    ) -> impl Future<Output = Result<Self::Done, Error>> + Send;
}

impl Store {
    /// A store on this database, whose schema is up to date.
    pub fn new(database: Database) -> Self {
        Self { database, statements: Arc::default() }
    }

    /// How many statements this store has sent, those that begin and end transactions left out.
    pub fn statements(&self) -> u64 {
        self.statements.load(Ordering::Relaxed)
    }

    /// Makes a change, durable when this returns. A caller that goes away does not cancel it half way; one that goes
    /// away before its turn leaves it undone.
    pub async fn write<W: Write>(&self, write: W) -> Result<W::Done, Error> {
        let write = Arc::new(write);
        let until = Instant::now() + ATTEMPTS_BOUND;
        for _ in 1..ATTEMPTS_MAX {
            match self.attempt(&write).await {
                Err(Error::Store(StoreError::Conflict(error))) if Instant::now() < until => {
                    tracing::debug!(%error, "another writer was in the way; trying again");
                }
                outcome => return outcome,
            }
            let pause = rand::rng().random_range(1..=PAUSE_MILLISECONDS_MAX);
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
        self.attempt(&write).await
    }

    async fn attempt<W: Write>(&self, write: &Arc<W>) -> Result<W::Done, Error> {
        // Not detached yet: who does not wait for a connection any more must not have others wait behind him.
        let mut transaction = Transaction::begin(&self.database, &self.statements).await?;
        let write = Arc::clone(write);
        detached(async move {
            match write.run(&mut transaction.session()).await {
                Ok(done) => {
                    transaction.commit().await?;
                    Ok(done)
                }
                Err(error) => {
                    transaction.rollback().await;
                    Err(error)
                }
            }
        })
        .await
    }

    /// A connection for reading what is committed, statement by statement.
    async fn reader(&self) -> Result<Reader, StoreError> {
        Reader::open(&self.database, &self.statements).await
    }
}

/// The time, in milliseconds UTC. Nothing is decided by it.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
