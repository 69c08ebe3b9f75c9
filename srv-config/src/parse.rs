//! From a configuration's text to its type and back.

use crate::process::{Restart, ServiceConfig};
use serde::de::DeserializeOwned;
use serde_yaml::Value;

/// A configuration that cannot be taken over: the field at fault and the reason.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{field}: {reason}")]
pub struct InvalidConfig {
    /// The field as the file spells it, such as `limits.callsInFlight`; `config.yaml` when the whole text is at fault.
    pub field: String,
    /// What is wrong with it.
    pub reason: String,
}

/// Reads and validates a whole configuration. Missing fields take their defaults; unknown ones are ignored, because an
/// older service may read what a newer operator wrote.
pub fn parse<C: ServiceConfig>(text: &str) -> Result<C, InvalidConfig> {
    let whole = |reason: String| InvalidConfig { field: crate::CONFIG_FILE.to_owned(), reason };
    let mut value: Value = serde_yaml::from_str(text).map_err(|error| whole(error.to_string()))?;
    if value.is_null() {
        value = Value::Mapping(serde_yaml::Mapping::new());
    }
    let Value::Mapping(fields) = &value else {
        return Err(whole("is not a mapping of fields to values".to_owned()));
    };
    let restart = match fields.get("restart") {
        Some(restart) => typed::<Restart>(restart.clone(), "restart.")?,
        None => Restart::default(),
    };
    // The halves are read one by one: serde's flatten would lose the path of a field that has the wrong type.
    let config = C::new(typed::<C::Hot>(value, "")?, restart);
    config.validate().map_err(|report| first_of(&report))?;
    Ok(config)
}

/// The text that [`parse`] reads back as `config`, with every field written out.
pub fn render<C: ServiceConfig>(config: &C) -> String {
    serde_yaml::to_string(config).expect("a configuration is a tree of plain values")
}

fn typed<T: DeserializeOwned>(value: Value, below: &str) -> Result<T, InvalidConfig> {
    serde_path_to_error::deserialize(value).map_err(|error| InvalidConfig {
        field: format!("{below}{}", error.path()),
        reason: error.into_inner().to_string(),
    })
}

fn first_of(report: &garde::Report) -> InvalidConfig {
    let (path, error) = report.iter().next().expect("a failed validation names at least one field");
    InvalidConfig { field: as_written(&path.to_string()), reason: error.to_string() }
}

/// `hot.redis_lock.ttl_milliseconds` of the Rust types is `redisLock.ttlMilliseconds` of the file.
fn as_written(path: &str) -> String {
    let path = path.strip_prefix("hot.").unwrap_or(path);
    let mut written = String::with_capacity(path.len());
    let mut after_underscore = false;
    for letter in path.chars() {
        match letter {
            '_' => after_underscore = true,
            letter if after_underscore => {
                written.extend(letter.to_uppercase());
                after_underscore = false;
            }
            letter => written.push(letter),
        }
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{GoodsConfig, InventoryConfig, LockStrategy};

    #[track_caller]
    fn refused(text: &str) -> (String, String) {
        let invalid = parse::<InventoryConfig>(text).expect_err("the text was accepted");
        (invalid.field, invalid.reason)
    }

    #[test]
    fn an_empty_text_is_all_defaults() {
        assert_eq!(parse::<InventoryConfig>("").unwrap(), InventoryConfig::default());
        assert_eq!(parse::<GoodsConfig>("{}").unwrap(), GoodsConfig::default());
    }

    #[test]
    fn a_rendered_configuration_reads_back_the_same() {
        let mut config = InventoryConfig::default();
        config.hot.lock_strategy = LockStrategy::RowLock;
        config.restart.grpc_port = 6000;
        assert_eq!(parse::<InventoryConfig>(&render(&config)).unwrap(), config);
        assert_eq!(
            parse::<GoodsConfig>(&render(&GoodsConfig::default())).unwrap(),
            GoodsConfig::default()
        );
    }

    #[test]
    fn a_field_that_an_older_service_does_not_know_is_ignored() {
        assert_eq!(parse::<InventoryConfig>("ofTheFuture: 1").unwrap(), InventoryConfig::default());
    }

    #[test]
    fn a_wrong_value_is_refused_with_its_path_as_the_file_spells_it() {
        assert_eq!(refused("redisLock: {ttlMilliseconds: 1}").0, "redisLock.ttlMilliseconds");
        assert_eq!(refused("limits: {callsInFlight: many}").0, "limits.callsInFlight");
        assert_eq!(refused("restart: {grpcPort: 80}").0, "restart.grpcPort");
        assert_eq!(
            refused("restart: {grpcPort: 9090}"),
            ("restart.adminPort".into(), "must differ from grpcPort".into())
        );
        assert_eq!(
            refused("redisLock: {maxHoldMilliseconds: 600}").0,
            "redisLock.maxHoldMilliseconds"
        );
        assert_eq!(refused("lockStrategy: hope").0, "lockStrategy");
        assert_eq!(refused("- 1").0, "config.yaml");
    }
}
