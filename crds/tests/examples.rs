//! That the examples are what they claim to be. That an API server takes them and pods come of them is tested
//! elsewhere.

#![expect(clippy::unwrap_used, reason = "what a test cannot do without ends the test")]

use crds::{GoodsService, InventoryService};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use std::{collections::BTreeSet, fs, path::Path};

fn read(file: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(file)).unwrap()
}

/// Reads an example as the resource that it says to be, and fails where it holds a field that the type does not have.
fn example<T: Serialize + DeserializeOwned>(file: &str) {
    let text = read(&format!("examples/{file}"));
    let written: Value = serde_yaml::from_str(&text).unwrap();
    let read: T = serde_yaml::from_str(&text).unwrap_or_else(|error| panic!("{file}: {error}"));
    all_is_in(&written, &serde_json::to_value(read).unwrap(), file);
}

fn all_is_in(written: &Value, read: &Value, at: &str) {
    match written.as_object() {
        Some(fields) => fields
            .iter()
            .for_each(|(key, value)| all_is_in(value, &read[key], &format!("{at}.{key}"))),
        None => assert_eq!(written, read, "{at}"),
    }
}

#[test]
fn each_example_is_a_resource_of_its_kind_with_nothing_that_would_be_dropped() {
    example::<GoodsService>("goods-sqlite.yaml");
    example::<GoodsService>("goods-mysql.yaml");
    example::<InventoryService>("inventory-sqlite.yaml");
    example::<InventoryService>("inventory-mysql.yaml");
}

#[test]
fn the_clients_configuration_names_services_that_exist_and_retries_within_what_grpc_allows() {
    let config: Value = serde_json::from_str(&read("examples/grpc-service-config.json")).unwrap();
    let protos =
        ["goods", "inventory"].map(|part| (part, read(&format!("proto/{part}/v1/{part}.proto"))));
    let mut streams: BTreeSet<&str> =
        protos.iter().flat_map(|(_, text)| text.lines()).filter_map(stream).collect();
    let mut once: BTreeSet<&str> =
        protos.iter().flat_map(|(_, text)| text.lines()).filter_map(once_only).collect();
    assert_eq!(config["loadBalancingConfig"], json!([{"round_robin": {}}]));
    assert!(config["retryThrottling"]["maxTokens"].is_u64(), "repeats have no budget");
    for method in config["methodConfig"].as_array().unwrap() {
        for name in method["name"].as_array().unwrap() {
            let (package, service) = name["service"].as_str().unwrap().rsplit_once('.').unwrap();
            let there = protos.iter().any(|(part, text)| {
                package == format!("{part}.v1") && text.contains(&format!("\nservice {service} {{"))
            });
            assert!(there, "{name}");
        }
        let mut names = method["name"].as_array().unwrap().iter();
        if let Some(retry) = method.get("retryPolicy") {
            assert_eq!(
                (&retry["maxAttempts"], &retry["retryableStatusCodes"]),
                (&json!(4), &json!(["UNAVAILABLE"]))
            );
        } else {
            assert!(names.all(|name| once.remove(name["method"].as_str().unwrap())), "{method}");
        }
        // A deadline would end a stream, so each is told apart from the other methods of its service.
        let names = method["name"].as_array().unwrap().iter();
        let of_streams = names
            .filter(|name| name["method"].as_str().is_some_and(|method| streams.remove(method)));
        assert_eq!(method["timeout"].is_string(), of_streams.count() == 0, "{method}");
    }
    assert!(streams.is_empty(), "streams with a deadline: {streams:?}");
    assert!(once.is_empty(), "sent again though that may do it twice: {once:?}");
}

/// The method that this line declares, and what it takes and returns.
fn method(line: &str) -> Option<(&str, &str)> {
    line.trim().strip_prefix("rpc ")?.split_once('(')
}

/// The method that this line declares, if it is one that answers a stream.
fn stream(line: &str) -> Option<&str> {
    method(line).filter(|(_, rest)| rest.contains("returns (stream ")).map(|(name, _)| name)
}

/// The method that this line declares, if it is one that may be called without a key that makes a repeat harmless.
fn once_only(line: &str) -> Option<&str> {
    let writes = ["Create", "Update", "Delete", "Set", "BatchSet"];
    method(line)
        .map(|(name, _)| name)
        .filter(|name| writes.iter().any(|verb| name.starts_with(verb)))
}
