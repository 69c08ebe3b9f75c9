//! Away with what the demo made, and with nothing else.

use crate::{
    arguments::Arguments,
    install::{self, RELEASE},
    shell::{Shell, line},
    stage::Stage,
};
use anyhow::{Context, Result};
use e2e::cluster::Cluster;
use k8s_openapi::{
    api::core::v1::{Namespace, PersistentVolume},
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{Api, ResourceExt, api::ListParams};
use serde_json::Value;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The definitions that the chart brings.
pub(crate) const DEFINITIONS: [&str; 2] =
    ["goodsservices.shopkeeper.dev", "inventoryservices.shopkeeper.dev"];
/// The label of what one run of the demo made.
const LABEL: &str = "shopkeeper.dev/demo";
/// How long a volume that the cluster made for us may take to go after its claim.
const VOLUMES_GO: Duration = Duration::from_secs(60);
const BETWEEN_LOOKS: Duration = Duration::from_millis(500);

/// What one run of the demo makes carries its mark from the first moment, so that a run that is interrupted anywhere
/// knows its own things from those of others.
pub(crate) struct Mark(String);

impl Mark {
    pub(crate) fn new() -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(format!("{}-{}", now.as_secs(), std::process::id()))
    }

    /// Puts it on an object that is to be made.
    pub(crate) fn put_on(&self, object: &mut Value) {
        object["metadata"]["labels"][LABEL] = Value::from(self.0.as_str());
    }

    fn is_on(&self, object: &impl ResourceExt) -> bool {
        object.labels().get(LABEL) == Some(&self.0)
    }
}

/// Removes what the demo made; with `--keep` says how.
pub(crate) async fn clear_away(arguments: &Arguments, mark: &Mark, stage: &Stage) -> Result<()> {
    if !arguments.keep {
        let kept =
            remove(arguments, mark).await.context("what the demo made could not be removed")?;
        let but = match kept {
            None => String::new(),
            Some(volumes) => format!(" but the volumes {volumes}, which their storage class keeps"),
        };
        stage.say(&format!("\nEverything that the demo made is removed{but}."));
        stage.say("`cargo xtask demo --keep` leaves it running.");
        return Ok(());
    }
    stage.say("\nEverything is left running. To remove it:");
    if arguments.context.is_none() {
        stage.say("  cargo xtask cluster down");
        return Ok(());
    }
    let cluster = install::connect(arguments).await?;
    stage.say(&format!("  {}", Shell::of(arguments).setup));
    for step in steps(arguments, &cluster, mark).await? {
        stage.say(&format!("  {step}"));
    }
    Ok(())
}

/// Gives the names of volumes that stayed.
async fn remove(arguments: &Arguments, mark: &Mark) -> Result<Option<String>> {
    let cluster = install::connect(arguments).await?;
    let shell = Shell::of(arguments);
    let steps = steps(arguments, &cluster, mark).await?;
    // A step that fails must not keep the others from what they can remove.
    let mut outcome = Ok(());
    for step in steps {
        outcome = outcome.and(shell.run(&step).await.map(drop));
    }
    outcome?;
    kept_volumes(&cluster, &arguments.namespace).await
}

/// The shell lines that remove what carries the mark, and the definitions that our release brought. The release's own
/// cluster-wide objects go with it; of what it keeps there are only the definitions.
async fn steps(arguments: &Arguments, cluster: &Cluster, mark: &Mark) -> Result<Vec<String>> {
    let (client, namespace) = (&cluster.client, arguments.namespace.as_str());
    let mut steps = Vec::new();
    let namespaces: Api<Namespace> = Api::all(client.clone());
    if namespaces.get_opt(namespace).await?.is_some_and(|found| mark.is_on(&found)) {
        let uninstall = ["uninstall", RELEASE, "--namespace", namespace, "--ignore-not-found"];
        let uninstall = [uninstall.as_slice(), &["--wait", "--timeout", "60s"]].concat();
        steps.push(line("helm", cluster.helm_arguments(&uninstall)));
        let delete = ["delete", "namespace", namespace, "--timeout=120s"];
        steps.push(line("kubectl", cluster.kubectl_arguments(&delete)));
    }
    let volumes: Api<PersistentVolume> = Api::all(client.clone());
    let volumes =
        volumes.list(&ListParams::default().labels(&format!("{LABEL}={}", mark.0))).await?;
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    let mut ours = Vec::new();
    for name in DEFINITIONS {
        let found = definitions.get_opt(name).await?;
        ours.extend(found.filter(|found| is_of_our_release(found, namespace)));
    }
    for (kind, names) in [("persistentvolume", names(&volumes.items)), ("crd", names(&ours))] {
        if !names.is_empty() {
            let delete = ["delete", kind, "--timeout=60s"]
                .into_iter()
                .chain(names.iter().map(String::as_str));
            steps.push(line("kubectl", cluster.kubectl_arguments(&delete.collect::<Vec<_>>())));
        }
    }
    Ok(steps)
}

/// What Helm writes on all that it makes.
fn is_of_our_release(definition: &CustomResourceDefinition, namespace: &str) -> bool {
    let says = |what: &str| definition.annotations().get(what).map(String::as_str);
    says("meta.helm.sh/release-name") == Some(RELEASE)
        && says("meta.helm.sh/release-namespace") == Some(namespace)
}

fn names(objects: &[impl ResourceExt]) -> Vec<String> {
    objects.iter().map(ResourceExt::name_any).collect()
}

/// Volumes that the cluster itself made for our claims go after them, unless their storage class says that they stay.
async fn kept_volumes(cluster: &Cluster, namespace: &str) -> Result<Option<String>> {
    let volumes: Api<PersistentVolume> = Api::all(cluster.client.clone());
    let start = Instant::now();
    loop {
        let mut left = volumes.list(&ListParams::default()).await?.items;
        left.retain(|volume| {
            let claim = volume.spec.as_ref().and_then(|spec| spec.claim_ref.as_ref());
            claim.is_some_and(|claim| claim.namespace.as_deref() == Some(namespace))
        });
        match left.is_empty() {
            true => return Ok(None),
            false if start.elapsed() > VOLUMES_GO => return Ok(Some(names(&left).join(", "))),
            false => tokio::time::sleep(BETWEEN_LOOKS).await,
        }
    }
}
