//! The published service config, `examples/grpc-service-config.json`, as a gRPC client reads it.

use crate::shop::repository;
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::{fs, time::Duration};

/// How a client is told to call the methods of one service.
#[derive(Clone, Debug)]
pub struct Calling {
    /// How long a call may take, its repeats included.
    pub deadline: Duration,
    /// How often a call is sent at most, counting the first time.
    pub attempts: u32,
    /// What to wait before the first repeat; each further one waits `multiplier` times as long, at most `backoff_max`.
    backoff: Duration,
    backoff_max: Duration,
    multiplier: f64,
}

impl Calling {
    /// What the published file says of `service` (`inventory.v1.InventoryService`).
    ///
    /// # Errors
    /// When it says nothing of it, or a client would not understand it.
    pub fn published(service: &str) -> Result<Self> {
        let file = format!("{}/grpc-service-config.json", repository("examples"));
        let config: Value = serde_json::from_str(&fs::read_to_string(file)?)?;
        let names = |method: &Value| {
            let names = method["name"].as_array().into_iter().flatten();
            names.into_iter().any(|name| name["service"] == service)
        };
        let methods = config["methodConfig"].as_array().context("no methodConfig")?;
        let method = methods.iter().find(|method| names(method));
        let method = method.with_context(|| format!("{service} is in no methodConfig"))?;
        let policy = &method["retryPolicy"];
        ensure!(
            policy["retryableStatusCodes"] == serde_json::json!(["UNAVAILABLE"]),
            "{policy} retries something else than UNAVAILABLE"
        );
        Ok(Self {
            deadline: seconds(&method["timeout"])?,
            attempts: u32::try_from(policy["maxAttempts"].as_u64().context("no maxAttempts")?)?,
            backoff: seconds(&policy["initialBackoff"])?,
            backoff_max: seconds(&policy["maxBackoff"])?,
            multiplier: policy["backoffMultiplier"].as_f64().context("no backoffMultiplier")?,
        })
    }

    /// The same, but with one repeat, after the longest wait that the file allows.
    pub fn with_one_retry(self) -> Self {
        Self { attempts: 2, backoff: self.backoff_max, ..self }
    }

    /// What to wait before repeat number `repeat`, counted from 0. A client of gRPC varies it by a fifth.
    pub fn backoff(&self, repeat: u32) -> Duration {
        let factor = self.multiplier.powi(repeat.try_into().unwrap_or(i32::MAX));
        self.backoff_max.min(self.backoff.mul_f64(factor.min(1e6)))
    }
}

/// `"0.5s"`, as the JSON of protobuf writes durations.
fn seconds(value: &Value) -> Result<Duration> {
    let text = value.as_str().and_then(|text| text.strip_suffix('s'));
    let seconds: f64 = text.with_context(|| format!("{value} is no duration"))?.parse()?;
    Ok(Duration::try_from_secs_f64(seconds)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeats_wait_longer_and_longer_up_to_the_bound() {
        let calling = Calling::published("inventory.v1.InventoryService").unwrap();
        let waits: Vec<u128> = (0..6).map(|repeat| calling.backoff(repeat).as_millis()).collect();
        assert_eq!(waits, [50, 100, 200, 400, 500, 500]);
        assert_eq!((calling.attempts, calling.deadline), (4, Duration::from_secs(5)));
        assert_eq!(calling.with_one_retry().backoff(0), Duration::from_millis(500));
    }
}
