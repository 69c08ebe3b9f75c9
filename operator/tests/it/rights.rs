//! What the operator may do, and what its pods may do.

use crate::world::{World, client, mysql, named};
use k8s_openapi::api::{
    core::v1::ConfigMap,
    rbac::v1::{PolicyRule, Role},
};
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use serde_json::json;
use std::{collections::BTreeSet, path::Path};
use testkit::ControlPlane;

/// Every (group, resource, verb) that rules grant; a rule with anything else in it is refused.
fn grants(rules: &[PolicyRule]) -> BTreeSet<(String, String, String)> {
    let mut grants = BTreeSet::new();
    for rule in rules {
        assert!(rule.resource_names.is_none() && rule.non_resource_urls.is_none(), "{rule:?}");
        for group in rule.api_groups.iter().flatten() {
            for resource in rule.resources.iter().flatten() {
                for verb in &rule.verbs {
                    assert!(![group, resource, verb].iter().any(|word| *word == "*"), "{rule:?}");
                    grants.insert((group.clone(), resource.clone(), verb.clone()));
                }
            }
        }
    }
    grants
}

#[test]
fn the_chart_grants_exactly_what_the_operator_needs() {
    let chart =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../helm/shopkeeper/templates/_names.tpl");
    let text = std::fs::read_to_string(&chart).unwrap();
    let rules =
        text.split_once("{{- define \"shopkeeper.rules\" -}}").expect("the chart's rules").1;
    let rules = rules.split_once("{{- end }}").unwrap().0;
    let rules: Vec<PolicyRule> = serde_yaml::from_str(rules).unwrap();
    assert_eq!(grants(&rules), grants(&operator::rbac::rules()));
}

#[test]
fn the_operator_has_no_right_on_secrets_and_none_to_give_itself_more() {
    let grants = grants(&operator::rbac::rules());
    for (_, resource, verb) in &grants {
        assert!(
            !["secrets", "nodes", "clusterroles", "clusterrolebindings"]
                .contains(&resource.as_str())
        );
        assert!(!resource.contains("exec") && !resource.contains("attach"));
        assert!(!["bind", "escalate", "impersonate", "deletecollection"].contains(&verb.as_str()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_may_watch_its_configuration_and_acknowledge_and_nothing_else() {
    let world = World::new("rights-pod").await;
    world.inventory("inventory", mysql(2)).await;
    world.inventory("other", mysql(2)).await;
    world.until_there::<ConfigMap>("other-config").await;
    world.until_there::<ConfigMap>("inventory-config").await;
    let role = world.until_there::<Role>("inventory").await;
    let granted: Vec<_> = role
        .rules
        .unwrap()
        .into_iter()
        .map(|rule| (rule.verbs, rule.resource_names.unwrap()))
        .collect();
    assert_eq!(
        granted,
        [
            (
                vec!["get".to_owned(), "list".into(), "watch".into()],
                vec!["inventory-config".to_owned()]
            ),
            (vec!["patch".to_owned()], vec!["inventory-config-acks-0".to_owned()]),
        ]
    );
    let account = format!("system:serviceaccount:{}:inventory", world.namespace);
    let pod = client(&ControlPlane::shared().kubeconfig_for(&account)).await;
    let config_maps: Api<ConfigMap> = Api::namespaced(pod, &world.namespace);
    let may = async |verb: &str, name: &str| -> bool {
        let patch = Patch::Merge(json!({"data": {"inventory-a": "{}"}}));
        let done = match verb {
            "get" => config_maps.get(name).await.map(|_| ()),
            "patch" => config_maps.patch(name, &PatchParams::default(), &patch).await.map(|_| ()),
            "list" => {
                let only =
                    kube::api::ListParams::default().fields(&format!("metadata.name={name}"));
                config_maps.list(&only).await.map(|_| ())
            }
            "create" => config_maps
                .create(
                    &Default::default(),
                    &ConfigMap { metadata: named(name), ..Default::default() },
                )
                .await
                .map(|_| ()),
            "delete" => config_maps.delete(name, &Default::default()).await.map(|_| ()),
            other => panic!("{other}"),
        };
        match done {
            Ok(()) => true,
            Err(kube::Error::Api(status)) if status.is_forbidden() => false,
            Err(error) => panic!("{verb} {name}: {error}"),
        }
    };
    // A Role takes a moment until the API server has seen it itself.
    world
        .until("the role holds", || async { may("get", "inventory-config").await.then_some(()) })
        .await;
    assert!(may("list", "inventory-config").await);
    assert!(may("patch", "inventory-config-acks-0").await);
    for (verb, name) in [
        ("patch", "inventory-config"),
        ("delete", "inventory-config"),
        ("get", "inventory-config-acks-0"),
        ("delete", "inventory-config-acks-0"),
        ("get", "other-config"),
        ("patch", "other-config-acks-0"),
        ("create", "another"),
    ] {
        assert!(!may(verb, name).await, "a pod may {verb} {name}");
    }
}
