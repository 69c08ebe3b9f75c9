//! Which crate may depend on which, from `cargo metadata` and the lock file.

use super::{
    Finding,
    manifests::section,
    source::{Source, is_word},
};
use crate::workspace;
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Our crates, and those of ours that each may depend on. The picture stands in ARCHITECTURE.md.
const MAY_USE: [(&str, &[&str]); 14] = [
    ("proto", &[]),
    ("srv-config", &[]),
    ("srv-runtime", &["srv-config"]),
    ("crds", &["srv-config"]),
    ("operator", &["crds", "srv-config", "srv-runtime"]),
    ("goods-srv", &["proto", "srv-config", "srv-runtime"]),
    ("inventory-srv", &["lease-lock", "proto", "srv-config", "srv-runtime"]),
    ("lease-lock", &[]),
    ("testkit", &[]),
    ("bench", &["crds", "e2e", "inventory-srv", "proto", "srv-config", "srv-runtime", "testkit"]),
    ("faults", &["e2e", "inventory-srv", "proto", "srv-config", "testkit"]),
    ("oversell", &["inventory-srv", "srv-config", "srv-runtime", "testkit"]),
    ("e2e", &["crds", "proto", "srv-config", "testkit"]),
    ("xtask", &["testkit"]),
];

/// What tests of any crate may use besides.
const TESTS_MAY_USE: [&str; 1] = ["testkit"];

/// Crates of others that a crate of ours must not know, and why.
const MUST_NOT_KNOW: [(&str, &[&str], &str); 7] = [
    (
        "goods-srv",
        &["kube", "k8s-openapi", "redis"],
        "a service knows no Kubernetes, and Redis only behind lease-lock",
    ),
    (
        "inventory-srv",
        &["kube", "k8s-openapi"],
        "a service knows no Kubernetes; srv-runtime watches its configuration",
    ),
    (
        "operator",
        &["sqlx", "redis", "tonic", "prost"],
        "the operator knows no SQL, no Redis and no wire contract",
    ),
    ("crds", &["sqlx", "redis", "tonic", "tokio"], "a custom resource is plain data"),
    (
        "srv-config",
        &["kube", "k8s-openapi", "sqlx", "redis", "tonic", "tokio"],
        "a configuration is plain data",
    ),
    (
        "lease-lock",
        &["kube", "sqlx", "tonic"],
        "the lock is a library that knows Redis and nothing else",
    ),
    (
        "xtask",
        &["tokio", "kube", "tonic", "sqlx"],
        "xtask is the first thing that a newcomer waits for",
    ),
];

/// Two versions of one of these in one process do not fit together: their types look alike and are not.
const ONE_VERSION: [&str; 4] = ["tonic", "prost", "hyper", "rustls"];

/// What cargo says about the workspace.
pub fn metadata() -> Result<Value> {
    let mut cargo = workspace::cargo();
    let output = cargo.args(["metadata", "--no-deps", "--format-version", "1"]).output()?;
    ensure!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).context("cargo metadata gives JSON")
}

/// Checks the edges between crates.
pub fn check(metadata: &Value) -> Vec<Finding> {
    let mut findings = Vec::new();
    for package in list(metadata, "packages") {
        let name = text(package, "name");
        let Some((_, may_use)) = MAY_USE.iter().find(|(known, _)| *known == name) else {
            findings.push(Finding {
                at: format!("{name}/Cargo.toml"),
                wrong: format!("`{name}` is not in the list of our crates"),
                why: "every crate has a place in the picture, and says whom it may know",
                remedy: "give it a line in MAY_USE in xtask/src/tidy/crates.rs, and a place in ARCHITECTURE.md",
            });
            continue;
        };
        for dependency in list(package, "dependencies") {
            findings.extend(edge(name, may_use, dependency));
        }
    }
    findings
}

fn edge(from: &str, may_use: &[&str], dependency: &Value) -> Option<Finding> {
    let to = text(dependency, "name");
    let for_tests = text(dependency, "kind") == "dev";
    let ours = MAY_USE.iter().any(|(known, _)| *known == to);
    let finding = |why, remedy| {
        Some(Finding {
            at: format!("{from}/Cargo.toml"),
            wrong: format!("`{from}` depends on `{to}`"),
            why,
            remedy,
        })
    };
    if ours && !may_use.contains(&to) && !(for_tests && TESTS_MAY_USE.contains(&to)) {
        let why = "the walls of the house stand between these two (ARCHITECTURE.md)";
        return finding(why, "move what both need to a crate that both may know");
    }
    let (_, _, why) =
        MUST_NOT_KNOW.iter().find(|(crate_, banned, _)| *crate_ == from && banned.contains(&to))?;
    if for_tests {
        return None;
    }
    finding(why, "take the dependency out; the part that needs it belongs to another crate")
}

/// Checks that the lock file holds one version of what must be one.
pub fn one_version(lock: &str) -> Vec<Finding> {
    let mut versions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let mut lines = lock.lines();
    while let Some(line) = lines.next() {
        let (Some(name), Some(version)) = (quoted(line, "name = "), lines.clone().next()) else {
            continue;
        };
        versions.entry(name).or_default().extend(quoted(version, "version = "));
    }
    ONE_VERSION
        .iter()
        .filter(|name| versions.get(**name).is_some_and(|found| found.len() > 1))
        .map(|name| Finding {
            at: "Cargo.lock".to_owned(),
            wrong: format!("`{name}` is there in {} versions", versions[name].len()),
            why: "their types look alike and do not fit together",
            remedy: "`cargo tree -i NAME` shows who asks for each; bring them to one",
        })
        .collect()
}

/// Checks that some crate asks for every version that the root's manifest names.
pub fn unasked(metadata: &Value, root: &str) -> Vec<Finding> {
    let asked: BTreeSet<&str> = list(metadata, "packages")
        .flat_map(|package| list(package, "dependencies"))
        .map(|dependency| dependency["rename"].as_str().unwrap_or(text(dependency, "name")))
        .collect();
    section(root, "workspace.dependencies")
        .filter_map(|(line, entry)| Some((line, entry.split_once(" = ")?.0)))
        .filter(|(_, name)| !asked.contains(name))
        .map(|(line, name)| Finding {
            at: format!("Cargo.toml:{line}"),
            wrong: format!("no crate asks for `{name}`"),
            why: "a version stands there for a use that stands in the code",
            remedy: "take it out",
        })
        .collect()
}

/// Checks that every dependency is named by the code that asks for it. A dependency that only generated code or a
/// feature needs says so in a comment behind it.
pub fn unused(metadata: &Value, sources: &[Source]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for package in list(metadata, "packages") {
        let folder = format!("{}/", text(package, "name"));
        let manifest = std::fs::read_to_string(text(package, "manifest_path")).unwrap_or_default();
        for dependency in list(package, "dependencies") {
            let name = dependency["rename"].as_str().unwrap_or(text(dependency, "name"));
            let written = name.replace('-', "_");
            let named = sources.iter().any(|source| {
                source.path.starts_with(&folder)
                    && source.code.split(|l| !is_word(l)).any(|w| w == written)
            });
            let explained = manifest.lines().any(|line| is_entry(line, name) && line.contains('#'));
            if !named && !explained {
                findings.push(Finding {
                    at: format!("{folder}Cargo.toml"),
                    wrong: format!("nothing in {folder} names `{name}`"),
                    why: "a dependency stands for a use that stands in the code",
                    remedy: "take it out, or say behind it in a comment who needs it",
                });
            }
        }
    }
    findings
}

fn is_entry(line: &str, name: &str) -> bool {
    line.trim().strip_prefix(name).is_some_and(|rest| rest.starts_with(['.', ' ', '=']))
}

fn quoted<'a>(line: &'a str, key: &str) -> Option<&'a str> {
    line.strip_prefix(key)?.strip_prefix('"')?.strip_suffix('"')
}

fn list<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    value[key].as_array().into_iter().flatten()
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn workspace_of(from: &str, to: &str, kind: Value) -> Value {
        json!({"packages": [{"name": from, "dependencies": [{"name": to, "kind": kind}]}]})
    }

    #[test]
    fn an_edge_through_a_wall_is_caught() {
        for (from, to) in [
            ("operator", "proto"),
            ("goods-srv", "inventory-srv"),
            ("inventory-srv", "crds"),
            ("srv-config", "crds"),
            ("operator", "sqlx"),
            ("operator", "redis"),
            ("goods-srv", "kube"),
            ("goods-srv", "redis"),
        ] {
            let found = check(&workspace_of(from, to, Value::Null));
            assert_eq!(found.len(), 1, "{from} -> {to}: {found:?}");
        }
    }

    #[test]
    fn edges_of_the_picture_pass() {
        assert_eq!(check(&workspace_of("operator", "crds", Value::Null)), []);
        assert_eq!(check(&workspace_of("goods-srv", "testkit", json!("dev"))), []);
        assert_eq!(check(&workspace_of("goods-srv", "testkit", Value::Null)).len(), 1);
    }

    #[test]
    fn a_crate_without_a_place_is_caught() {
        assert!(check(&workspace_of("shiny", "serde", Value::Null))[0].wrong.contains("`shiny`"));
    }

    #[test]
    fn two_versions_of_tonic_are_caught() {
        let entry = |name: &str, version: &str| {
            format!("[[package]]\nname = \"{name}\"\nversion = \"{version}\"\n")
        };
        let two = |name| entry(name, "1.0.0") + &entry(name, "2.0.0");
        assert!(one_version(&two("tonic"))[0].wrong.contains("`tonic`"));
        assert_eq!(one_version(&two("syn")), []);
    }

    #[test]
    fn a_version_that_nobody_asks_for_is_caught() {
        let root = "[workspace.dependencies]\n# data\nserde = \"1\"\nrand = { version = \"1\", features = [\n]}\n";
        let found = unasked(&workspace_of("x", "serde", Value::Null), root);
        assert_eq!(
            found.iter().map(|finding| finding.at.as_str()).collect::<Vec<_>>(),
            ["Cargo.toml:4"]
        );
    }

    #[test]
    fn a_dependency_that_nothing_names_is_caught() {
        let found = |to, code: &str| {
            unused(
                &workspace_of("x", to, Value::Null),
                &[Source::new("x/src/a.rs".into(), code.into())],
            )
        };
        assert!(found("serde-yaml", "use serde;")[0].wrong.contains("`serde-yaml`"));
        assert_eq!(found("serde-yaml", "serde_yaml::to_string(x)"), []);
    }
}
