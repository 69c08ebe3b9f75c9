//! The part of a configuration that every service of ours has.

use garde::Validate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::fmt::Debug;

/// A service's whole configuration: what can change in a running process, and what a process reads once.
///
/// The two are different types, so that running code cannot read a field that only a restart would change.
pub trait ServiceConfig:
    Clone
    + Debug
    + Default
    + PartialEq
    + Serialize
    + DeserializeOwned
    + JsonSchema
    + Validate<Context = ()>
    + Send
    + Sync
    + 'static
{
    /// Fields that every running pod takes over at once.
    type Hot: HotConfig;

    /// The two halves, put together.
    fn new(hot: Self::Hot, restart: Restart) -> Self;
    /// Fields that a running process takes over at once.
    fn hot(&self) -> &Self::Hot;
    /// Fields that a process reads when it starts.
    fn restart(&self) -> &Restart;
}

/// What the process plumbing needs from any service's hot fields.
pub trait HotConfig:
    Clone
    + Debug
    + Default
    + PartialEq
    + Serialize
    + DeserializeOwned
    + JsonSchema
    + Validate<Context = ()>
    + Send
    + Sync
    + 'static
{
    /// How much the service logs.
    fn log_level(&self) -> LogLevel;
    /// Bounds on calls.
    fn limits(&self) -> &CallLimits;
    /// Whether server reflection answers.
    fn reflection(&self) -> bool;
}

/// How much a service logs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum LogLevel {
    /// Only what needs a person.
    Error,
    /// What may soon need a person, too.
    Warn,
    /// What happens once per start, change or failure, too.
    #[default]
    Info,
    /// What happens once per call, too.
    Debug,
    /// Everything; slow.
    Trace,
}

impl LogLevel {
    /// The level's name as `tracing` filters spell it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum LogFormat {
    /// One JSON object per line, for collectors.
    #[default]
    Json,
    /// One readable line per event, for people.
    Text,
}

/// Bounds on the calls that a pod accepts. Past a bound a call is answered UNAVAILABLE with reason OVERLOADED at once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, Validate)]
#[serde(rename_all = "camelCase", default)]
pub struct CallLimits {
    /// How many calls one pod works on at a time; one more is answered UNAVAILABLE, reason OVERLOADED.
    /// Must be 1 to 65536. Default: 4096.
    #[garde(range(min = 1, max = 65536))]
    pub calls_in_flight: i32,
    /// The longest that one call may take, in milliseconds. A shorter deadline of the caller wins. Calls that answer a
    /// stream (`WatchStock`, `CheckLedger`) only have to begin by then.
    /// Must be 10 to 60000. Default: 5000.
    #[garde(range(min = 10, max = 60000))]
    pub deadline_milliseconds: i32,
}

impl Default for CallLimits {
    fn default() -> Self {
        Self { calls_in_flight: 4096, deadline_milliseconds: 5000 }
    }
}

/// Fields that a process reads once, when it starts. A change of any of them rolls the pods, one at a time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, Validate)]
#[serde(rename_all = "camelCase", default)]
pub struct Restart {
    /// The TCP port that serves gRPC. Must be 1024 to 65535. Default: 50051.
    #[garde(range(min = 1024, max = 65535))]
    pub grpc_port: i32,
    /// The TCP port that serves `/livez`, `/readyz` and `/metrics`. Must be 1024 to 65535 and differ from `grpcPort`.
    /// Default: 9090.
    #[garde(range(min = 1024, max = 65535), custom(differs_from(&self.grpc_port)))]
    pub admin_port: i32,
    /// How log lines are written: `json` for collectors or `text` for people. Default: `json`.
    #[garde(skip)]
    pub log_format: LogFormat,
    /// How many connections to MySQL one pod has, from its start on; a server needs that many for each pod. On SQLite
    /// as many read at most, and one writes whatever stands here.
    /// Must be 1 to 256. Default: 16.
    #[garde(range(min = 1, max = 256))]
    pub database_connections: i32,
    /// How many calls one client connection may have in flight (HTTP/2 streams). Must be 1 to 65536. Default: 1024.
    #[garde(range(min = 1, max = 65536))]
    pub calls_per_connection: i32,
    /// After how many seconds a connection is told to reconnect (GOAWAY), so that clients spread over new pods; each
    /// pod takes up to a tenth more or less. Must be 10 to 86400. Default: 300.
    #[garde(range(min = 10, max = 86400))]
    pub connection_age_seconds: i32,
    /// How many seconds a stopping pod goes on accepting calls after it reported itself not ready, so that clients and
    /// proxies learn of it first. Must be 0 to 60. Default: 5.
    #[garde(range(min = 0, max = 60))]
    pub drain_delay_seconds: i32,
    /// How many seconds a stopping pod then waits for calls in flight before it closes their connections.
    /// Must be 1 to 120. Default: 20.
    #[garde(range(min = 1, max = 120))]
    pub drain_seconds: i32,
}

impl Default for Restart {
    fn default() -> Self {
        Self {
            grpc_port: 50051,
            admin_port: 9090,
            log_format: LogFormat::Json,
            database_connections: 16,
            calls_per_connection: 1024,
            connection_age_seconds: 300,
            drain_delay_seconds: 5,
            drain_seconds: 20,
        }
    }
}

fn differs_from(grpc_port: &i32) -> impl FnOnce(&i32, &()) -> garde::Result + '_ {
    move |admin_port, ()| {
        if admin_port == grpc_port {
            Err(garde::Error::new("must differ from grpcPort"))
        } else {
            Ok(())
        }
    }
}
