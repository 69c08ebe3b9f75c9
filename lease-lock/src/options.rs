//! How a [`Locks`] is opened.

use std::collections::HashSet;
use std::ops::RangeInclusive;
use std::time::Duration;

use crate::calls::Replicas;
use crate::error::OpenError;
use crate::keys::{Prefix, is_word};
use crate::link::Link;
use crate::locks::Locks;
use crate::place::Place;
use crate::server::Server;
use crate::servers::Servers;

/// Servers of which a majority decides. With fewer, one that is away stops everything; with more, each lease costs
/// more than the safety gains.
const SERVERS: RangeInclusive<usize> = 3..=15;
/// How long replicas are waited for: not for ever, as `WAIT 0` would, and not longer than for Redis itself.
const REPLICAS_WITHIN: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(1);

/// What [`Locks::open`] leaves at its default.
#[derive(Clone, Debug, Default)]
pub struct Options {
    name: Option<String>,
    replicas: Option<(usize, Duration)>,
}

impl Options {
    /// What [`Locks::owner`] tells of locks that this process holds: a host or a pod, 1 to 64 visible ASCII letters.
    pub fn name(mut self, name: &str) -> Self {
        self.name = Some(name.to_owned());
        self
    }

    /// A lease is had only when `count` replicas have its locks, `within` 1 ms to 1 s; otherwise it is given back and
    /// the caller hears [`Unavailable::NotReplicated`](crate::Unavailable::NotReplicated). It costs a round trip to
    /// the replicas for each lease. A failover then loses fewer leases; which replica is made the master is not bound
    /// by it, so some it still loses.
    pub fn replicas(mut self, count: usize, within: Duration) -> Self {
        self.replicas = Some((count, within));
        self
    }

    /// As [`Locks::open`].
    ///
    /// # Errors
    /// When the URL, the prefix or an option cannot be one.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn open(self, url: &str, prefix: &str) -> Result<Locks, OpenError> {
        self.open_at(&[url], prefix)
    }

    /// Locks that a majority of 3 to 15 independent servers hold (Redlock): a lease is had, renewed and released when
    /// most of them say so, and fewer than half of them may be away. Servers means masters that do not replicate each
    /// other; each URL is one as for [`Locks::open`]. An even number tolerates no more than the odd one below it.
    ///
    /// # Errors
    /// When a URL, the prefix or an option cannot be one, or there are too few or too many servers, or one is named
    /// twice.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn open_redlock(self, urls: &[impl AsRef<str>], prefix: &str) -> Result<Locks, OpenError> {
        let urls: Vec<&str> = urls.iter().map(AsRef::as_ref).collect();
        let different: HashSet<&&str> = urls.iter().collect();
        if !SERVERS.contains(&urls.len()) || different.len() < urls.len() {
            return Err(OpenError::Servers);
        }
        self.open_at(&urls, prefix)
    }

    fn open_at(self, urls: &[&str], prefix: &str) -> Result<Locks, OpenError> {
        let prefix = Prefix::new(prefix)?;
        if self.name.as_deref().is_some_and(|name| !is_word(name)) {
            return Err(OpenError::Name);
        }
        let replicas = match self.replicas {
            Some((count, within)) if count == 0 || !REPLICAS_WITHIN.contains(&within) => {
                return Err(OpenError::Replicas);
            }
            replicas => replicas.map(|(count, within)| Replicas { count, within }),
        };
        let places: Vec<Place> =
            urls.iter().map(|url| Place::parse(url)).collect::<Result<_, _>>()?;
        let each = places.into_iter().map(|place| Server::new(Link::new(place), replicas));
        Ok(Locks::new(Servers::new(each.collect()), prefix, self.name))
    }
}
