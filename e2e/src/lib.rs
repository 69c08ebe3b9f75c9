//! What the demo and the tests on a real node share: the cluster as a person uses it (`helm`, `kubectl`), connections
//! into it, and waiting with a bound.

pub mod cluster;
pub mod details;
pub mod forward;
pub mod load;
pub mod metrics;
pub mod service_config;
pub mod shop;
pub mod unprocessed;
pub mod waiting;
