//! A real API server as a guard: it answers, enforces RBAC, and every write can be counted.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::process::Command;
use std::time::{Duration, Instant};

use testkit::kubernetes::Write;
use testkit::{ControlPlane, kubernetes};

/// Long enough for a loaded machine, short enough that a hang fails the test and not the whole run.
const WITHIN: Duration = Duration::from_secs(30);

/// The writes into `namespace` since `mark`, waited for until there are at least `count`.
fn writes_into(namespace: &str, mark: kubernetes::Mark, count: usize) -> Vec<Write> {
    let deadline = Instant::now() + WITHIN;
    loop {
        let mut writes = ControlPlane::shared().audit().writes_since(mark).unwrap();
        writes.retain(|write| write.namespace == namespace);
        if writes.len() >= count || Instant::now() > deadline {
            return writes;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn the_api_server_answers_and_is_of_the_pinned_version() {
    let said = ControlPlane::shared().kubectl(&["version", "-o", "json"]).unwrap();
    let version: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert!(
        version["serverVersion"]["gitVersion"].as_str().unwrap().starts_with("v1.36."),
        "{said}"
    );
}

#[test]
fn every_write_is_counted_and_no_read_is() {
    let api = ControlPlane::shared();
    api.kubectl(&["create", "namespace", "counted"]).unwrap();
    let start = api.audit().mark();
    api.kubectl(&["-n", "counted", "create", "configmap", "earlier"]).unwrap();
    assert_eq!(writes_into("counted", start, 1).len(), 1);
    let mark = api.audit().mark();
    api.kubectl(&["-n", "counted", "create", "configmap", "a", "--from-literal=n=1"]).unwrap();
    api.kubectl(&["-n", "counted", "get", "configmap", "a"]).unwrap();
    api.kubectl(&["-n", "counted", "patch", "configmap", "a", "-p", r#"{"data":{"n":"2"}}"#])
        .unwrap();
    api.kubectl(&["-n", "counted", "delete", "configmap", "a"]).unwrap();
    let writes = writes_into("counted", mark, 3);
    let written: Vec<_> = writes.iter().map(|write| (write.verb.as_str(), write.code)).collect();
    assert_eq!(written, [("create", 201), ("patch", 200), ("delete", 200)]);
    assert!(
        writes
            .iter()
            .all(|write| (write.user.as_str(), write.resource.as_str()) == ("admin", "configmaps"))
    );
}

#[test]
fn another_user_may_do_nothing_until_a_role_says_so() {
    let api = ControlPlane::shared();
    let user = "system:serviceaccount:default:operator";
    let kubeconfig = api.kubeconfig_for(user);
    let may = |verb: &str| {
        let mut kubectl = Command::new(kubernetes::binaries::find("kubectl").unwrap());
        let asked =
            kubectl.arg("--kubeconfig").arg(&kubeconfig).args(["auth", "can-i", verb, "secrets"]);
        String::from_utf8(asked.output().unwrap().stdout).unwrap().trim() == "yes"
    };
    assert!(!may("get"));
    api.kubectl(&["create", "role", "reader", "--verb=get", "--resource=secrets"]).unwrap();
    api.kubectl(&[
        "create",
        "rolebinding",
        "reader",
        "--role=reader",
        "--serviceaccount=default:operator",
    ])
    .unwrap();
    let deadline = Instant::now() + WITHIN;
    while !may("get") {
        assert!(Instant::now() < deadline, "the role has no effect");
    }
    assert!(!may("list"));
}

#[test]
fn a_restarted_api_server_keeps_its_objects_and_its_address() {
    let api = ControlPlane::start();
    api.kubectl(&["create", "namespace", "kept"]).unwrap();
    api.pause();
    api.kubectl(&["get", "namespace", "kept", "--request-timeout=300ms"]).unwrap_err();
    api.resume();
    api.restart_api_server();
    api.kubectl(&["get", "namespace", "kept"]).unwrap();
}

#[test]
fn with_controllers_an_orphan_is_collected() {
    let api = ControlPlane::options().controllers().start().unwrap();
    api.kubectl(&["create", "configmap", "owner"]).unwrap();
    let uid =
        api.kubectl(&["get", "configmap", "owner", "-o", "jsonpath={.metadata.uid}"]).unwrap();
    api.kubectl(&["create", "configmap", "child"]).unwrap();
    let owner = format!(r#"{{"apiVersion":"v1","kind":"ConfigMap","name":"owner","uid":"{uid}"}}"#);
    let patch = format!(r#"{{"metadata":{{"ownerReferences":[{owner}]}}}}"#);
    api.kubectl(&["patch", "configmap", "child", "-p", &patch]).unwrap();
    api.kubectl(&["delete", "configmap", "owner"]).unwrap();
    api.kubectl(&["wait", "--for=delete", "configmap/child", "--timeout=60s"]).unwrap();
}
