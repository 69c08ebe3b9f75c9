#![doc = include_str!("../README.md")]
#![warn(missing_docs)]

mod locks; // the way in
mod options;
mod terms;

mod acquire; // attempts and waiting
mod gates;
mod signals;

mod hold; // what a lease knows of itself
mod lease;

mod keeper; // the two tasks
mod returns;

mod keys; // Redis: the names of keys

mod majority; // all servers
mod servers;

mod calls; // one server, and the way to it
mod dedicated;
mod link;
mod place;
mod sentinels;
mod server;

mod error;

pub use error::{
    AcquireError, Cause, InvalidIds, Lost, OpenError, ReleaseError, RenewError, Unavailable,
};
pub use hold::Hold;
pub use keys::{ID_BYTES_MAX, IDS_MAX};
pub use lease::{Lease, Ticket};
pub use locks::{Locks, Owner};
pub use options::Options;
pub use terms::{InvalidTerms, Terms};
