//! `cargo xtask test faults`: breaks what the stock service stands on, again and again, while clients are at work, and
//! checks afterwards that its promises were kept.
//!
//! A [`scenario`] is one kind of fault; [`plan`] is the table of all of them. Clients ([`load`], playing a [`script`]
//! each) write down what they were told ([`history`]); the [`checker`] holds that against what is on record
//! ([`books`]), which it reads past the service. A run fails if a promise was broken, and as well if a fault that it
//! promises never came about.
#![warn(missing_docs)]

pub mod plan;
pub mod play;
pub mod scenario;

pub mod books;
pub mod checker;
pub mod history;

pub mod caller;
pub mod load;
pub mod replica;
pub mod script;
pub mod shop;

pub mod fault;
pub mod simulation;
