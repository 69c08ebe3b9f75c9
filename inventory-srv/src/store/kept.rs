//! A connection that is kept from one piece of work to the next.

use super::{Reader, Session, Store, StoreError};
use srv_runtime::Database;
use std::time::Duration;
use tokio::time::Instant;

/// After which time it is given back all the same: a connection that is too old, or whose password was changed, is
/// replaced when it comes back.
const KEPT_MAX: Duration = Duration::from_secs(5);

/// A connection for somebody who works without a pause, such as a lane. The pool hands its connections out in turn, and
/// each would have to prepare every statement first: two dozen long texts, several times what a batch takes.
#[derive(Debug, Default)]
pub struct KeptConnection(Option<(Reader, Instant)>);

impl KeptConnection {
    /// The statements, each as of the moment at which it runs. After an error [`KeptConnection::give_back`].
    pub async fn read(&mut self, store: &Store) -> Result<Session<'_>, StoreError> {
        Ok(self.reader(store).await?.on())
    }

    pub(super) async fn reader(&mut self, store: &Store) -> Result<&mut Reader, StoreError> {
        let kept = match self.0.take() {
            Some(kept) => kept,
            None => (store.read().await?, Instant::now()),
        };
        Ok(&mut self.0.insert(kept).0)
    }

    /// Gives the connection back to the pool, which cleans it or closes it.
    pub fn give_back(&mut self) {
        self.0 = None;
    }

    /// Gives it back if others may be waiting for it, or if it was kept for long.
    pub fn share(&mut self, store: &Store) {
        let others = match &store.database {
            Database::MySql(pool) => pool.num_idle(),
            Database::Sqlite(pools) => pools.read.num_idle(),
        };
        if others == 0 || self.0.as_ref().is_some_and(|(_, since)| since.elapsed() > KEPT_MAX) {
            self.give_back();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_connection_is_kept_until_others_have_none() {
        let url = testkit::MariaDb::shared().fresh_database();
        let store = Store::new(Database::connect(&url, 2).await.unwrap());
        let Database::MySql(pool) = &store.database else { panic!("not MySQL") };
        let mut kept = KeptConnection::default();
        let (one, other) = (pool.acquire().await.unwrap(), pool.acquire().await.unwrap());
        drop((one, other));
        kept.read(&store).await.unwrap();
        until_idle(pool, 1).await;
        kept.share(&store);
        assert!(kept.0.is_some(), "it was given back though another was there");
        let other = pool.acquire().await.unwrap();
        kept.share(&store);
        until_idle(pool, 1).await;
        drop(other);
        kept.read(&store).await.unwrap();
        kept.0.as_mut().unwrap().1 -= 2 * KEPT_MAX;
        until_idle(pool, 1).await;
        kept.share(&store);
        assert!(kept.0.is_none(), "it was kept for too long");
        until_idle(pool, 2).await;
    }

    /// What is given back is cleaned first, in a task of the pool's.
    async fn until_idle(pool: &sqlx::MySqlPool, count: usize) {
        let idle = async {
            while pool.num_idle() != count {
                tokio::task::yield_now().await;
            }
        };
        let within = Duration::from_secs(10);
        tokio::time::timeout(within, idle).await.expect("connections come back");
    }
}
