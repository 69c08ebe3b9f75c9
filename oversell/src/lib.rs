//! `cargo xtask oversell`: many clients want one goods at once, and each method of selling it shows what it does.
//!
//! A [`Method`] is either naive, as one meets it in many a shop, or one of our strategies, by the service's own code.
//! [`play`] lets the clients at one method after the other, on real servers; [`Report`] says what became of the stock
//! and whether every method did what is claimed of it. The naive methods stand here and nowhere else.
#![warn(missing_docs)]

mod method;
mod play;
mod race;
mod shop;
mod tally;

mod naive;
mod ours;

mod chart;
mod report;
mod servers;
mod table;
mod view;

pub use chart::draw;
pub use method::{Claim, Method, Trial};
pub use play::play;
pub use report::{Report, Row};
pub use servers::Servers;
pub use view::View;

/// How many clients want how much of one goods.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// So many clients, each with one order after the other until it is told that the goods is sold out.
    pub clients: u32,
    /// So many pieces are there; each order wants one.
    pub stock: u32,
}
