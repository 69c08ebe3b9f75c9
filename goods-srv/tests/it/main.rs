//! The contract of the catalog service, over real gRPC and real databases. Every case runs on every database.
#![expect(
    clippy::unwrap_used,
    reason = "a test may; clippy sees only the functions that are marked as tests"
)]

#[macro_use]
mod shop;

mod brand;
mod category;
mod faults;
mod goods;
mod limits;
mod list;
mod pages;
mod process;
mod queries;
mod race;
mod regressions;
mod replays;
