//! The operator's pod.

use crate::render::{container, environment, only, pod, render};
use serde_json::{Value, json};

#[test]
fn the_pod_meets_the_restricted_standard_and_holds_a_projected_token_only() {
    let objects = render(json!({}));
    let (pod, container) = (pod(&objects), container(&objects));
    let seccomp = json!({"type": "RuntimeDefault"});
    let of_pod = json!({
        "runAsNonRoot": true, "runAsUser": 65532, "runAsGroup": 65532, "fsGroup": 65532, "seccompProfile": seccomp,
    });
    assert_eq!(pod["securityContext"], of_pod);
    let of_container = json!({
        "allowPrivilegeEscalation": false, "privileged": false, "readOnlyRootFilesystem": true, "runAsNonRoot": true,
        "runAsUser": 65532, "runAsGroup": 65532, "capabilities": {"drop": ["ALL"]}, "seccompProfile": seccomp,
    });
    assert_eq!(container["securityContext"], of_container);
    assert_eq!(only(&objects, "ServiceAccount")["automountServiceAccountToken"], false);
    assert_eq!(
        (&pod["automountServiceAccountToken"], &pod["enableServiceLinks"]),
        (&json!(false), &json!(false))
    );
    for risky in ["hostNetwork", "hostPID", "hostIPC", "hostUsers", "initContainers"] {
        assert!(pod.get(risky).is_none(), "{risky}");
    }
    let volumes = pod["volumes"].as_array().unwrap();
    let sources = volumes[0]["projected"]["sources"].as_array().unwrap();
    assert_eq!((volumes.len(), sources.len()), (1, 3));
    assert_eq!(sources[0]["serviceAccountToken"]["expirationSeconds"], 3600);
    let mount = "/var/run/secrets/kubernetes.io/serviceaccount";
    assert_eq!(
        container["volumeMounts"],
        json!([{"name": "token", "mountPath": mount, "readOnly": true}])
    );
    let path = |probe: &str| container[probe]["httpGet"]["path"].as_str().unwrap().to_owned();
    assert_eq!(
        ["startupProbe", "livenessProbe", "readinessProbe"].map(path),
        ["/livez", "/livez", "/readyz"]
    );
    assert_eq!(container["ports"], json!([{"name": "admin", "containerPort": 9090}]));
    assert!(
        container["resources"]["requests"]["cpu"].is_string()
            && container["resources"]["limits"]["memory"].is_string()
    );
}

#[test]
fn an_image_is_named_by_its_own_tag_or_the_common_one_or_the_version_and_a_digest_wins() {
    let version = env!("CARGO_PKG_VERSION");
    let digest = format!("sha256:{}", "0123456789abcdef".repeat(4));
    let images = |images: Value| {
        let objects = render(json!({"images": images}));
        let goods = environment(&objects, "SHOPKEEPER_GOODS_IMAGE");
        [
            container(&objects)["image"].clone(),
            goods,
            environment(&objects, "SHOPKEEPER_INVENTORY_IMAGE"),
        ]
    };
    let local = |tags: [&str; 3]| {
        let [operator, goods, inventory] = tags;
        [
            format!("operator{operator}"),
            format!("goods-srv{goods}"),
            format!("inventory-srv{inventory}"),
        ]
        .map(|image| json!(format!("shopkeeper.local/{image}")))
    };
    let of_version = format!(":{version}");
    assert_eq!(images(json!({})), local([&of_version; 3]));
    assert_eq!(images(json!({"tag": "t"})), local([":t"; 3]));
    let (tagged, pinned) = (json!({"tag": "own"}), json!({"tag": "own", "digest": digest}));
    let expected = local([":t", ":own", &format!("@{digest}")]);
    assert_eq!(images(json!({"tag": "t", "goods": tagged, "inventory": pinned})), expected);
    assert_eq!(container(&render(json!({})))["imagePullPolicy"], "IfNotPresent");
}

#[test]
fn every_setting_of_the_pod_arrives_in_it() {
    let affinity = json!({"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}});
    let resources = json!({"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"memory": "1Gi"}});
    let settings = json!({
        "imagePullSecrets": [{"name": "pull"}], "nodeSelector": {"disk": "fast"}, "affinity": affinity,
        "tolerations": [{"key": "shop", "operator": "Exists"}], "priorityClassName": "high", "hostUsers": false,
    });
    let mut values = settings.clone();
    values["podLabels"] = json!({"team": "shop"});
    values["podAnnotations"] = json!({"note": "text"});
    values["resources"] = resources.clone();
    values["log"] = json!({"level": "debug", "format": "text"});
    let objects = render(values);
    for (setting, value) in settings.as_object().unwrap() {
        assert_eq!(&pod(&objects)[setting], value, "{setting}");
    }
    let metadata = &only(&objects, "Deployment")["spec"]["template"]["metadata"];
    assert_eq!(
        (&metadata["labels"]["team"], &metadata["annotations"]["note"]),
        (&json!("shop"), &json!("text"))
    );
    assert_eq!(container(&objects)["resources"], resources);
    assert_eq!(environment(&objects, "SHOPKEEPER_LOG_LEVEL"), "debug");
    assert_eq!(environment(&objects, "SHOPKEEPER_LOG_FORMAT"), "text");
}
