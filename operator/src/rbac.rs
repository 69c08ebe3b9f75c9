//! What the operator may do in the API, and no more. The chart's `ClusterRole` grants exactly this; a test compares
//! them, and the tests of the operator run with nothing else.

use k8s_openapi::api::rbac::v1::PolicyRule;

const OWN: &[&str] = &["goodsservices", "inventoryservices"];
const OWN_STATUS: &[&str] = &["goodsservices/status", "inventoryservices/status"];
const OWN_FINALIZERS: &[&str] = &["goodsservices/finalizers", "inventoryservices/finalizers"];
const CHILD: &[&str] = &["get", "list", "watch", "create", "patch", "delete"];

/// API group, resources, verbs.
const RULES: [(&str, &[&str], &[&str]); 12] = [
    // What it is told to do, and what it answers.
    (crds::GROUP, OWN, &["get", "list", "watch"]),
    (crds::GROUP, OWN_STATUS, &["patch"]),
    // Owner references that block a foreground deletion ask for this where the API server checks them.
    (crds::GROUP, OWN_FINALIZERS, &["update"]),
    // The children, and those that are to come: revisions, autoscalers, network policies.
    ("", &["configmaps", "serviceaccounts", "services"], CHILD),
    ("apps", &["controllerrevisions", "deployments"], CHILD),
    ("autoscaling", &["horizontalpodautoscalers"], CHILD),
    ("networking.k8s.io", &["networkpolicies"], CHILD),
    ("policy", &["poddisruptionbudgets"], CHILD),
    // A Role may only hold what its creator holds: neither `bind` nor `escalate` is here.
    ("rbac.authorization.k8s.io", &["rolebindings", "roles"], CHILD),
    // Data: made once, never changed, never deleted, never listed.
    ("", &["persistentvolumeclaims"], &["create", "get"]),
    // How the pods are: words of those that fail, and which of them serve.
    ("", &["pods"], &["get", "list", "watch"]),
    ("discovery.k8s.io", &["endpointslices"], &["get", "list", "watch"]),
];

/// The rules of the `ClusterRole` (or of a Role in each watched namespace).
pub fn rules() -> Vec<PolicyRule> {
    let events: (&str, &[&str], &[&str]) = ("events.k8s.io", &["events"], &["create", "patch"]);
    let texts = |words: &[&str]| words.iter().map(ToString::to_string).collect::<Vec<_>>();
    RULES
        .iter()
        .chain([&events])
        .map(|(group, resources, verbs)| PolicyRule {
            api_groups: Some(vec![group.to_string()]),
            resources: Some(texts(resources)),
            verbs: texts(verbs),
            ..PolicyRule::default()
        })
        .collect()
}
