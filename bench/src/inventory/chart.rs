//! The rows and arms as an SVG picture: bars on a logarithmic axis, each with its figure beside it. It has no
//! background, and colours that can be read on white and, where the reader prefers it, on black.

use crate::table::{ArmFound, Row, Table};
use std::fmt::Write;

const WIDTH: f64 = 1120.0;
/// Where the bars begin and end; before them stand the names, behind them the figures.
const LEFT: f64 = 380.0;
const RIGHT: f64 = 830.0;
const LINE: f64 = 24.0;
const BAR: f64 = 14.0;

const STYLE: &str = "<style>\
    text{font:13px system-ui,sans-serif;fill:#1f2328}.title{font-weight:600;font-size:15px}\
    .quiet{fill:#59636e}.bar{fill:#0969da}.other{fill:#8c959f}.axis{stroke:#d1d9e0}\
    .floor{stroke:#cf222e;stroke-width:2}.goal{stroke:#1a7f37;stroke-width:2}\
    @media(prefers-color-scheme:dark){text{fill:#f0f6fc}.quiet{fill:#9198a1}.bar{fill:#4493f8}\
    .other{fill:#656c76}.axis{stroke:#3d444d}.floor{stroke:#f85149}.goal{stroke:#3fb950}}</style>";

/// Draws the table.
pub(crate) fn draw(table: &Table) -> String {
    let mut picture = Picture { body: String::new(), y: LINE };
    picture.text("title", 8.0, "Ours against each baseline: ratio (more is better)");
    picture.y += LINE;
    picture.text(
        "quiet",
        8.0,
        "red: the floor that must hold; green: the goal; whiskers: lowest and highest round",
    );
    picture.y += LINE;
    picture.ratios(&table.rows);
    for missing in &table.not_measured {
        picture.text("", 8.0, &missing.id);
        picture.text("quiet", LEFT, &format!("not measured: {}", missing.why));
        picture.y += LINE;
    }
    picture.y += LINE;
    picture.text("title", 8.0, "Answers a second, by what a commit waits for and arm");
    picture.y += LINE;
    picture.arms(&table.arms);
    picture.text("quiet", 8.0, &table.machine);
    let height = picture.y + LINE / 2.0;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" \
         height=\"{height}\" role=\"img\" aria-label=\"Benchmark of the stock service\">{STYLE}{}</svg>\n",
        picture.body
    )
}

struct Picture {
    body: String,
    /// The baseline of the next line of text.
    y: f64,
}

/// A logarithmic axis over whole powers of ten.
struct Axis {
    low: f64,
    high: f64,
}

impl Axis {
    fn over(values: impl Iterator<Item = f64>) -> Self {
        let logs = values.filter(|value| *value > 0.0).map(f64::log10);
        let (low, high) = logs.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), log| {
            (low.min(log), high.max(log))
        });
        let low = if low.is_finite() { low.floor() } else { 0.0 };
        Self { low, high: high.ceil().max(low + 1.0) }
    }

    fn at(&self, value: f64) -> f64 {
        let share = (value.max(f64::MIN_POSITIVE).log10() - self.low) / (self.high - self.low);
        LEFT + share.clamp(0.0, 1.0) * (RIGHT - LEFT)
    }

    fn powers(&self) -> impl Iterator<Item = f64> {
        (self.low as i32..=self.high as i32).map(|power| 10_f64.powi(power))
    }
}

impl Picture {
    fn ratios(&mut self, rows: &[Row]) {
        let marks = |row: &Row| {
            let (low, high) = row.spread.unwrap_or((row.ratio, row.ratio));
            [row.ratio, row.floor, row.goal.unwrap_or(row.floor), low, high]
        };
        let axis = Axis::over(rows.iter().flat_map(marks));
        self.axis(&axis, rows.len());
        for row in rows {
            self.text("", 8.0, &row.id);
            self.bar("bar", axis.at(row.ratio));
            if row.floor > 0.0 {
                self.mark("floor", axis.at(row.floor));
                self.mark("goal", axis.at(row.goal.unwrap_or(row.floor)));
            }
            if let Some((low, high)) = row.spread {
                self.whisker(axis.at(low), axis.at(high));
            }
            let (ours, baseline) = (figure(row.ours), figure(row.baseline));
            let figures = format!("{:.2}  ({ours} : {baseline} {})", row.ratio, row.unit);
            self.text("quiet", RIGHT + 8.0, &figures);
            self.y += LINE;
        }
        self.y += LINE;
    }

    fn arms(&mut self, arms: &[ArmFound]) {
        let axis = Axis::over(arms.iter().map(|arm| arm.answers_per_second));
        self.axis(&axis, arms.len());
        for arm in arms {
            self.text("", 8.0, &format!("{}  {}", arm.storage, arm.name));
            self.bar("other", axis.at(arm.answers_per_second));
            let figures =
                format!("{:.0}/s, p99 {:.1} ms", arm.answers_per_second, arm.p99_milliseconds);
            self.text("quiet", RIGHT + 8.0, &figures);
            self.y += LINE;
        }
        self.y += LINE;
    }

    /// Lines at the powers of ten behind so many bars, and their figures below.
    fn axis(&mut self, axis: &Axis, lines: usize) {
        let (top, bottom) = (self.y - BAR, self.y - BAR + lines as f64 * LINE);
        for power in axis.powers() {
            let x = axis.at(power);
            self.line("axis", (x, top), (x, bottom));
            let below = bottom + BAR;
            self.put(&format!(
                "<text class=\"quiet\" text-anchor=\"middle\" x=\"{x:.1}\" y=\"{below:.1}\">{power}</text>"
            ));
        }
    }

    fn bar(&mut self, class: &str, end: f64) {
        let (y, width) = (self.y - BAR + 3.0, (end - LEFT).max(1.0));
        self.put(&format!(
            "<rect class=\"{class}\" x=\"{LEFT}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{BAR}\"/>"
        ));
    }

    fn mark(&mut self, class: &str, x: f64) {
        self.line(class, (x, self.y - BAR), (x, self.y + 6.0));
    }

    fn whisker(&mut self, low: f64, high: f64) {
        let y = self.y - BAR / 2.0 + 3.0;
        self.line("axis", (low, y), (high, y));
    }

    fn line(&mut self, class: &str, from: (f64, f64), to: (f64, f64)) {
        self.put(&format!(
            "<line class=\"{class}\" x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\"/>",
            from.0, from.1, to.0, to.1
        ));
    }

    fn text(&mut self, class: &str, x: f64, words: &str) {
        let words = words.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        let y = self.y;
        self.put(&format!("<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\">{words}</text>"));
    }

    fn put(&mut self, element: &str) {
        writeln!(self.body, "{element}").expect("a String takes every write");
    }
}

/// Three digits or more.
fn figure(value: f64) -> String {
    if value < 100.0 { format!("{value:.1}") } else { format!("{value:.0}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::NotMeasured;

    #[test]
    fn an_axis_spans_whole_powers_of_ten() {
        let axis = Axis::over([0.4, 178.0, 0.0].into_iter());
        assert_eq!((axis.low, axis.high), (-1.0, 3.0));
        assert_eq!((axis.at(0.1), axis.at(1000.0), axis.at(0.0)), (LEFT, RIGHT, LEFT));
        assert!((axis.at(10.0) - f64::midpoint(LEFT, RIGHT)).abs() < 0.001);
    }

    #[test]
    fn a_chart_shows_every_row_and_what_is_missing() {
        let mut table = Table::new("test", "a machine <of> one & all".to_owned());
        let row = Row::of_rounds("P1", &[30.0], &[2.0], &[15.0], (10.0, 18.0), "orders/s");
        table.rows.push(row);
        table.not_measured.push(NotMeasured { id: "P2".into(), why: "there is none".into() });
        let drawn = draw(&table);
        for words in ["P1", "15.00  (30.0 : 2.0 orders/s)", "P2", "not measured: there is none"] {
            assert!(drawn.contains(words), "{words}");
        }
        assert!(drawn.contains("a machine &lt;of&gt; one &amp; all"));
        assert!(draw(&Table::new("test", String::new())).ends_with("</svg>\n"));
    }
}
