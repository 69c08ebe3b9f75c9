//! Who may do what.

use crate::render::{only, pod, render};
use serde_json::{Value, json};
use std::collections::BTreeSet;

const CHILD: &[&str] = &["get", "list", "watch", "create", "patch", "delete"];
const READ: &[&str] = &["get", "list", "watch"];
/// All that the operator may do: group, resource, verbs. A Lease is missing until it holds one.
const RIGHTS: [(&str, &str, &[&str]); 20] = [
    ("", "configmaps", CHILD),
    ("", "persistentvolumeclaims", &["get", "create"]),
    ("", "pods", READ),
    ("", "serviceaccounts", CHILD),
    ("", "services", CHILD),
    ("apps", "controllerrevisions", CHILD),
    ("apps", "deployments", CHILD),
    ("autoscaling", "horizontalpodautoscalers", CHILD),
    ("discovery.k8s.io", "endpointslices", READ),
    ("events.k8s.io", "events", &["create", "patch"]),
    ("networking.k8s.io", "networkpolicies", CHILD),
    ("policy", "poddisruptionbudgets", CHILD),
    ("rbac.authorization.k8s.io", "rolebindings", CHILD),
    ("rbac.authorization.k8s.io", "roles", CHILD),
    ("shopkeeper.dev", "goodsservices", READ),
    ("shopkeeper.dev", "goodsservices/finalizers", &["update"]),
    ("shopkeeper.dev", "goodsservices/status", &["patch"]),
    ("shopkeeper.dev", "inventoryservices", READ),
    ("shopkeeper.dev", "inventoryservices/finalizers", &["update"]),
    ("shopkeeper.dev", "inventoryservices/status", &["patch"]),
];

/// Group, resource and verb of each right; there is nothing else in a rule.
fn rights(role: &Value) -> BTreeSet<[String; 3]> {
    let words = |rule: &Value, of: &str| -> Vec<String> {
        rule[of].as_array().unwrap().iter().map(|word| word.as_str().unwrap().to_owned()).collect()
    };
    let mut rights = BTreeSet::new();
    for rule in role["rules"].as_array().unwrap() {
        assert_eq!(rule.as_object().unwrap().len(), 3, "{rule}");
        for group in words(rule, "apiGroups") {
            for resource in words(rule, "resources") {
                rights.extend(
                    words(rule, "verbs")
                        .into_iter()
                        .map(|verb| [group.clone(), resource.clone(), verb]),
                );
            }
        }
    }
    rights
}

#[test]
fn the_operator_may_do_what_is_listed_here_and_no_more() {
    let listed: BTreeSet<_> = RIGHTS
        .iter()
        .flat_map(|(group, resource, verbs)| {
            verbs.iter().map(|verb| [*group, *resource, *verb].map(str::to_owned))
        })
        .collect();
    for (values, kind, roles) in
        [(json!({}), "ClusterRole", 1), (json!({"watchNamespaces": ["a", "b"]}), "Role", 2)]
    {
        let objects = render(values);
        let of_the_operator: Vec<_> = objects
            .iter()
            .filter(|object| object["kind"] == kind)
            .filter(|role| {
                role["metadata"]["labels"]
                    .get("rbac.authorization.k8s.io/aggregate-to-admin")
                    .is_none()
            })
            .collect();
        assert_eq!(of_the_operator.len(), roles, "{kind}");
        of_the_operator.iter().for_each(|role| assert_eq!(rights(role), listed));
    }
}

#[test]
fn nobody_gets_a_wildcard_and_every_binding_is_for_the_operators_own_account() {
    for values in [json!({}), json!({"watchNamespaces": ["a"]})] {
        let objects = render(values);
        for object in &objects {
            if object["kind"].as_str().unwrap().ends_with("Role") {
                let starred = rights(object)
                    .into_iter()
                    .find(|right| right.iter().any(|word| word.contains('*')));
                assert_eq!(starred, None);
            }
            if object["kind"].as_str().unwrap().ends_with("Binding") {
                let account = json!({"kind": "ServiceAccount", "name": "shop-shopkeeper", "namespace": "system"});
                assert_eq!(object["subjects"], json!([account]));
            }
        }
        assert_eq!(
            pod(&objects)["serviceAccountName"],
            only(&objects, "ServiceAccount")["metadata"]["name"]
        );
    }
}

#[test]
fn users_get_the_resources_by_the_roles_they_have_and_never_the_status() {
    let objects = render(json!({}));
    for (suffix, groups) in [("-view", 3), ("-edit", 2)] {
        let role = objects
            .iter()
            .find(|role| {
                role["kind"] == "ClusterRole"
                    && role["metadata"]["name"].as_str().unwrap().ends_with(suffix)
            })
            .unwrap();
        let labels = role["metadata"]["labels"].as_object().unwrap();
        let aggregated = labels.keys().filter(|label| label.contains("/aggregate-to-")).count();
        assert_eq!(aggregated, groups, "{suffix}");
        for [group, resource, verb] in rights(role) {
            assert_eq!(group, crds::GROUP);
            assert!(
                !resource.ends_with("/status") || READ.contains(&verb.as_str()),
                "{verb} {resource}"
            );
        }
    }
}
