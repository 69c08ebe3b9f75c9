//! What can go wrong, one variant per situation that a caller treats differently.

use std::time::Duration;

use thiserror::Error;

/// Why a lease was not had.
#[derive(Debug, Error)]
pub enum AcquireError {
    /// Somebody else holds one of the locks, and the time to wait is over. Nothing was taken. Try again later.
    #[error("the lock is held by somebody else")]
    Busy {
        /// How long Redis would still keep the holder's lock without a renewal, when it was last asked. `None` when
        /// it was not asked (others of this process were first in the queue) or the key has no end.
        holder_ttl: Option<Duration>,
    },
    /// Redis did not say whether the lock is free. What may have been taken is given back.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// The deadline had passed before anything was tried.
    #[error("the deadline had passed before the lock was tried")]
    DeadlinePassed,
    /// The ids cannot name locks; nothing was tried.
    #[error(transparent)]
    Invalid(#[from] InvalidIds),
}

/// No lease can be had, whoever holds the lock.
#[derive(Clone, Debug, Error)]
pub enum Unavailable {
    /// Redis answered with an error, or the connection failed: wrong credentials, no master, a broken network.
    #[error("Redis refused or the connection failed: {0}")]
    Failed(String),
    /// Redis did not answer in time.
    #[error("Redis did not answer in time")]
    Silent,
    /// Too few of several servers answered ([`crate::Options::open_redlock`]).
    #[error("only {answered} of {servers} Redis servers answered ({reason})")]
    NoMajority {
        /// How many answered.
        answered: usize,
        /// How many there are.
        servers: usize,
        /// What one of the others said.
        reason: String,
    },
    /// Too few replicas had the lock in time ([`crate::Options::replicas`]).
    #[error("only {confirmed} of {wanted} replicas had the lock in time")]
    NotReplicated {
        /// How many had it.
        confirmed: usize,
        /// How many should have it.
        wanted: usize,
    },
    /// Redis may throw locks away when its memory is full ([`crate::Locks::probe`]).
    #[error("Redis may evict locks: set its maxmemory-policy to noeviction, it is {0}")]
    Evicts(String),
    /// [`crate::Locks::close`] was called.
    #[error("the locks of this process are closed")]
    Closed,
}

/// Ids that cannot name locks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum InvalidIds {
    /// There is none.
    #[error("a lease needs at least one id")]
    None,
    /// There are more than [`crate::IDS_MAX`].
    #[error("a lease takes at most {max} ids, not {0}", max = crate::IDS_MAX)]
    TooMany(usize),
    /// One is empty or longer than [`crate::ID_BYTES_MAX`].
    #[error("an id has 1 to {max} bytes, not {0}", max = crate::ID_BYTES_MAX)]
    Length(usize),
}

/// A [`crate::Locks`] that cannot be made.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The address is not one of Redis.
    #[error("this is not the URL of a Redis server: {0}")]
    Url(String),
    /// The prefix would change the meaning of the keys.
    #[error("a prefix has 1 to 64 visible ASCII letters and no braces")]
    Prefix,
    /// The name of the process would be hard to read beside a token.
    #[error("the name of a process has 1 to 64 visible ASCII letters")]
    Name,
    /// A lock that needs no replica, or waits too long for one.
    #[error("replicas are at least 1, and are waited for 1 ms to 1 s")]
    Replicas,
    /// Too few servers for a majority to mean anything, more than anybody needs, or one of them twice.
    #[error("a majority needs 3 to 15 different servers")]
    Servers,
}

/// Why a release did not release.
#[derive(Debug, Error)]
pub enum ReleaseError {
    /// At least one lock was not held under this lease's token any more: the lease had ended before. The others are
    /// released, and nobody else's lock was touched.
    #[error("the lease had ended before it was released")]
    NotHeld,
    /// Redis did not answer; the lock goes free at the end of its TTL.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// Why a renewal on demand did not renew.
#[derive(Debug, Error)]
pub enum RenewError {
    /// The lease has ended.
    #[error(transparent)]
    Lost(#[from] Lost),
    /// Redis did not answer; the lease holds until [`crate::Hold::remaining`] is over.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// The lease has ended while it was in use.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the lease is lost: {0}")]
pub struct Lost(pub Cause);

/// Why a lease ended before it was released.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Cause {
    /// Redis says that the lock is free or somebody else's: it was deleted, flushed, evicted, forced, or it ran out.
    #[error("Redis does not hold it any more")]
    Taken,
    /// It could not be renewed before its time was over.
    #[error("it could not be renewed in time ({0})")]
    Expired(String),
    /// It has been held for as long as its terms allow.
    #[error("it was held for as long as its terms allow")]
    MaxHold,
    /// Its holder has released it.
    #[error("it was released")]
    Released,
    /// [`crate::Locks::close`] was called.
    #[error("the locks of this process are closed")]
    Closed,
}
