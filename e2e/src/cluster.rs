//! A cluster as a person uses it: through `kubectl` and `helm`, and through the API where a program does better.

use crate::waiting;
use anyhow::{Context, Result, bail};
use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig, KubeconfigError},
};
use std::{
    env,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};
use tokio::io::AsyncWriteExt;

/// The condition Ready, how many pods run the newest configuration, and all that is said about it.
const HOW_READY: &str = concat!(
    r#"jsonpath={.status.conditions[?(@.type=="Ready")].status} {.status.config.applied} "#,
    "{.status.conditions[*].message}"
);

/// The tools and the cluster they talk to.
#[derive(Clone)]
pub struct Cluster {
    /// A client of its API server, as the kubeconfig's user.
    pub client: Client,
    /// From which more clients are made, each with connections of its own.
    pub config: Config,
    kubeconfig: Option<PathBuf>,
    context: Option<String>,
    kubectl: PathBuf,
    helm: PathBuf,
}

impl Cluster {
    /// The cluster that `kubeconfig` (otherwise what kubectl reads) and `context` (otherwise the current one) name.
    pub async fn connect(
        kubeconfig: Option<&Path>,
        context: Option<&str>,
        kubectl: &Path,
        helm: &Path,
    ) -> Result<Self> {
        let file = match kubeconfig {
            Some(file) => Kubeconfig::read_from(file),
            None => users_kubeconfig(),
        };
        let file = file.context("the kubeconfig cannot be read")?;
        let options = KubeConfigOptions {
            context: context.map(str::to_owned),
            ..KubeConfigOptions::default()
        };
        let config = Config::from_custom_kubeconfig(file, &options)
            .await
            .context("the kubeconfig names no usable cluster")?;
        Ok(Self {
            client: Client::try_from(config.clone())?,
            config,
            kubeconfig: kubeconfig.map(Path::to_owned),
            context: context.map(str::to_owned),
            kubectl: kubectl.to_owned(),
            helm: helm.to_owned(),
        })
    }

    /// Runs `kubectl` and gives what it prints.
    pub async fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        self.run(&self.kubectl, &self.kubectl_arguments(arguments), None).await
    }

    /// Runs `kubectl` with `input` as its standard input (`-f -`).
    pub async fn kubectl_with(&self, arguments: &[&str], input: &str) -> Result<String> {
        self.run(&self.kubectl, &self.kubectl_arguments(arguments), Some(input)).await
    }

    /// Runs `helm` and gives what it prints.
    pub async fn helm(&self, arguments: &[&str]) -> Result<String> {
        self.run(&self.helm, &self.helm_arguments(arguments), None).await
    }

    /// These arguments of `kubectl` with what makes it speak of this cluster, given the right `KUBECONFIG`.
    pub fn kubectl_arguments(&self, arguments: &[&str]) -> Vec<String> {
        self.of_context("--context", arguments)
    }

    /// As [`Self::kubectl_arguments`], of `helm`.
    pub fn helm_arguments(&self, arguments: &[&str]) -> Vec<String> {
        self.of_context("--kube-context", arguments)
    }

    fn of_context(&self, flag: &str, arguments: &[&str]) -> Vec<String> {
        let context = self.context.iter().flat_map(|context| [flag, context]);
        arguments.iter().copied().chain(context).map(str::to_owned).collect()
    }

    /// Waits until a resource of ours (`goodsservice/goods`) is Ready and as many pods as `applied` says (`1/1`) run
    /// its newest configuration.
    ///
    /// # Errors
    /// When it is not so within `limit`, with what its conditions say.
    pub async fn until_ready(
        &self,
        namespace: &str,
        resource: &str,
        applied: &str,
        limit: Duration,
    ) -> Result<()> {
        let what = format!("{resource} is Ready with applied {applied}");
        waiting::until(&what, limit, async || {
            let seen =
                self.kubectl(&["get", resource, "--namespace", namespace, "-o", HOW_READY]).await?;
            Ok(if seen.starts_with(&format!("True {applied}")) { Ok(()) } else { Err(seen) })
        })
        .await
    }

    async fn run(&self, tool: &Path, arguments: &[String], input: Option<&str>) -> Result<String> {
        let mut command = tokio::process::Command::new(tool);
        command.args(arguments).kill_on_drop(true);
        if let Some(kubeconfig) = &self.kubeconfig {
            command.env("KUBECONFIG", kubeconfig);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let said =
            format!("{} {}", tool.file_name().unwrap_or_default().display(), arguments.join(" "));
        let mut child =
            command.spawn().with_context(|| format!("{} cannot be started", tool.display()))?;
        let mut stdin = child.stdin.take().expect("stdin is piped");
        if let Some(input) = input {
            stdin.write_all(input.as_bytes()).await?;
        }
        drop(stdin);
        let output = child.wait_with_output().await?;
        if !output.status.success() {
            bail!("`{said}` failed: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

/// What kubectl would read: all files of `KUBECONFIG` that exist, merged, the first winning; otherwise the usual one.
fn users_kubeconfig() -> Result<Kubeconfig, KubeconfigError> {
    let named = env::var_os("KUBECONFIG").unwrap_or_default();
    let mut merged: Option<Kubeconfig> = None;
    for file in env::split_paths(&named).filter(|file| file.is_file()) {
        let file = Kubeconfig::read_from(file)?;
        merged = Some(match merged {
            Some(before) => before.merge(file)?,
            None => file,
        });
    }
    merged.map_or_else(Kubeconfig::read, Ok)
}
