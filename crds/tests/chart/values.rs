//! What the schema of the values refuses.

use crate::render::{read, refused, render};
use serde_json::{Value, json};

#[test]
fn a_value_that_the_chart_does_not_know_is_refused_at_every_level() {
    for place in [
        "",
        "images",
        "images goods",
        "crds",
        "log",
        "resources",
        "resources limits",
        "affinity",
        "affinity podAffinity",
        "affinity nodeAffinity",
        "metricsService",
        "networkPolicy",
    ] {
        let values =
            place.split_whitespace().rfold(json!({"typo": 1}), |inner, key| json!({key: inner}));
        let error = refused(values);
        assert!(error.contains("'typo'"), "{place}: {error}");
    }
    for list in ["imagePullSecrets", "tolerations"] {
        assert!(refused(json!({list: [{"name": "x", "typo": 1}]})).contains("'typo'"), "{list}");
    }
    render(json!({"global": {"anything": {"goes": "here"}}}));
    no_open_object(&serde_json::from_str(&read("helm/shopkeeper/values.schema.json")).unwrap(), "");
}

/// Every object of the schema names its keys or holds texts under free ones. But `global` is everybody's, and the terms
/// of an affinity are for the API server to check.
fn no_open_object(schema: &Value, path: &str) {
    if schema["type"] == "object"
        && path != "/properties/global"
        && !path.contains("DuringScheduling")
    {
        let others = schema.get("additionalProperties").unwrap_or_else(|| panic!("{path} is open"));
        assert!(
            *others == json!(false) || *others == json!({"type": "string"}),
            "{path} takes {others}"
        );
    }
    for (key, below) in schema.as_object().into_iter().flatten() {
        no_open_object(below, &format!("{path}/{key}"));
    }
}

#[test]
fn a_value_that_would_not_work_is_refused() {
    for values in [
        json!({"podLabels": {"app.kubernetes.io/name": "mine"}}),
        json!({"images": {"operator": {"digest": "sha256:short"}}}),
        json!({"images": {"operator": {"repository": ""}}}),
        json!({"images": {"tag": "a:b"}}),
        json!({"watchNamespaces": ["Upper"]}),
        json!({"watchNamespaces": ["a", "a"]}),
        json!({"log": {"level": "loud"}}),
        json!({"crds": {"keep": "false"}}),
        json!({"networkPolicy": {"apiServerPort": 0}}),
    ] {
        refused(values);
    }
}
