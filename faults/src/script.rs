//! What a client wants of one order, act by act. The same random numbers give the same script.

use crate::history::{Act, Lines};
use rand::{RngExt, rngs::StdRng, seq::IndexedRandom};
use std::time::Duration;

/// The goods of a shop, and how many pieces of each there are at first. The first is scarce, so that it is sold out
/// again and again; the others never are.
pub const GOODS: [(i64, i64); 6] =
    [(1, 5), (2, 1_000_000), (3, 1_000_000), (4, 1_000_000), (5, 1_000_000), (6, 1_000_000)];

/// How long a hold lasts that is not meant to end by itself.
const LONG: Duration = Duration::from_secs(3600);
/// The shortest that there is.
const SHORT: Duration = Duration::from_secs(1);

/// The most goods of one order that are plentiful, and the most pieces of each.
const LINES_MAX: usize = 3;
const PIECES_MAX: i64 = 3;

/// The script of one order, as often as such are in a shop.
pub fn script(random: &mut StdRng) -> Vec<Act> {
    let lines = lines(random);
    let sell = || Act::Sell(lines.clone());
    let hold = |ttl| Act::Hold(lines.clone(), ttl);
    match random.random_range(0..100) {
        0..40 => vec![sell()],
        40..48 => vec![sell(), sell()],
        48..58 => vec![sell(), Act::Reback],
        58..62 => vec![sell(), Act::Reback, Act::Reback, sell()],
        62..70 => vec![hold(LONG), Act::Confirm],
        70..75 => vec![hold(LONG), Act::Cancel, Act::Confirm],
        75..79 => vec![hold(LONG), Act::Confirm, Act::Reback],
        79..82 => vec![hold(SHORT), hold(SHORT), Act::Confirm],
        82..85 => vec![hold(SHORT)],
        85..92 => {
            let some = some_of(&lines);
            let give = |request: &str| Act::GiveBack(request.to_owned(), some.clone());
            vec![sell(), give("r-1"), give("r-1"), give("r-2"), Act::Reback]
        }
        92..95 => vec![Act::Reback, sell()],
        95..98 => vec![sell(), Act::Sell(other_than(&lines))],
        _ => vec![Act::Confirm, Act::Cancel, Act::Confirm],
    }
}

/// One piece of one goods.
pub fn one_of(goods: i64) -> Lines {
    Lines::from([(goods, 1)])
}

/// Some pieces of some goods.
pub fn lines(random: &mut StdRng) -> Lines {
    let ((scarce, _), plentiful) = (GOODS[0], &GOODS[1..]);
    let count = random.random_range(1..=LINES_MAX);
    let mut goods: Vec<i64> = plentiful.sample(random, count).map(|(goods, _)| *goods).collect();
    if random.random_ratio(1, 4) {
        goods.push(scarce);
    }
    goods.into_iter().map(|goods| (goods, random.random_range(1..=PIECES_MAX))).collect()
}

/// One piece of the first goods.
fn some_of(lines: &Lines) -> Lines {
    lines.keys().take(1).map(|goods| (*goods, 1)).collect()
}

fn other_than(lines: &Lines) -> Lines {
    lines.iter().map(|(goods, pieces)| (*goods, pieces + 1)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn the_same_seed_gives_the_same_scripts_and_another_gives_others() {
        let scripts = |seed| {
            let mut random = StdRng::seed_from_u64(seed);
            (0..50).map(|_| script(&mut random)).collect::<Vec<_>>()
        };
        assert_eq!(scripts(7), scripts(7));
        assert_ne!(scripts(7), scripts(8));
    }

    #[test]
    fn every_act_is_played_and_every_order_has_a_line() {
        let mut random = StdRng::seed_from_u64(1);
        let acts: Vec<Act> = (0..1000).flat_map(|_| script(&mut random)).collect();
        let played = |wanted: fn(&Act) -> bool| acts.iter().any(wanted);
        assert!(played(|act| matches!(act, Act::Sell(_))));
        assert!(played(|act| matches!(act, Act::Hold(..))));
        assert!(played(|act| matches!(act, Act::Confirm)));
        assert!(played(|act| matches!(act, Act::Cancel)));
        assert!(played(|act| matches!(act, Act::Reback)));
        assert!(played(|act| matches!(act, Act::GiveBack(..))));
        let takes_nothing = |act: &Act| match act {
            Act::Sell(lines) | Act::Hold(lines, _) | Act::GiveBack(_, lines) => lines.is_empty(),
            Act::Confirm | Act::Cancel | Act::Reback => false,
        };
        assert!(!acts.iter().any(takes_nothing));
    }
}
