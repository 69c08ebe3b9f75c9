//! Gets everything that the demo needs and then hands over to it: the release binary `demo` of the crate e2e.

use crate::{image, interrupt::Interrupt, needs, node::Node, progress, workspace};
use anyhow::{Context, Result, ensure};
use std::{path::Path, process::Command, time::Duration};

/// What the chart brings into a cluster for all its namespaces.
const DEFINITIONS: [&str; 2] = ["goodsservices.shopkeeper.dev", "inventoryservices.shopkeeper.dev"];
/// How long an interrupted demo may take to clear away on a cluster that stays: more than its own limits together.
const TO_CLEAR_AWAY: Duration = Duration::from_secs(360);

/// Where the demo plays.
#[derive(clap::Args)]
pub struct Arguments {
    /// A cluster that exists, by the name of its context, instead of a local node
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
    /// Where that cluster gets the images: they are pushed there. Not needed for kind and minikube
    #[arg(long, value_name = "REGISTRY", requires = "context")]
    registry: Option<String>,
    /// The namespace that the demo makes for itself
    #[arg(long, value_name = "NAMESPACE", default_value = "shopkeeper-demo")]
    namespace: String,
    /// Leave everything running and say what to try next
    #[arg(long)]
    keep: bool,
}

/// Builds, brings up, and plays.
pub fn command(arguments: &Arguments) -> Result<()> {
    match &arguments.context {
        None => on_a_node(arguments),
        Some(context) => on_a_cluster(arguments, context),
    }
}

fn on_a_node(arguments: &Arguments) -> Result<()> {
    let node = Node::ready()?;
    let mut demo = demo(arguments, &node.tag)?;
    demo.arg("--kubeconfig").arg(node.kubeconfig()).arg("--kubectl").arg(&node.kubectl);
    demo.arg("--local-volumes").arg(node.volumes());
    let played = node.run(&mut demo);
    if arguments.keep {
        node.keep()?;
        eprintln!("The node stays up until: cargo xtask cluster down");
    }
    progress::handed_over(played?)
}

fn on_a_cluster(arguments: &Arguments, context: &str) -> Result<()> {
    // Before anything long: whatever would refuse in the end refuses now.
    if arguments.registry.is_none() {
        let load =
            load_command(context, Path::new("")).with_context(|| no_way_for_images(context))?;
        let loader = load.get_program();
        let there = Command::new(loader).arg("version").output();
        there.with_context(|| format!("{} cannot be started", loader.display()))?;
    }
    let kubectl = needs::kubectl()?;
    refuse_a_cluster_in_use(|| of_context(&kubectl, context), &arguments.namespace)?;
    refuse_a_cluster_without_storage(|| of_context(&kubectl, context))?;

    let images = image::build()?;
    let mut demo = demo(arguments, &images.tag)?;
    demo.args(["--context", context]).arg("--kubectl").arg(&kubectl);
    let left = match &arguments.registry {
        Some(registry) => {
            images.push(registry)?;
            demo.args(["--registry", registry]);
            format!("The images with the tag {} stay in {registry}.", images.tag)
        }
        None => {
            hand_images_to(context, &images)?;
            format!("The images with the tag {} stay on the nodes of {context}.", images.tag)
        }
    };
    // The demo clears away when it is told to end, and we must outlive it.
    let played = Interrupt::watch()?.run(&mut demo, TO_CLEAR_AWAY);
    eprintln!("{left}");
    progress::handed_over(played?)
}

fn of_context(kubectl: &Path, context: &str) -> Command {
    let mut command = Command::new(kubectl);
    command.args(["--context", context]);
    command
}

/// The demo refuses by itself as well; here it is asked before the images are built and handed over.
fn refuse_a_cluster_in_use(kubectl: impl Fn() -> Command, namespace: &str) -> Result<()> {
    for (kind, name) in
        DEFINITIONS.map(|name| ("crd", name)).into_iter().chain([("namespace", namespace)])
    {
        let has = ask(&kubectl, &["get", kind, name, "--ignore-not-found", "--output", "name"])?;
        ensure!(
            has.is_empty(),
            "the cluster has {kind}/{name} already, and the demo would not know it from its own. What to do: {}",
            match kind {
                "crd" => "take another cluster, or remove it first if nobody needs it",
                _ => "name another with --namespace",
            }
        );
    }
    Ok(())
}

/// Without a default storage class the services' volumes would be waited for in vain.
fn refuse_a_cluster_without_storage(kubectl: impl Fn() -> Command) -> Result<()> {
    /// One line for each class, with its mark if it has one.
    const MARKS: &str = concat!(
        "jsonpath={range .items[*]}",
        r"{.metadata.annotations.storageclass\.kubernetes\.io/is-default-class}",
        r#"{"\n"}{end}"#,
    );
    let marks = ask(&kubectl, &["get", "storageclass", "--output", MARKS])?;
    ensure!(
        marks.lines().any(|mark| mark == "true"),
        "the cluster has no default storage class, so nobody makes the volumes that the services on SQLite ask for. \
         What to do: mark one, `kubectl annotate storageclass NAME storageclass.kubernetes.io/is-default-class=true`"
    );
    Ok(())
}

/// What the cluster answers.
fn ask(kubectl: impl Fn() -> Command, question: &[&str]) -> Result<String> {
    let output = kubectl().args(question).output().context("kubectl cannot be started")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "the cluster cannot be asked what it has: {}", said.trim());
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The demo with what it needs wherever it plays.
fn demo(arguments: &Arguments, tag: &str) -> Result<Command> {
    let mut demo = Command::new(workspace::release_binary("demo"));
    demo.args(["--images-tag", tag]);
    demo.arg("--helm").arg(needs::helm()?);
    demo.arg("--chart").arg(workspace::root().join("helm/shopkeeper"));
    demo.arg("--examples").arg(workspace::root().join("examples"));
    demo.args(["--namespace", &arguments.namespace]);
    if arguments.keep {
        demo.arg("--keep").arg("--grpcurl").arg(needs::grpcurl()?);
    }
    Ok(demo)
}

/// kind and minikube take images from files; of any other cluster we know no way.
fn hand_images_to(context: &str, images: &image::Images) -> Result<()> {
    for archive in images.archives() {
        let mut load =
            load_command(context, archive).with_context(|| no_way_for_images(context))?;
        let name = archive.file_stem().unwrap_or_default().display();
        progress::run(
            &format!("give {context} the image {name}"),
            &mut load,
            "or name a registry: --registry",
        )?;
    }
    Ok(())
}

fn no_way_for_images(context: &str) -> String {
    format!("how does the cluster {context} get the images? Name a registry: --registry HOST/PATH")
}

fn load_command(context: &str, archive: &Path) -> Option<Command> {
    if let Some(cluster) = context.strip_prefix("kind-") {
        let mut kind = Command::new("kind");
        kind.args(["load", "image-archive", "--name", cluster]).arg(archive);
        return Some(kind);
    }
    (context == "minikube").then(|| {
        let mut minikube = Command::new("minikube");
        minikube.args(["image", "load"]).arg(archive);
        minikube
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use testkit::{ControlPlane, kubernetes::binaries};

    #[test]
    fn kind_and_minikube_take_files_and_others_need_a_registry() {
        let said = |context| {
            load_command(context, Path::new("a.tar")).map(|command| format!("{command:?}"))
        };
        assert_eq!(
            said("kind-shop").unwrap(),
            r#""kind" "load" "image-archive" "--name" "shop" "a.tar""#
        );
        assert_eq!(said("minikube").unwrap(), r#""minikube" "image" "load" "a.tar""#);
        assert_eq!(said("production"), None);
    }

    fn kubectl_of(kubeconfig: &Path) -> Command {
        let mut command = of_context(&binaries::find("kubectl").unwrap(), "shopkeeper");
        command.env("KUBECONFIG", kubeconfig);
        command
    }

    #[test]
    fn a_cluster_that_makes_no_volumes_is_refused() {
        let api = ControlPlane::start();
        let refused = || {
            let outcome = refuse_a_cluster_without_storage(|| kubectl_of(api.kubeconfig()));
            outcome.err().map(|error| error.to_string()).unwrap_or_default()
        };
        assert!(refused().contains("no default storage class"), "{}", refused());
        let class = tempfile::NamedTempFile::new().unwrap();
        let text = "apiVersion: storage.k8s.io/v1\nkind: StorageClass\n\
            metadata: {name: disk}\nprovisioner: example.com/disk\n";
        std::fs::write(class.path(), text).unwrap();
        api.kubectl(&["create", "-f", &class.path().display().to_string()]).unwrap();
        assert!(refused().contains("no default storage class"), "{}", refused());
        let mark = "storageclass.kubernetes.io/is-default-class=true";
        api.kubectl(&["annotate", "storageclass", "disk", mark]).unwrap();
        assert_eq!(refused(), "");
    }

    #[test]
    fn a_cluster_that_has_the_namespace_or_a_definition_or_does_not_answer_is_refused() {
        let api = ControlPlane::start();
        let refused = |kubeconfig: &Path, namespace: &str| {
            let outcome = refuse_a_cluster_in_use(|| kubectl_of(kubeconfig), namespace);
            outcome.err().map(|error| error.to_string()).unwrap_or_default()
        };
        assert_eq!(refused(api.kubeconfig(), "shop"), "");
        let said = refused(api.kubeconfig(), "default");
        assert!(said.contains("namespace/default") && said.contains("--namespace"), "{said}");
        let said = refused(Path::new("/nowhere"), "shop");
        assert!(said.contains("context"), "{said}");
        let definitions = workspace::root().join("crds/inventoryservice.yaml");
        api.kubectl(&["create", "-f", &definitions.display().to_string()]).unwrap();
        let said = refused(api.kubeconfig(), "shop");
        assert!(said.contains("crd/inventoryservices.shopkeeper.dev"), "{said}");
    }
}
