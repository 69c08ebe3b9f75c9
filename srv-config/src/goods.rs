//! The catalog service's configuration.

use crate::process::{CallLimits, HotConfig, LogLevel, Restart, ServiceConfig};
use garde::Validate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Configuration of the catalog service. A change of `restart` rolls the pods, one at a time; a change of any other
/// field reaches every running pod at once, without a restart.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema, Validate)]
#[serde(rename_all = "camelCase", default)]
pub struct GoodsConfig {
    /// Fields that every running pod takes over at once.
    #[serde(flatten)]
    #[garde(dive)]
    pub hot: GoodsHot,
    /// Fields that a process reads once, when it starts. A change of any of them rolls the pods, one at a time.
    #[garde(dive)]
    pub restart: Restart,
}

impl ServiceConfig for GoodsConfig {
    type Hot = GoodsHot;

    fn new(hot: GoodsHot, restart: Restart) -> Self {
        Self { hot, restart }
    }
    fn hot(&self) -> &GoodsHot {
        &self.hot
    }
    fn restart(&self) -> &Restart {
        &self.restart
    }
}

/// Fields of the catalog service's configuration that every running pod takes over at once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, Validate)]
#[serde(rename_all = "camelCase", default)]
pub struct GoodsHot {
    /// How much the service logs: `error`, `warn`, `info`, `debug` or `trace`. Default: `info`.
    #[garde(skip)]
    pub log_level: LogLevel,
    /// How many entries a page of a list holds when the caller does not say. Must be 1 to 100. Default: 20.
    #[garde(range(min = 1, max = 100))]
    pub page_size: i32,
    /// Bounds on the calls that one pod accepts.
    #[garde(dive)]
    pub limits: CallLimits,
    /// Whether gRPC server reflection answers, so that tools such as `grpcurl` need no proto files. Default: true.
    #[garde(skip)]
    pub reflection: bool,
}

impl Default for GoodsHot {
    fn default() -> Self {
        Self {
            log_level: LogLevel::default(),
            page_size: 20,
            limits: CallLimits::default(),
            reflection: true,
        }
    }
}

impl HotConfig for GoodsHot {
    fn log_level(&self) -> LogLevel {
        self.log_level
    }
    fn limits(&self) -> &CallLimits {
        &self.limits
    }
    fn reflection(&self) -> bool {
        self.reflection
    }
}
