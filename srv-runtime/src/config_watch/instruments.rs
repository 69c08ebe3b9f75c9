//! What the configuration watch counts.

use crate::Metrics;
use opentelemetry::{
    KeyValue,
    metrics::{Counter, Gauge},
};
use srv_config::{Outcome, Revision};

#[derive(Clone)]
pub(super) struct Instruments {
    revision: Gauge<i64>,
    reloads: Counter<u64>,
    source_failures: Counter<u64>,
    api_watched: Gauge<u64>,
}

impl Instruments {
    pub(super) fn new(metrics: &Metrics) -> Self {
        let meter = metrics.meter("config");
        let new = Self {
            revision: meter
                .i64_gauge("config.revision")
                .with_description(
                    "Number of the newest configuration revision, by what was done with it",
                )
                .build(),
            reloads: meter
                .u64_counter("config.reloads")
                .with_description("Decisions on a configuration revision, by outcome")
                .build(),
            source_failures: meter
                .u64_counter("config.source.failures")
                .with_description("Failed readings of the configuration, by source")
                .build(),
            api_watched: meter
                .u64_gauge("config.api.watched")
                .with_description("1 while the configuration is watched through the API")
                .build(),
        };
        new.api_watched(false);
        new
    }

    pub(super) fn decided(&self, revision: &Revision, outcome: &Outcome) {
        let (rejected, word) = match outcome {
            Outcome::Applied => (false, "applied"),
            Outcome::AwaitsRestart => (false, "awaits_restart"),
            Outcome::Rejected(_) => (true, "rejected"),
        };
        self.reloads.add(1, &[KeyValue::new("outcome", word)]);
        let state = if rejected { "rejected" } else { "in_force" };
        self.revision.record(revision.number, &[KeyValue::new("state", state)]);
    }

    pub(super) fn source_failed(&self, source: &'static str) {
        self.source_failures.add(1, &[KeyValue::new("source", source)]);
    }

    pub(super) fn api_watched(&self, watched: bool) {
        self.api_watched.record(u64::from(watched), &[]);
    }
}
