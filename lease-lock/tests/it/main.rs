//! The lease against real Redis servers. A comment gives the number of the property in the list that the crate was
//! built against.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

mod admin;
mod basics;
mod cancelling;
mod child;
mod closing;
mod contention;
mod faults;
mod many_keys;
mod redlock;
mod renewal;
mod sentinel;
mod support;
mod waiting;
mod working;
