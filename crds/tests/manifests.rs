//! What the generated manifests must be. That a real API server takes them and refuses what the rules refuse is tested
//! with the operator.

use crds::manifest::{self, SIZE_MAX};
use serde_json::Value;
use std::{fs, path::Path};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("crds/ stands in the workspace's folder")
}

fn definitions() -> [Value; 2] {
    [manifest::definition_of_goods(), manifest::definition_of_inventory()]
}

#[test]
fn the_committed_manifests_are_not_stale() {
    for manifest in manifest::all() {
        for (folder, text) in
            [("crds", &manifest.plain), ("helm/shopkeeper/templates/crds", &manifest.template)]
        {
            let there =
                fs::read_to_string(root().join(folder).join(manifest.file)).unwrap_or_default();
            assert!(
                there == *text,
                "{folder}/{} is stale: run `cargo run -p crds` and commit the result",
                manifest.file
            );
        }
    }
}

#[test]
fn kubectl_finds_exactly_the_two_manifests_in_the_folder() {
    let mut found: Vec<String> = fs::read_dir(root().join("crds"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| [".yaml", ".yml", ".json"].iter().any(|end| name.ends_with(end)))
        .collect();
    found.sort();
    assert_eq!(found, ["goodsservice.yaml", "inventoryservice.yaml"]);
}

#[test]
fn a_manifest_stays_small_enough_for_kubectl_apply() {
    for definition in definitions() {
        let size = definition.to_string().len();
        assert!(size < SIZE_MAX, "{} bytes", size);
    }
}

#[test]
fn nothing_in_a_schema_surprises() {
    for definition in definitions() {
        let schema = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
        let mut defaults = Vec::new();
        walk(schema, "", &mut |path, schema| {
            assert!(schema.get("nullable").is_none(), "{path} is nullable");
            let format = schema.get("format").and_then(Value::as_str).unwrap_or_default();
            assert!(!format.starts_with("uint"), "{path} has the format {format}");
            for word in ["$ref", "oneOf", "anyOf", "allOf"] {
                assert!(schema.get(word).is_none(), "{path} has {word}");
            }
            if schema.get("default").is_some() {
                defaults.push(path.to_owned());
            }
            let described = schema.get("description").and_then(Value::as_str).is_some();
            let listed = path.ends_with("[]") || path.ends_with("{}") || path.is_empty();
            assert!(described || listed || path == ".metadata", "{path} has no description");
        });
        defaults.retain(|path| !path.starts_with(".spec.redis"));
        assert_eq!(
            defaults,
            [
                ".spec.database.mysql.urlSecretRef.key",
                ".spec.database.sqlite.size",
                ".spec.replicas"
            ]
        );
    }
}

fn walk(schema: &Value, path: &str, look: &mut impl FnMut(&str, &Value)) {
    look(path, schema);
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        walk(property, &format!("{path}.{name}"), look);
    }
    if let Some(items) = schema.get("items") {
        walk(items, &format!("{path}[]"), look);
    }
    if let Some(values) = schema.get("additionalProperties").filter(|values| values.is_object()) {
        walk(values, &format!("{path}{{}}"), look);
    }
}
