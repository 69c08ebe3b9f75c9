//! What the plumbing promises, against real servers.
#![expect(clippy::unwrap_used, reason = "a failed step of a test is a failed test")]

mod cancelled_begin;
mod config_api;
mod config_directory;
mod database;
mod rotation;
mod serving;
mod signals;
mod stopping;
mod support;
