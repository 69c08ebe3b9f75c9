//! What the documentation of each field says, compared with what holds: a user sees nothing else in `kubectl explain`.
#![expect(clippy::unwrap_used, reason = "a failed step of a test is a failed test")]

use schemars::generate::SchemaSettings;
use serde_json::Value;
use srv_config::{GoodsConfig, InventoryConfig, ServiceConfig};

/// Fewer fields than a configuration has.
const FIELDS_MIN: usize = 10;

/// Compares every field below `schema` with its default; gives back how many there are.
fn compare(at: &str, schema: &Value, default: &Value) -> usize {
    let Some(fields) = schema["properties"].as_object() else {
        let text = schema["description"].as_str().unwrap_or_else(|| panic!("{at} has no text"));
        says_its_default(at, text, default);
        says_its_bounds(at, text, schema);
        return 1;
    };
    fields.iter().map(|(name, field)| compare(&format!("{at}.{name}"), field, &default[name])).sum()
}

fn says_its_default(at: &str, text: &str, default: &Value) {
    let default = default.as_str().map_or_else(|| default.to_string(), |word| format!("`{word}`"));
    assert!(text.ends_with(&format!("Default: {default}.")), "{at} is {default}, its text: {text}");
}

fn says_its_bounds(at: &str, text: &str, schema: &Value) {
    if schema["type"] != "integer" {
        assert!(schema["minimum"].is_null() && schema["maximum"].is_null(), "{at}: {schema}");
        return;
    }
    let bounds = format!("Must be {} to {}", schema["minimum"], schema["maximum"]);
    let (_, rest) = text.split_once(&bounds).unwrap_or_else(|| panic!("{at}: {bounds}: {text}"));
    assert!(!rest.starts_with(|next: char| next.is_ascii_digit()), "{at}: {bounds}: {text}");
}

fn every_text_is_true<C: ServiceConfig>() {
    let settings =
        SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    let schema = settings.into_generator().into_root_schema_for::<C>();
    let default = serde_json::to_value(C::default()).unwrap();
    // Otherwise nothing was compared.
    assert!(compare("config", schema.as_value(), &default) >= FIELDS_MIN, "{schema:?}");
}

#[test]
fn every_field_of_the_stock_services_configuration_says_its_default_and_its_bounds() {
    every_text_is_true::<InventoryConfig>();
}

#[test]
fn every_field_of_the_catalogs_configuration_says_its_default_and_its_bounds() {
    every_text_is_true::<GoodsConfig>();
}
