//! The stock service's configuration.

use crate::process::{CallLimits, HotConfig, LogLevel, Restart, ServiceConfig};
use garde::Validate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Configuration of the stock service. A change of `restart` rolls the pods, one at a time; a change of any other field
/// reaches every running pod at once, without a restart.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema, Validate)]
#[serde(rename_all = "camelCase", default)]
pub struct InventoryConfig {
    /// Fields that every running pod takes over at once.
    #[serde(flatten)]
    #[garde(dive)]
    pub hot: InventoryHot,
    /// Fields that a process reads once, when it starts. A change of any of them rolls the pods, one at a time.
    #[garde(dive)]
    pub restart: Restart,
}

impl ServiceConfig for InventoryConfig {
    type Hot = InventoryHot;

    fn new(hot: InventoryHot, restart: Restart) -> Self {
        Self { hot, restart }
    }
    fn hot(&self) -> &InventoryHot {
        &self.hot
    }
    fn restart(&self) -> &Restart {
        &self.restart
    }
}

/// Fields of the stock service's configuration that every running pod takes over at once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, Validate)]
#[serde(rename_all = "camelCase", default)]
pub struct InventoryHot {
    /// How much the service logs: `error`, `warn`, `info`, `debug` or `trace`. Default: `info`.
    #[garde(skip)]
    pub log_level: LogLevel,
    /// How stock rows are held still while an order is decided: `groupCommit`, `rowLock`, `optimistic`, `conditional`
    /// or `redisLock`. None of them ever sells more than there is; they differ in speed and in what they need.
    /// `redisLock` needs `spec.redis`. Default: `groupCommit`.
    #[garde(skip)]
    pub lock_strategy: LockStrategy,
    /// The lanes of `lockStrategy: groupCommit`.
    #[garde(dive)]
    pub lanes: LaneSettings,
    /// The lock that `lockStrategy: redisLock` takes.
    #[garde(dive)]
    pub redis_lock: RedisLockSettings,
    /// For how many days the record of an order is kept after its last change, of whatever state it is, and the answer
    /// to a `request_id`. What is older is purged, some minutes later: a purged order is not found, its number may be
    /// used again, and nothing can be given back for it, so keep orders for longer than they may be returned. The rows
    /// of the ledger behind it are replaced by one opening row per goods. Must be 1 to 36500. Default: 90.
    #[garde(range(min = 1, max = 36500))]
    pub retention_days: i32,
    /// Bounds on the calls that one pod accepts.
    #[garde(dive)]
    pub limits: CallLimits,
    /// Whether gRPC server reflection answers, so that tools such as `grpcurl` need no proto files. Default: true.
    #[garde(skip)]
    pub reflection: bool,
}

impl Default for InventoryHot {
    fn default() -> Self {
        Self {
            log_level: LogLevel::default(),
            lock_strategy: LockStrategy::default(),
            lanes: LaneSettings::default(),
            redis_lock: RedisLockSettings::default(),
            retention_days: 90,
            limits: CallLimits::default(),
            reflection: true,
        }
    }
}

impl HotConfig for InventoryHot {
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

/// How stock rows are held still while an order is decided. Under every one the database keeps the guard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum LockStrategy {
    /// Orders that arrive while one transaction commits share the next: the fastest by far where many want the same
    /// goods, and no slower where they do not.
    #[default]
    GroupCommit,
    /// `SELECT ... FOR UPDATE` in order of goods id, then decide, then write: one transaction per order.
    RowLock,
    /// Decide without a lock, then write only where the row's version is unchanged, otherwise look again. Good where
    /// rivals are rare.
    Optimistic,
    /// `UPDATE ... WHERE` enough is available: the shortest transaction per order.
    Conditional,
    /// A lease in Redis around the transaction, released after COMMIT. Sheds contention from the database.
    RedisLock,
}

impl LockStrategy {
    /// Every strategy, in the order of this documentation; suites run over it.
    pub const ALL: [Self; 5] =
        [Self::GroupCommit, Self::RowLock, Self::Optimistic, Self::Conditional, Self::RedisLock];

    /// The strategy's name as the configuration spells it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::GroupCommit => "groupCommit",
            Self::RowLock => "rowLock",
            Self::Optimistic => "optimistic",
            Self::Conditional => "conditional",
            Self::RedisLock => "redisLock",
        }
    }
}

/// The lanes of `lockStrategy: groupCommit`: each works off a queue, many orders to a transaction.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, Validate)]
#[serde(rename_all = "camelCase", default)]
pub struct LaneSettings {
    /// How many lanes one pod has. Orders for the same goods share a lane; another lane serves other goods while one
    /// commits. SQLite has one whatever stands here. Must be 1 to 8. Default: 2.
    #[garde(range(min = 1, max = 8))]
    pub count: i32,
    /// How many orders one transaction takes at most, as long as they have no more than 4096 lines and 256 goods. More
    /// of them make it cheaper per order and longer for each. Must be 1 to 4096. Default: 1024.
    #[garde(range(min = 1, max = 4096))]
    pub batch_orders: i32,
    /// How many orders may wait for one lane; one more is answered UNAVAILABLE, reason OVERLOADED, and so is one whose
    /// turn would come after its deadline. Must be 1 to 65536. Default: 8192.
    #[garde(range(min = 1, max = 65536))]
    pub queued_orders: i32,
}

impl Default for LaneSettings {
    fn default() -> Self {
        Self { count: 2, batch_orders: 1024, queued_orders: 8192 }
    }
}

/// The lease that `lockStrategy: redisLock` takes around each decision.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, Validate)]
#[serde(rename_all = "camelCase", default)]
pub struct RedisLockSettings {
    /// For how many milliseconds a lease holds unless it is renewed; it is renewed after a third of that. A pod that
    /// dies blocks its goods for at most this long. Must be 500 to 60000. Default: 5000.
    #[garde(range(min = 500, max = 60000))]
    pub ttl_milliseconds: i32,
    /// For how many milliseconds one holder may go on renewing, in all. Must be 500 to 300000 and at least
    /// `ttlMilliseconds`. Default: 30000.
    #[garde(range(min = 500, max = 300_000), custom(at_least(&self.ttl_milliseconds)))]
    pub max_hold_milliseconds: i32,
}

impl Default for RedisLockSettings {
    fn default() -> Self {
        Self { ttl_milliseconds: 5000, max_hold_milliseconds: 30000 }
    }
}

fn at_least(ttl: &i32) -> impl FnOnce(&i32, &()) -> garde::Result + '_ {
    move |max_hold, ()| {
        if max_hold < ttl {
            Err(garde::Error::new("must be at least ttlMilliseconds"))
        } else {
            Ok(())
        }
    }
}
