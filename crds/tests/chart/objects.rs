//! Which objects there are, by the switches of the values.

use crate::render::{difference, environment, named, only, render, render_on};
use serde_json::json;

#[test]
fn the_default_values_set_up_one_operator_its_rights_and_both_definitions() {
    let objects = render(json!({}));
    let expected = [
        "ClusterRole /shop-shopkeeper-system",
        "ClusterRole /shop-shopkeeper-system-edit",
        "ClusterRole /shop-shopkeeper-system-view",
        "ClusterRoleBinding /shop-shopkeeper-system",
        "CustomResourceDefinition /goodsservices.shopkeeper.dev",
        "CustomResourceDefinition /inventoryservices.shopkeeper.dev",
        "Deployment system/shop-shopkeeper",
        "ServiceAccount system/shop-shopkeeper",
    ];
    assert_eq!(named(&objects), expected.map(str::to_owned).into());
    let deployment = &only(&objects, "Deployment")["spec"];
    assert_eq!(deployment["replicas"], 1);
    assert_eq!(deployment["strategy"], json!({"type": "Recreate"}));
    let labels = deployment["template"]["metadata"]["labels"].as_object().unwrap();
    for (label, value) in deployment["selector"]["matchLabels"].as_object().unwrap() {
        assert_eq!(labels.get(label), Some(value));
    }
}

#[test]
fn a_kubernetes_older_than_the_chart_says_is_refused() {
    assert!(render_on("1.30.0-eks-1", &json!({})).is_ok());
    let error = render_on("1.29.9", &json!({})).unwrap_err();
    assert!(error.contains("1.30"), "{error}");
}

#[test]
fn each_switch_adds_or_takes_away_what_it_says() {
    let definitions =
        named(&render(json!({}))).into_iter().filter(|name| name.starts_with("Custom")).collect();
    assert_eq!(difference(json!({"crds": {"enabled": false}})), (vec![], definitions));
    let added =
        |values, object: &str| assert_eq!(difference(values), (vec![object.to_owned()], vec![]));
    added(json!({"networkPolicy": {"enabled": true}}), "NetworkPolicy system/shop-shopkeeper");
    added(json!({"metricsService": {"enabled": true}}), "Service system/shop-shopkeeper-metrics");
    for keep in [true, false] {
        let objects = render(json!({"crds": {"keep": keep}}));
        for definition in
            objects.iter().filter(|object| object["kind"] == "CustomResourceDefinition")
        {
            let policy = definition["metadata"]["annotations"].get("helm.sh/resource-policy");
            assert_eq!(policy, keep.then_some(&json!("keep")));
        }
    }
}

#[test]
fn with_namespaces_to_watch_the_operator_has_a_role_in_each_and_none_in_the_cluster() {
    let (added, gone) = difference(json!({"watchNamespaces": ["a", "b"]}));
    assert_eq!(
        gone,
        ["ClusterRole /shop-shopkeeper-system", "ClusterRoleBinding /shop-shopkeeper-system"]
    );
    let roles = ["Role a/shop-shopkeeper", "Role b/shop-shopkeeper"];
    let bindings = ["RoleBinding a/shop-shopkeeper", "RoleBinding b/shop-shopkeeper"];
    assert_eq!(added, [roles, bindings].concat());
    let objects = render(json!({"watchNamespaces": ["a", "b"]}));
    assert_eq!(environment(&objects, "SHOPKEEPER_WATCH_NAMESPACES"), "a,b");
    assert_eq!(environment(&render(json!({})), "SHOPKEEPER_WATCH_NAMESPACES"), "");
}
