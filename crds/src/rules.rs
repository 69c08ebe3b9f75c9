//! What the types of a spec cannot say, as CEL rules that the API server checks. Each message says what to write.

use serde_json::{Value, json};

/// The longest name of a custom resource. `<name>-headless` is the longest name made of it that must fit a DNS label
/// (63 characters); the rest is left for children to come.
pub const NAME_MAX: usize = 50;

/// One rule: where it stands in the schema (as the path of properties below the root), what must hold there, and what
/// to write when it does not.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Properties below the root, such as `["spec", "database"]`.
    pub at: &'static [&'static str],
    /// A CEL expression over `self` (and `oldSelf`: then it is checked on updates only).
    pub holds: String,
    /// What to write when it does not hold.
    pub message: String,
}

impl Rule {
    fn new(
        at: &'static [&'static str],
        holds: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self { at, holds: holds.into(), message: message.into() }
    }

    /// The rule as it stands in a schema.
    pub fn to_json(&self) -> Value {
        json!({"rule": self.holds, "message": self.message})
    }
}

const SPEC: &[&str] = &["spec"];
const DATABASE: &[&str] = &["spec", "database"];
const SQLITE: &[&str] = &["spec", "database", "sqlite"];
const CONFIG: &[&str] = &["spec", "config"];

/// The rules of both kinds.
pub fn of_every_service() -> Vec<Rule> {
    vec![
        Rule::new(
            &[],
            format!(
                "self.metadata.name.size() <= {NAME_MAX} && \
                 self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')"
            ),
            format!(
                "metadata.name becomes the name of a Service: write at most {NAME_MAX} lowercase letters, digits \
                 and dashes, a letter first"
            ),
        ),
        Rule::new(
            SPEC,
            "has(self.database)",
            "say where the data lies: write database: {sqlite: {}} for one pod with an embedded database, or \
             database: {mysql: {urlSecretRef: {name: SECRET, key: url}}}",
        ),
        Rule::new(
            SPEC,
            "has(self.tls)",
            "calls are not encrypted yet, and that is to be written out: write tls: {mode: disabled}",
        ),
        Rule::new(
            SPEC,
            "!has(self.database) || !has(self.database.sqlite) || self.replicas <= 1",
            "SQLite is one file that one pod writes: write replicas: 1, or use database.mysql for more",
        ),
        Rule::new(
            SQLITE,
            "isQuantity(self.size) && quantity(self.size).isGreaterThan(quantity('0'))",
            "the volume's size is an amount above 0: write one such as 1Gi or 500Mi",
        ),
        Rule::new(
            DATABASE,
            "has(self.sqlite) != has(self.mysql)",
            "write exactly one of sqlite and mysql",
        ),
        Rule::new(
            DATABASE,
            "has(self.sqlite) == has(oldSelf.sqlite)",
            "which database a service uses cannot be changed, its data would stay behind: write the old one again, \
             or create a resource of another name",
        ),
        Rule::new(
            DATABASE,
            "!has(self.sqlite) || !has(oldSelf.sqlite) || self.sqlite == oldSelf.sqlite",
            "the volume is made once: write the old size and storageClassName again, and grow the volume by editing \
             its PersistentVolumeClaim (this resource's name with -data)",
        ),
        Rule::new(
            CONFIG,
            format!(
                "!has(self.restart) || {} != {}",
                or("self.restart", "adminPort", srv_config::Restart::default().admin_port),
                or("self.restart", "grpcPort", srv_config::Restart::default().grpc_port),
            ),
            "restart.adminPort and restart.grpcPort must differ: write two ports",
        ),
    ]
}

/// The rules that only an `InventoryService` has.
pub fn of_inventory() -> Vec<Rule> {
    let lock = srv_config::RedisLockSettings::default();
    vec![
        Rule::new(
            SPEC,
            "has(self.redis) || !has(self.config) || !has(self.config.lockStrategy) || \
             self.config.lockStrategy != 'redisLock'",
            "lockStrategy: redisLock takes its leases from a Redis: write redis: {urlSecretRef: {name: SECRET, key: \
             url}}, or another lockStrategy",
        ),
        Rule::new(
            CONFIG,
            format!(
                "!has(self.redisLock) || {} >= {}",
                or("self.redisLock", "maxHoldMilliseconds", lock.max_hold_milliseconds),
                or("self.redisLock", "ttlMilliseconds", lock.ttl_milliseconds),
            ),
            "redisLock.maxHoldMilliseconds must be at least redisLock.ttlMilliseconds: write a larger one",
        ),
    ]
}

/// A field's value, or its default where it is left out (the schema itself carries no defaults for `spec.config`).
fn or(of: &str, field: &str, default: i32) -> String {
    format!("(has({of}.{field}) ? {of}.{field} : {default})")
}
