//! The operator's metrics.

use crate::error::Error;
use opentelemetry::{
    KeyValue,
    metrics::{Counter, Histogram, Meter},
};
use std::time::Duration;

/// The instruments. Clones share them.
#[derive(Clone)]
pub(crate) struct Numbers {
    reconciles: Histogram<f64>,
    writes: Counter<u64>,
}

impl Numbers {
    pub(crate) fn new(meter: &Meter) -> Self {
        Self {
            reconciles: meter
                .f64_histogram("shopkeeper.reconcile.duration")
                .with_unit("s")
                .with_description("How long a reconcile took, by service and outcome.")
                .with_boundaries(vec![0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0])
                .build(),
            writes: meter
                .u64_counter("shopkeeper.writes")
                .with_description(
                    "Writes to the Kubernetes API, by kind. None happen at steady state.",
                )
                .build(),
        }
    }

    /// One reconcile of a `service` ended after `took`.
    pub(crate) fn reconciled<T>(
        &self,
        service: &'static str,
        done: &Result<T, Error>,
        took: Duration,
    ) {
        let outcome = match done {
            Ok(_) => "ok",
            Err(Error::Stale { .. }) => "stale",
            Err(Error::Api { .. } | Error::TooSlow(_)) => "error",
        };
        let labels = [KeyValue::new("service", service), KeyValue::new("outcome", outcome)];
        self.reconciles.record(took.as_secs_f64(), &labels);
    }

    /// One object of this kind was written.
    pub(crate) fn wrote(&self, kind: &str) {
        self.writes.add(1, &[KeyValue::new("kind", kind.to_owned())]);
    }
}
