//! Renders the chart and finds things in what comes out.

use serde::Deserialize;
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::LazyLock,
};

/// A `helm` built from its module believes in a Kubernetes of 2020 unless it is told.
pub(crate) const KUBERNETES: &str = "1.36.3";

static HELM: LazyLock<PathBuf> = LazyLock::new(|| {
    testkit::go::tool(testkit::go::HELM, &|step| eprintln!("{step}"))
        .expect("helm is there or is built")
});

pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

pub(crate) fn read(file: &str) -> String {
    fs::read_to_string(root().join(file)).unwrap()
}

/// Runs helm in the root of the repository with the values on its standard input: what it prints, or what it says
/// against it.
pub(crate) fn helm(
    arguments: &[&str],
    values: &str,
    prepare: impl Fn(&mut Command),
) -> Result<String, String> {
    let mut helm = Command::new(&*HELM);
    helm.args(arguments).current_dir(root());
    helm.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    prepare(&mut helm);
    let mut helm = helm.spawn().unwrap();
    helm.stdin.take().unwrap().write_all(values.as_bytes()).unwrap();
    let output = helm.wait_with_output().unwrap();
    let said = if output.status.success() { Ok(output.stdout) } else { Err(output.stderr) };
    said.map(|text| String::from_utf8(text).unwrap())
        .map_err(|text| String::from_utf8(text).unwrap())
}

/// The objects that the chart becomes with these values on this version of Kubernetes, or what helm says against it.
pub(crate) fn render_on(kubernetes: &str, values: &Value) -> Result<Vec<Value>, String> {
    let template = ["template", "shop", "helm/shopkeeper", "--namespace", "system"];
    let with = ["--values", "-", "--kube-version", kubernetes];
    let text = helm(&[template.as_slice(), &with].concat(), &values.to_string(), |_| ())?;
    let objects = serde_yaml::Deserializer::from_str(&text)
        .map(|object| Value::deserialize(object).unwrap())
        .filter(|object| !object.is_null());
    Ok(objects.collect())
}

pub(crate) fn render(values: Value) -> Vec<Value> {
    render_on(KUBERNETES, &values).unwrap_or_else(|error| panic!("{values}: {error}"))
}

pub(crate) fn refused(values: Value) -> String {
    match render_on(KUBERNETES, &values) {
        Ok(_) => panic!("the chart takes {values}"),
        Err(error) => error,
    }
}

/// The objects as `Kind namespace/name`; one for the whole cluster has no namespace.
pub(crate) fn named(objects: &[Value]) -> BTreeSet<String> {
    let word = |object: &Value, at: &str| {
        object.pointer(at).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let name = |object: &Value| {
        let (kind, namespace) = (word(object, "/kind"), word(object, "/metadata/namespace"));
        format!("{kind} {namespace}/{}", word(object, "/metadata/name"))
    };
    objects.iter().map(name).collect()
}

pub(crate) fn only<'a>(objects: &'a [Value], kind: &str) -> &'a Value {
    let found: Vec<_> = objects.iter().filter(|object| object["kind"] == kind).collect();
    assert_eq!(found.len(), 1, "{kind}");
    found[0]
}

/// What `values` adds to the default rendering and what it takes away.
pub(crate) fn difference(values: Value) -> (Vec<String>, Vec<String>) {
    let (before, after) = (named(&render(json!({}))), named(&render(values)));
    (after.difference(&before).cloned().collect(), before.difference(&after).cloned().collect())
}

pub(crate) fn pod(objects: &[Value]) -> &Value {
    &only(objects, "Deployment")["spec"]["template"]["spec"]
}

pub(crate) fn container(objects: &[Value]) -> &Value {
    let containers = pod(objects)["containers"].as_array().unwrap();
    assert_eq!(containers.len(), 1);
    &containers[0]
}

pub(crate) fn environment(objects: &[Value], name: &str) -> Value {
    let variables = container(objects)["env"].as_array().unwrap();
    variables.iter().find(|variable| variable["name"] == name).expect(name)["value"].clone()
}
