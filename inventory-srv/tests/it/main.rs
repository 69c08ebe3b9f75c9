//! The contract of the stock service, over real gRPC and real databases. Every case runs under every strategy on every
//! database, and after each the books are audited over a connection of their own.
#![expect(
    clippy::unwrap_used,
    reason = "a test may; clippy sees only the functions that are marked as tests"
)]

#[macro_use]
mod shop;

mod adjust;
mod batch;
mod books;
mod calls;
mod cancelled;
mod check;
mod copy;
mod document;
mod expiry;
mod faults;
mod limits;
mod list;
mod partial;
mod presumed;
mod process;
mod purge;
mod race;
mod reback;
mod reserve;
mod sell;
mod sold_out;
mod stock;
mod switching;
mod waiting;
mod watch;
