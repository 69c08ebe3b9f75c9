//! The table on the terminal, drawn anew while methods run; elsewhere plain lines as methods end.

use crate::{
    Rules,
    method::Trial,
    report::Row,
    table::{Stage, header, line},
    tally::Tally,
};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::{env, io::IsTerminal, pin::pin, time::Duration};
use tokio::time::{MissedTickBehavior, interval};

/// How often a running method's line is drawn: as fast as an eye follows a number.
const REDRAW: Duration = Duration::from_millis(100);

/// Where the table is shown.
pub struct View {
    live: Option<Vec<ProgressBar>>,
    names: Vec<String>,
    rules: Rules,
    on_terminal: bool,
    in_colour: bool,
}

impl View {
    /// On the terminal if standard output is one, in colour unless `NO_COLOR` is set; otherwise plain lines.
    pub fn on_stdout() -> Self {
        let on_terminal = std::io::stdout().is_terminal();
        let in_colour = on_terminal && env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self { on_terminal, in_colour, ..Self::plain() }
    }

    /// Plain lines on standard output.
    pub fn plain() -> Self {
        let rules = Rules { clients: 0, stock: 0 };
        Self { live: None, names: Vec::new(), rules, on_terminal: false, in_colour: false }
    }

    pub(crate) fn begin(&mut self, trials: &[Trial], rules: Rules) {
        self.rules = rules;
        self.names = trials.iter().map(|trial| trial.method.name()).collect();
        println!(
            "{} clients want one goods, of which {} pieces are there.\n\n{}",
            rules.clients,
            rules.stock,
            header()
        );
        if self.on_terminal {
            let all = MultiProgress::with_draw_target(ProgressDrawTarget::stdout());
            let style =
                ProgressStyle::with_template("{wide_msg}").expect("the template is well formed");
            let bar = |name: &String| {
                let bar = all.add(ProgressBar::new_spinner().with_style(style.clone()));
                bar.set_message(line(name, &Stage::Waits, rules, self.in_colour));
                bar
            };
            self.live = Some(self.names.iter().map(bar).collect());
        }
    }

    /// Draws the line of the method at `place` until `race` is over.
    pub(crate) async fn watch<T>(
        &self,
        place: usize,
        tally: &Tally,
        race: impl Future<Output = T>,
    ) -> T {
        let mut race = pin!(race);
        let mut redraw = interval(REDRAW);
        redraw.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            tokio::select! {
                outcome = &mut race => return outcome,
                _ = redraw.tick() => self.draw(place, &Stage::Runs(&tally.standing())),
            }
        }
    }

    /// Leaves the method's last line standing.
    pub(crate) fn end(&self, place: usize, row: &Row) {
        self.draw(place, &Stage::Done(row));
        match &self.live {
            Some(bars) => bars[place].abandon(),
            None => println!("{}", self.line(place, &Stage::Done(row))),
        }
    }

    fn draw(&self, place: usize, stage: &Stage) {
        if let Some(bars) = &self.live {
            bars[place].set_message(self.line(place, stage));
        }
    }

    fn line(&self, place: usize, stage: &Stage) -> String {
        line(&self.names[place], stage, self.rules, self.in_colour)
    }
}
