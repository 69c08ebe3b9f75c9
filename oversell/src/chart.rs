//! The table as a picture: a bar for each method, and a line where the stock ends.

use crate::report::{Report, Row};

/// The picture in letters' sizes of a page: it is shown as wide as a text.
const WIDTH: u32 = 1000;
const MARGIN: u32 = 24;
/// Where bars begin, and where those end that are cut: at twice the stock.
const BARS: (u32, u32) = (244, 610);
/// Where the figures of each column end.
const COLUMNS: [(&str, u32); 5] = [
    ("acknowledged", 712),
    ("deducted", 782),
    ("oversold", 850),
    ("orders/s", 914),
    ("p99 ms", 976),
];
/// Where the first row begins.
const TOP: u32 = 108;
const ROW: u32 = 36;
const BAR: u32 = 18;
/// What keeps ours apart from the naive ones.
const GAP: u32 = 14;

/// Readable on a light page and on a dark one: the ground is part of the picture.
const STYLE: &str = "\
text { font: 13px system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif; fill: #1f2328 }
.title { font-size: 18px; font-weight: 600 }
.dim { font-size: 12px; fill: #59636e }
.figure { text-anchor: end; font-variant-numeric: tabular-nums }
.middle { text-anchor: middle }
.wrong { font-weight: 600; fill: #cf222e }
.ground { fill: #ffffff; stroke: #d1d9e0 }
.within { fill: #1a7f37 }
.beyond { fill: #cf222e }
.rule { stroke: #d1d9e0 }
.stock { stroke: #1f2328; stroke-dasharray: 4 3 }
.cut { stroke: #ffffff; stroke-width: 3 }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 }
.dim { fill: #9198a1 }
.wrong { fill: #f85149 }
.ground { fill: #0d1117; stroke: #3d444d }
.within { fill: #3fb950 }
.beyond { fill: #f85149 }
.rule { stroke: #3d444d }
.stock { stroke: #e6edf3 }
.cut { stroke: #0d1117 }
}";

/// Draws the report as SVG.
pub fn draw(report: &Report) -> String {
    let rows = report.rows.iter().enumerate();
    let places: Vec<(u32, &Row)> = rows.map(|(at, row)| (top_of(at, report), row)).collect();
    let bottom = top_of(report.rows.len(), report);
    let height = bottom + 44;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" \
         height=\"{height}\" role=\"img\">\n<title>{}</title>\n<style>\n{STYLE}\n</style>\n",
        escape(&report.words())
    );
    svg += &format!(
        "<rect class=\"ground\" x=\"0.5\" y=\"0.5\" width=\"{}\" height=\"{}\" rx=\"6\"/>\n",
        WIDTH - 1,
        height - 1
    );
    svg += &head(report);
    for (top, row) in &places {
        svg += &draw_row(*top, row, report.stock);
    }
    svg += &vertical(stock_line(), TOP - 10, bottom, "stock");
    svg += &foot(report, bottom + 28);
    svg + "</svg>\n"
}

fn head(report: &Report) -> String {
    let Report { clients, stock, .. } = report;
    let title = format!("{clients} clients want one goods, of which {stock} pieces are there");
    let legend =
        "A bar is what clients were told they have: green while pieces were there, red beyond.";
    let mut head = text(MARGIN, 36, "title", &title) + &text(MARGIN, 58, "dim", legend);
    head += &text(stock_line(), TOP - 16, "dim middle", &format!("{stock} in stock"));
    for (name, x) in COLUMNS {
        head += &text(x, TOP - 16, "dim figure", name);
    }
    head
}

fn draw_row(top: u32, row: &Row, stock: u32) -> String {
    let baseline = top + ROW / 2 + 5;
    let mut drawn = format!("<g><title>{}</title>\n", escape(&row.finding));
    drawn += &text(MARGIN, baseline, "", &row.method);
    drawn += &bar(top + (ROW - BAR) / 2, row.acknowledged, u64::from(stock));
    let oversold = if row.oversold > 0 { "figure wrong" } else { "figure" };
    let figures = [
        (row.acknowledged.to_string(), "figure"),
        (row.deducted.to_string(), "figure"),
        (row.oversold.to_string(), oversold),
        (format!("{:.0}", row.orders_per_second), "figure"),
        (format!("{:.1}", row.p99_milliseconds), "figure"),
    ];
    for ((figure, class), (_, x)) in figures.iter().zip(COLUMNS) {
        drawn += &text(x, baseline, class, figure);
    }
    drawn + "</g>\n"
}

/// Green to the line, red beyond it; a bar longer than the picture is cut, and shows it.
fn bar(top: u32, acknowledged: u64, stock: u64) -> String {
    let (start, line, end) = (BARS.0, stock_line(), BARS.1);
    let mut bar = rectangle(start, top, length(acknowledged.min(stock), stock), "within");
    bar += &rectangle(line, top, length(acknowledged.saturating_sub(stock), stock), "beyond");
    if acknowledged > 2 * stock {
        for x in [end - 24, end - 17] {
            bar += &format!(
                "<path class=\"cut\" d=\"M{} {}L{} {}\"/>\n",
                x,
                top + BAR + 2,
                x + 8,
                top - 2
            );
        }
    }
    bar
}

/// How long so many orders are; nothing is longer than the stock itself, on either side of the line.
fn length(orders: u64, stock: u64) -> f64 {
    orders.min(stock) as f64 / stock.max(1) as f64 * f64::from(stock_line() - BARS.0)
}

fn foot(report: &Report, y: u32) -> String {
    let machine = format!(
        "Clients, service, MariaDB and Redis share {} processors. A mark // says that the bar is cut.",
        report.processors
    );
    text(MARGIN, y, "dim", &machine)
}

fn top_of(at: usize, report: &Report) -> u32 {
    let naive = report.rows.iter().take_while(|row| !row.exact).count();
    let gap = if naive > 0 && at >= naive { GAP } else { 0 };
    TOP + u32::try_from(at).unwrap_or_default() * ROW + gap
}

fn stock_line() -> u32 {
    BARS.0.midpoint(BARS.1)
}

fn rectangle(x: u32, y: u32, width: f64, class: &str) -> String {
    format!("<rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"{width:.1}\" height=\"{BAR}\"/>\n")
}

fn vertical(x: u32, from: u32, to: u32, class: &str) -> String {
    format!("<path class=\"{class}\" d=\"M{x} {from}V{to}\"/>\n")
}

fn text(x: u32, y: u32, class: &str, words: &str) -> String {
    format!("<text x=\"{x}\" y=\"{y}\" class=\"{class}\">{}</text>\n", escape(words))
}

fn escape(words: &str) -> String {
    words.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Rules,
        method::{Claim, Method},
        report::tests::row,
    };
    use srv_config::LockStrategy;

    fn of(rows: Vec<Row>) -> String {
        draw(&Report::new(Rules { clients: 64, stock: 200 }, rows))
    }

    #[test]
    fn a_bar_of_exactly_the_stock_ends_at_the_line_and_shows_no_red() {
        let ours = Method::Ours(LockStrategy::RowLock);
        let svg = of(vec![row(ours, Claim::SellsExactly, 200, 0)]);
        assert!(
            svg.contains(r#"<rect class="within" x="244" y="117" width="183.0" height="18"/>"#)
        );
        assert!(svg.contains(r#"<rect class="beyond" x="427" y="117" width="0.0" height="18"/>"#));
        assert!(!svg.contains(r#"class="cut""#));
        assert!(!svg.contains(r#"class="figure wrong""#));
    }

    #[test]
    fn what_is_oversold_is_red_and_what_is_too_long_is_cut() {
        let svg = of(vec![row(Method::NoLock, Claim::Oversells, 300, 0)]);
        assert!(svg.contains(r#"<rect class="beyond" x="427" y="117" width="91.5" height="18"/>"#));
        assert!(svg.contains(r#"class="figure wrong">100</text>"#));
        assert!(!svg.contains(r#"class="cut""#));
        let svg = of(vec![row(Method::NoLock, Claim::Oversells, 9_000, 100)]);
        assert!(
            svg.contains(r#"<rect class="beyond" x="427" y="117" width="183.0" height="18"/>"#)
        );
        assert_eq!(svg.matches(r#"class="cut""#).count(), 2);
    }

    #[test]
    fn words_from_elsewhere_do_not_break_the_picture() {
        let mut failed = row(Method::NoLock, Claim::Oversells, 300, 0);
        failed.finding += " the first: <lost> & gone.";
        let svg = of(vec![failed]);
        assert!(svg.contains("&lt;lost&gt; &amp; gone."));
        assert!(!svg.contains("<lost>"));
    }

    #[test]
    fn ours_stand_apart_from_the_naive_ones() {
        let ours = Method::Ours(LockStrategy::RowLock);
        let rows = vec![
            row(Method::NoLock, Claim::Oversells, 300, 0),
            row(ours, Claim::SellsExactly, 200, 0),
        ];
        let svg = of(rows);
        assert!(
            svg.contains(r#"y="117" width="183.0""#) && svg.contains(r#"y="167" width="183.0""#)
        );
    }
}
