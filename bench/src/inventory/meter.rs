//! What a run costs, from /proc: processor time of each process, memory, and how busy and how robbed the machine was.

use std::{fs, path::Path};

/// Linux counts processor time in hundredths of a second, whatever its own clock does.
const TICKS_PER_SECOND: f64 = 100.0;
/// Where `utime` stands behind the command's name in `/proc/ID/stat`; `stime` follows.
const UTIME_FIELD: usize = 11;

/// Processor seconds at one moment.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Reading {
    /// Of the processes that serve.
    pub(crate) service: f64,
    /// Of the database's process.
    pub(crate) database: f64,
    /// Of all processors: taken from us by the hypervisor, and in all.
    stolen: f64,
    total: f64,
}

/// The processes of a run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Meter {
    pub(crate) service: Vec<u32>,
    pub(crate) database: Option<u32>,
}

impl Meter {
    /// Reads the clocks.
    pub(crate) fn read(&self) -> Reading {
        let (stolen, total) = stolen_and_total(&text("/proc/stat"));
        Reading {
            service: self.service.iter().map(|id| seconds_of(*id)).sum(),
            database: self.database.map_or(0.0, seconds_of),
            stolen,
            total,
        }
    }

    /// The most memory that any of the serving processes held so far, in megabytes of 2^20 bytes.
    pub(crate) fn memory_peak(&self) -> f64 {
        self.most_megabytes("VmHWM:")
    }

    /// The most memory that any of the serving processes holds now, in megabytes of 2^20 bytes.
    pub(crate) fn memory(&self) -> f64 {
        self.most_megabytes("VmRSS:")
    }

    fn most_megabytes(&self, field: &str) -> f64 {
        let statuses = self.service.iter().map(|id| text(format!("/proc/{id}/status")));
        statuses.map(|status| kilobytes(&status, field)).fold(0.0, f64::max) / 1024.0
    }
}

impl Reading {
    /// What passed since `earlier`: processor seconds of service and database.
    pub(crate) fn since(&self, earlier: &Self) -> (f64, f64) {
        (self.service - earlier.service, self.database - earlier.database)
    }

    /// The share of the machine's time since `earlier` that the hypervisor gave to others.
    pub(crate) fn stolen_since(&self, earlier: &Self) -> f64 {
        let total = self.total - earlier.total;
        if total > 0.0 { (self.stolen - earlier.stolen) / total } else { 0.0 }
    }
}

/// How many times as much memory the last tenth of a window saw as its second tenth, the first being that in which
/// everything is met for the first time. `samples` are taken evenly over the window; one for which there are too few of
/// them did not grow.
pub(crate) fn growth(samples: &[f64]) -> f64 {
    let tenth = samples.len() / 10;
    if tenth == 0 {
        return 1.0;
    }
    let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len() as f64;
    mean(&samples[samples.len() - tenth..]) / mean(&samples[tenth..2 * tenth])
}

/// How many processes wanted to run in the last minute.
pub(crate) fn load() -> f64 {
    text("/proc/loadavg").split(' ').next().and_then(|load| load.parse().ok()).unwrap_or(f64::NAN)
}

fn text(path: impl AsRef<Path>) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// A process that is gone used nothing.
fn seconds_of(id: u32) -> f64 {
    ticks(&text(format!("/proc/{id}/stat"))) / TICKS_PER_SECOND
}

fn ticks(stat: &str) -> f64 {
    // The command's name stands in parentheses and may hold spaces and parentheses.
    let fields = stat.rsplit_once(") ").map_or("", |(_, fields)| fields).split(' ');
    fields.skip(UTIME_FIELD).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum()
}

fn stolen_and_total(stat: &str) -> (f64, f64) {
    /// `cpu user nice system idle iowait irq softirq steal`; guests are counted in `user` already.
    const STEAL: usize = 7;
    let first = stat.lines().next().unwrap_or_default();
    let numbers: Vec<f64> =
        first.split_whitespace().skip(1).filter_map(|number| number.parse().ok()).collect();
    (numbers.get(STEAL).copied().unwrap_or(0.0), numbers.iter().take(STEAL + 1).sum())
}

fn kilobytes(status: &str, field: &str) -> f64 {
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    let number = line.and_then(|line| line.split_whitespace().next());
    number.and_then(|number| number.parse().ok()).unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_read_behind_any_name() {
        let stat = "17 (a (b) c) S 1 17 17 0 -1 4194560 100 0 0 0 250 50 7 8 20 0 1 0 100 200 300";
        assert_eq!(ticks(stat), 300.0);
        assert_eq!(ticks(""), 0.0);
    }

    #[test]
    fn steal_is_a_share_of_all_time() {
        assert_eq!(stolen_and_total("cpu  10 0 20 60 0 0 0 10 5 0\ncpu0 1 1\n"), (10.0, 100.0));
    }

    #[test]
    fn growth_is_from_the_second_tenth_to_the_last() {
        let samples: Vec<f64> = (0..100).map(|sample| f64::from(sample / 10)).collect();
        assert_eq!(growth(&samples), 9.0);
        assert_eq!(growth(&[7.0; 9]), 1.0);
        assert_eq!(growth(&[7.0; 600]), 1.0);
    }

    #[test]
    fn a_process_of_ours_uses_time() {
        let meter = Meter { service: vec![std::process::id()], database: None };
        let (before, mut number) = (meter.read(), 1_u64);
        while meter.read().since(&before).0 < 0.02 {
            number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        }
        assert_ne!(number, 0);
    }

    #[test]
    fn memory_that_was_given_back_counts_in_the_peak_alone() {
        // Far more than what other tests of this process take meanwhile, and than the pages by which the kernel's own
        // counts are off; and more than the 8 MB above which jemalloc gives room back at once.
        const MEGABYTES: usize = 64;
        let meter = Meter { service: vec![std::process::id()], database: None };
        let held = std::hint::black_box(vec![1_u8; MEGABYTES << 20]);
        let with_it = meter.memory();
        drop(held);
        let (without_it, peak) = (meter.memory(), meter.memory_peak());
        assert!(with_it > 64.0 && peak > 64.0, "{with_it} MB, at most {peak} MB");
        assert!(without_it > 1.0 && without_it < with_it - 32.0, "{without_it} of {with_it} MB");
    }
}
