//! Numbers for operators of the process: OpenTelemetry instruments, read by Prometheus from the admin port.

use opentelemetry::metrics::{Meter, MeterProvider};
use opentelemetry_sdk::{Resource, metrics::SdkMeterProvider};
use prometheus::TextEncoder;

/// The instruments of one process. Clones share them.
#[derive(Clone)]
pub struct Metrics {
    provider: SdkMeterProvider,
    registry: prometheus::Registry,
}

impl Metrics {
    /// No instruments yet, for the process of this name (`inventory-srv`).
    pub fn new(process: &'static str) -> Self {
        let registry = prometheus::Registry::new();
        let exporter = opentelemetry_prometheus::exporter()
            .with_registry(registry.clone())
            .build()
            .expect("a new registry has no collector yet");
        let resource = Resource::builder_empty().with_service_name(process).build();
        let provider =
            SdkMeterProvider::builder().with_reader(exporter).with_resource(resource).build();
        Self { provider, registry }
    }

    /// The meter of one part of the process, such as `operator`; it makes instruments.
    pub fn meter(&self, part: &'static str) -> Meter {
        self.provider.meter(part)
    }

    /// All values now, in Prometheus' text format.
    pub fn text(&self) -> String {
        TextEncoder::new()
            .encode_to_string(&self.registry.gather())
            .expect("gathered metrics have consistent types")
    }
}
