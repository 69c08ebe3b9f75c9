//! A shop that sells one goods by one method.

use crate::{
    Rules, Servers,
    method::Method,
    naive::{Desk, freed_before_commit, lapsed_in_pause, no_lock},
    ours::Ours,
};
use anyhow::{Result, bail};
use futures::future::try_join_all;
use sqlx::MySqlPool;
use srv_runtime::Database;

/// The one goods that everybody wants.
pub(crate) const GOODS: i64 = 421;

/// What a client is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It has its piece.
    Sold,
    /// There is none left.
    SoldOut,
}

/// A shop with a fresh database and a full stock.
pub(crate) enum Shop {
    NoLock(Desk),
    FreedBeforeCommit(Desk),
    LapsedInPause(Desk),
    Ours(Ours),
}

impl Shop {
    pub(crate) async fn open(method: Method, rules: Rules, servers: &Servers) -> Result<Self> {
        let (url, redis) = (servers.mariadb.fresh_database(), servers.redis.url());
        let desk = Desk::open(&url, &redis, rules);
        Ok(match method {
            Method::NoLock => Self::NoLock(desk.await?),
            Method::FreedBeforeCommit => Self::FreedBeforeCommit(desk.await?),
            Method::LapsedInPause => Self::LapsedInPause(desk.await?),
            Method::Ours(strategy) => {
                Self::Ours(Ours::open(strategy, &url, &redis, rules.stock).await?)
            }
        })
    }

    /// Sells one piece under this order number. An error is a failure of the machinery: nobody was told of a sale.
    pub(crate) async fn sell(&self, order: &str) -> Result<Answer> {
        match self {
            Self::NoLock(desk) => no_lock::sell(desk, order).await,
            Self::FreedBeforeCommit(desk) => freed_before_commit::sell(desk, order).await,
            Self::LapsedInPause(desk) => lapsed_in_pause::sell(desk, order).await,
            Self::Ours(ours) => ours.sell(order).await,
        }
    }

    /// How many pieces the database says are left.
    pub(crate) async fn stock(&self) -> Result<i64> {
        match self {
            Self::NoLock(desk) | Self::FreedBeforeCommit(desk) | Self::LapsedInPause(desk) => {
                desk.stock().await
            }
            Self::Ours(ours) => ours.stock().await,
        }
    }

    /// Closes its connections, after the last write.
    pub(crate) async fn close(self) {
        match self {
            Self::NoLock(desk) | Self::FreedBeforeCommit(desk) | Self::LapsedInPause(desk) => {
                desk.close().await;
            }
            Self::Ours(ours) => ours.close().await,
        }
    }
}

/// A pool as the service has it (READ COMMITTED, UTC), its connections open, so that no order waits for a handshake.
pub(crate) async fn pool(url: &str, connections: u32) -> Result<(Database, MySqlPool)> {
    let database = Database::connect(url, connections).await?;
    let Database::MySql(pool) = &database else { bail!("{url} is no MySQL database") };
    let pool = pool.clone();
    drop(try_join_all((0..connections).map(|_| pool.acquire())).await?);
    Ok((database, pool))
}
