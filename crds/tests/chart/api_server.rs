//! What a real API server makes of the chart and of the examples.

use crate::render::{KUBERNETES, helm, root};
use serde_json::json;
use std::{
    fs,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};
use testkit::ControlPlane;

/// Everything that can be switched on, so that the API server sees each object and field that the chart can render.
fn everything() -> String {
    json!({
        "watchNamespaces": ["default", "kube-public"],
        "networkPolicy": {"enabled": true}, "metricsService": {"enabled": true},
        "imagePullSecrets": [{"name": "pull"}], "nodeSelector": {"disk": "fast"}, "hostUsers": false,
        "tolerations": [{"key": "shop", "operator": "Exists", "effect": "NoSchedule"}],
        "podLabels": {"team": "shop"}, "podAnnotations": {"note": "text"},
    })
    .to_string()
}

fn run(control_plane: &ControlPlane, arguments: &[&str], values: &str) -> String {
    let command = helm(arguments, values, |helm: &mut Command| {
        helm.env("KUBECONFIG", control_plane.kubeconfig());
    });
    command.unwrap_or_else(|error| panic!("helm {arguments:?}: {error}"))
}

/// Would the API server take the file? helm only warns of a field that nobody knows, and hides the warning.
fn take(control_plane: &ControlPlane, file: &Path) {
    let file = file.display().to_string();
    let create = ["create", "--dry-run=server", "--validate=strict", "-f", &file];
    control_plane.kubectl(&create).unwrap();
}

/// The API server sees a new Role a moment later than it takes it.
fn until(holds: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < deadline, "the rights of the operator did not follow in 20 s");
    }
}

#[test]
fn an_api_server_takes_all_of_it_and_after_an_uninstall_still_takes_the_examples() {
    let control_plane = ControlPlane::start();
    let template =
        ["template", "shop", "helm/shopkeeper", "--values", "-", "--kube-version", KUBERNETES];
    let rendered = Path::new(env!("CARGO_TARGET_TMPDIR")).join("chart.yaml");
    fs::write(&rendered, run(&control_plane, &template, &everything())).unwrap();
    take(&control_plane, &rendered);

    let install = ["install", "shop", "helm/shopkeeper", "--namespace", "default", "--values", "-"];
    let notes = run(&control_plane, &install, &everything());
    for said in ["not authenticated yet", "kubectl apply --namespace default -f examples/inventory"]
    {
        assert!(notes.contains(said), "{said}: {notes}");
    }
    let may = |what: &[&str], namespace: &str| {
        let account = "--as=system:serviceaccount:default:shop-shopkeeper";
        let ask = [&["auth", "can-i"], what, &[account, "--namespace", namespace]].concat();
        control_plane.kubectl(&ask).is_ok_and(|answer| answer.trim() == "yes")
    };
    let create = ["create", "deployments.apps"];
    until(|| may(&create, "default") && may(&create, "kube-public"));
    assert!(may(&["patch", "inventoryservices.shopkeeper.dev", "--subresource=status"], "default"));
    assert!(!may(&["patch", "inventoryservices.shopkeeper.dev"], "default"));
    assert!(!may(&create, "kube-system"));
    assert!(!may(&["get", "secrets"], "default"));

    run(&control_plane, &["uninstall", "shop", "--namespace", "default"], "");
    until(|| !may(&create, "default") && !may(&create, "kube-public"));
    for file in ["goods-sqlite", "goods-mysql", "inventory-sqlite", "inventory-mysql"] {
        take(&control_plane, &root().join(format!("examples/{file}.yaml")));
    }
}
