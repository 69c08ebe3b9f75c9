//! One block: an arm on fresh tables under load for some seconds, and what it did.

use super::{
    arm::{Arm, Load},
    books::Told,
    meter::{self, Meter},
    setting::Setting,
    target::Target,
};
use crate::load::{Numbers, Tally, Window, closed, open};
use anyhow::{Context, Result, bail, ensure};
use std::{fmt, time::Duration};
use tokio::time::{MissedTickBehavior, interval_at, sleep_until};

/// How many calls of an open loop may be in flight before it drops: twice what the service admits by default, so that
/// the service and not the generator decides what is too much.
const OPEN_IN_FLIGHT_MAX: usize = 8192;

/// How often a block's memory is looked at: once a second in the longest one.
const MEMORY_SAMPLES: u32 = 600;

/// How long a block is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timing {
    /// Under load before anything counts.
    pub(crate) warm_up: Duration,
    /// Under load and counted.
    pub(crate) length: Duration,
    /// For how long the last answers are waited for. Orders without one are open to the audit.
    pub(crate) patience: Duration,
}

impl Timing {
    /// For how long the arm is under load.
    pub(crate) fn load(&self) -> Duration {
        self.warm_up + self.length
    }
}

/// What one block measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measured {
    /// Orders acknowledged a second.
    pub(crate) accepted: f64,
    /// Answers a second, refusals included.
    pub(crate) answers: f64,
    /// Latencies in milliseconds.
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    /// Processor seconds of the service and of the database for 1,000 answers.
    pub(crate) service_cpu: f64,
    pub(crate) database_cpu: f64,
    /// The most memory that a serving process held, in megabytes.
    pub(crate) memory: f64,
    /// How many times as much it held in the last tenth of the block as in the second.
    pub(crate) growth: f64,
    /// Answers that said no for want of room or time, a second; calls not made.
    pub(crate) turned_away: f64,
    pub(crate) dropped: u64,
    /// How busy the machine was, and the share of it that the hypervisor gave to others.
    pub(crate) load: f64,
    pub(crate) stolen: f64,
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:>9.0} orders/s, p50 {:.2} ms, p99 {:.2} ms; CPU s per 1,000: service {:.3}, database {:.3}; \
             {:.0} MB; load {:.1}, steal {:.1} %",
            self.accepted,
            self.p50,
            self.p99,
            self.service_cpu,
            self.database_cpu,
            self.memory,
            self.load,
            self.stolen * 100.0,
        )?;
        if self.answers > self.accepted {
            write!(f, "; {:.0} refused/s", self.answers - self.accepted)?;
        }
        if self.turned_away > 0.0 || self.dropped > 0 {
            write!(f, "; {:.0} turned away/s, {} dropped", self.turned_away, self.dropped)?;
        }
        Ok(())
    }
}

/// Runs `arm` once; `rate` is the rate of an open loop.
pub(crate) async fn run(
    arm: &Arm,
    rate: Option<f64>,
    setting: &Setting,
    timing: Timing,
) -> Result<Measured> {
    let target = Target::start(arm, setting).await?;
    let window = Window::from_now(timing.warm_up, timing.length, timing.patience);
    let numbers = Numbers::default();
    let meter = &target.meter;
    let metered = async {
        sleep_until(window.begin).await;
        let before = meter.read();
        let growth = meter::growth(&memory_until_the_end(meter, window).await);
        (before, meter.read(), meter::load(), meter.memory_peak(), growth)
    };
    let loaded = async {
        match (&arm.load, rate) {
            (Load::Closed { in_flight }, _) => {
                Ok(closed::run(&target.callers, *in_flight, window, &numbers).await)
            }
            (Load::Open { .. }, Some(rate)) => {
                Ok(open::run(&target.callers, rate, OPEN_IN_FLIGHT_MAX, window, &numbers).await)
            }
            (Load::Open { of, .. }, None) => bail!("the rate of {of} is not known yet"),
        }
    };
    let (tally, (before, after, load, memory, growth)) = tokio::join!(loaded, metered);
    let tally: Tally = tally?;
    let open_calls = tally.ever.unavailable + tally.abandoned + tally.ever.failed;
    let told = Told { acknowledged: tally.ever.accepted, open: open_calls * arm.orders_per_call() };
    let ended = target.finish(setting, told).await;
    if let Some(words) = &tally.failure {
        bail!("the arm {arm}: {} calls failed, the first with: {words}", tally.ever.failed);
    }
    ended.with_context(|| format!("after the arm {arm}"))?;
    let seconds = timing.length.as_secs_f64();
    let answers = tally.counted.accepted + tally.counted.refused;
    ensure!(answers > 0, "the arm {arm} answered nothing in {seconds} s");
    let (service, database) = after.since(&before);
    Ok(Measured {
        accepted: tally.counted.accepted as f64 / seconds,
        answers: answers as f64 / seconds,
        p50: tally.milliseconds_at(0.5),
        p99: tally.milliseconds_at(0.99),
        service_cpu: service * 1000.0 / answers as f64,
        database_cpu: database * 1000.0 / answers as f64,
        memory,
        growth,
        turned_away: tally.counted.unavailable as f64 / seconds,
        dropped: tally.dropped,
        load,
        stolen: after.stolen_since(&before),
    })
}

/// What the service holds, in megabytes, at even pauses from now on.
async fn memory_until_the_end(meter: &Meter, window: Window) -> Vec<f64> {
    let mut samples = Vec::with_capacity(MEMORY_SAMPLES as usize);
    let mut ticks = interval_at(window.begin, (window.end - window.begin) / MEMORY_SAMPLES);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => samples.push(meter.memory()),
            () = sleep_until(window.end) => return samples,
        }
    }
}
