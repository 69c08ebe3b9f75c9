//! The rules, twice over: case by case, a file per act, and as a whole, random histories against a naive model.
//!
//! Both go through [`books::Books`], which stands for the database: it shows what is held, writes what was decided as
//! mistrustfully as the SQL does, and is audited after every round.

mod acts;
mod audit;
mod batch;
mod books;
mod cancel;
mod confirm;
mod expired;
mod extend;
mod histories;
mod model;
mod partial_reback;
mod reback;
mod repair;
mod request;
mod sell;
mod stock;

use super::{ShortLine, Shortage};
use crate::order::{GoodsId, Key, Ttl};

fn goods(id: i64) -> GoodsId {
    GoodsId::new(id).expect("a goods id")
}

fn key(text: &str) -> Key {
    Key::from_record(text.to_owned())
}

fn ttl(milliseconds: i64) -> Ttl {
    Ttl::new(milliseconds).expect("a ttl within the bounds")
}

/// A line that cannot be had: goods, asked for, to be had.
fn short_line((id, requested, available): (i64, i64, i64)) -> ShortLine {
    ShortLine { goods: goods(id), requested, available }
}

/// Lines that ask for more than is available.
fn short<const N: usize>(lines: [(i64, i64, i64); N]) -> super::Refusal {
    let short = lines.into_iter().map(short_line).collect();
    super::Refusal::Unobtainable(Shortage { not_stocked: vec![], short })
}
