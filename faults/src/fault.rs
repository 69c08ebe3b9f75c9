//! The scenarios, one file per kind of fault. The table of all of them is [`crate::plan`].

pub mod backup;
pub mod callers;
pub mod clock;
pub mod database;
pub mod disk;
pub mod migration;
pub mod network;
pub mod races;
pub mod redis;
pub mod service;
