//! A node that is up and holds our images, and what programs need to work with it.

use crate::{image, interrupt::Interrupt, needs, progress::step, workspace};
use anyhow::Result;
use std::{
    path::{Path, PathBuf},
    process::{Command, ExitStatus},
    time::Duration,
};
use testkit::kubernetes::{self, EtcdSync, binaries};

/// How long a program that works with the node has to end: what it made goes with the node.
const GRACE: Duration = Duration::from_secs(20);

/// A node of our own with the images of this workspace. It goes down with this value, unless it is kept.
pub struct Node {
    /// The tag of the images that it holds.
    pub tag: String,
    pub kubectl: PathBuf,
    pub helm: PathBuf,
    cluster: kubernetes::Node,
    interrupt: Interrupt,
}

impl Node {
    /// Gets all that a node needs, builds the images, brings the node up and gives it the images.
    pub fn ready() -> Result<Self> {
        // Before the long steps: what fails for want of root should not take minutes to say so.
        needs::node()?;
        let (helm, kubectl) = (needs::helm()?, binaries::find("kubectl")?);
        let images = image::build()?;
        // From here on Ctrl-C must not leave a node behind.
        let interrupt = Interrupt::watch()?;
        let cluster = step("bring up a node", |step| {
            kubernetes::Node::start(EtcdSync::Never, &|said| step.say(said))
        })?;
        step("give the node the images", |_| {
            images.archives().try_for_each(|archive| cluster.load(archive))
        })?;
        interrupt.check()?;
        Ok(Self { tag: images.tag, kubectl, helm, cluster, interrupt })
    }

    /// Runs a program that works with the node, with our input and output. Ctrl-C ends it, and then the node.
    pub fn run(&self, command: &mut Command) -> Result<ExitStatus> {
        self.interrupt.run(command, GRACE)
    }

    /// The administrator's kubeconfig.
    pub fn kubeconfig(&self) -> &Path {
        self.cluster.kubeconfig()
    }

    /// Leaves the node up.
    pub fn keep(self) -> Result<()> {
        self.cluster.keep()
    }

    /// A folder of the node for volumes; it goes with the node.
    pub fn volumes(&self) -> PathBuf {
        self.kubeconfig().with_file_name("volumes")
    }

    /// What the tests and benchmarks on the node read from their environment.
    pub fn environment(&self) -> [(&'static str, PathBuf); 6] {
        [
            ("SHOPKEEPER_E2E_KUBECONFIG", self.kubeconfig().to_owned()),
            ("SHOPKEEPER_E2E_KUBECTL", self.kubectl.clone()),
            ("SHOPKEEPER_E2E_HELM", self.helm.clone()),
            ("SHOPKEEPER_E2E_VOLUMES", self.volumes()),
            ("SHOPKEEPER_E2E_TAG", PathBuf::from(&self.tag)),
            ("SHOPKEEPER_E2E_BINARIES", workspace::target().join("release")),
        ]
    }
}
