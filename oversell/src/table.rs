//! The table as text: one line for a method, whether it waits, runs or is done.

use crate::{Rules, report::Row, tally::Standing};

/// Letters of the longest name.
pub(crate) const NAME_WIDTH: usize = 31;

/// Letters of the bar on each side of the line that stands where the stock ends.
const BAR_HALF: usize = 12;

const GREEN: &str = "\x1b[32m";
const RED: &str = "\x1b[31m";
const PLAIN: &str = "\x1b[0m";

/// How far a method is.
pub(crate) enum Stage<'a> {
    Waits,
    Runs(&'a Standing),
    Done(&'a Row),
}

/// The names of the columns. The bar comes last, so that a narrow terminal loses no figure.
pub(crate) fn header() -> String {
    format!(
        "{:NAME_WIDTH$} {:>12} {:>8} {:>8} {:>8} {:>8}",
        "method", "acknowledged", "deducted", "oversold", "orders/s", "p99 ms"
    )
}

/// One method's line.
pub(crate) fn line(name: &str, stage: &Stage, rules: Rules, in_colour: bool) -> String {
    let stock = u64::from(rules.stock);
    let (cells, acknowledged) = match stage {
        Stage::Waits => return format!("{name:NAME_WIDTH$}"),
        Stage::Runs(standing) => {
            let cells = format!(
                "{:>12} {:>8} {:>8} {:>8.0} {:>8}",
                standing.acknowledged,
                "",
                standing.acknowledged.saturating_sub(stock),
                standing.orders_per_second(),
                ""
            );
            (cells, standing.acknowledged)
        }
        Stage::Done(row) => {
            let cells = format!(
                "{:>12} {:>8} {:>8} {:>8.0} {:>8.1}",
                row.acknowledged,
                row.deducted,
                row.oversold,
                row.orders_per_second,
                row.p99_milliseconds
            );
            (cells, row.acknowledged)
        }
    };
    format!("{name:NAME_WIDTH$} {cells}  {}", bar(acknowledged, stock, in_colour))
}

/// Acknowledged orders against a line where the stock ends; what is too long is cut.
fn bar(acknowledged: u64, stock: u64, in_colour: bool) -> String {
    let half = BAR_HALF as u64;
    let length = |orders: u64| {
        usize::try_from((orders * half).div_ceil(stock.max(1)).min(half)).unwrap_or(BAR_HALF)
    };
    let within = "█".repeat(length(acknowledged.min(stock)));
    let mut beyond = "█".repeat(length(acknowledged.saturating_sub(stock)));
    if acknowledged > 2 * stock {
        beyond.push('»');
    }
    let within = format!("{within:BAR_HALF$}");
    if in_colour {
        format!("{GREEN}{within}{PLAIN}|{RED}{beyond}{PLAIN}")
    } else {
        format!("{within}|{beyond}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        method::{Claim, Method},
        report,
    };

    const RULES: Rules = Rules { clients: 64, stock: 200 };

    #[test]
    fn the_bar_ends_at_the_line_when_exactly_the_stock_is_sold() {
        assert_eq!(bar(0, 200, false), "            |");
        assert_eq!(bar(100, 200, false), "██████      |");
        assert_eq!(bar(200, 200, false), "████████████|");
    }

    #[test]
    fn one_piece_too_many_is_seen_and_very_many_are_cut() {
        assert_eq!(bar(201, 200, false), "████████████|█");
        assert_eq!(bar(400, 200, false), "████████████|████████████");
        assert_eq!(bar(10_000, 200, false), "████████████|████████████»");
    }

    #[test]
    fn figures_stand_below_their_names() {
        let row = report::tests::row(Method::NoLock, Claim::Oversells, 300, 0);
        let line = line(&row.method, &Stage::Done(&row), RULES, false);
        let expected = [
            "method                          acknowledged deducted oversold orders/s   p99 ms",
            "read, then write, no lock                300      200      100      150     30.0  ████████████|██████",
        ];
        assert_eq!([header(), line], expected);
    }
}
