//! The servers that all methods share, so that only the methods differ.

use anyhow::Result;
use testkit::{MariaDb, Redis};

/// A MariaDB that keeps every acknowledged commit, and a Redis. Both end with this.
pub struct Servers {
    pub(crate) mariadb: MariaDb,
    pub(crate) redis: Redis,
}

impl Servers {
    /// Starts both; blocks for a second or two. An error says what is missing and how to get it.
    pub fn start() -> Result<Self> {
        Ok(Self { mariadb: MariaDb::options().start()?, redis: Redis::options().start()? })
    }
}
