//! The three OCI images, from release binaries and what those need of this machine: nothing else is in them.
//!
//! An image is its files, and its tag is the hash of all of them: the same files give the same tag anywhere, and a
//! set that stands in `target/images` already is not built again.

mod contents;

use crate::{needs, progress, workspace};
use anyhow::{Context, Result, bail, ensure};
use contents::Contents;
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// The three components; each is a crate, its binary, and its image `shopkeeper.local/NAME`.
pub const COMPONENTS: [&str; 3] = ["operator", "goods-srv", "inventory-srv"];
/// What the chart's values call the image of each component.
const VALUES: [&str; 3] = ["operator", "goods", "inventory"];
/// Where images are named; no such registry exists, so a node that was not given the image says so at once.
const REGISTRY: &str = "shopkeeper.local";
const MEGABYTE: u64 = 1_000_000;
/// The promise about a release binary. A bigger one has caught a dependency that it should not have.
const BINARY_LIMIT: u64 = 25 * MEGABYTE;
/// The promise about an image: the binary, the C library, and the CA certificates.
const IMAGE_LIMIT: u64 = 40 * MEGABYTE;

/// What becomes of the images.
#[derive(clap::Args)]
pub struct Arguments {
    /// Push them to HOST/PATH/NAME:TAG as well (log in with `buildah login HOST`)
    #[arg(long, value_name = "HOST/PATH")]
    push: Option<String>,
}

/// The images of one build.
pub struct Images {
    /// The tag that all of them carry.
    pub tag: String,
    archives: Vec<(&'static str, PathBuf)>,
}

impl Images {
    /// The images as docker-archives.
    pub fn archives(&self) -> impl Iterator<Item = &Path> {
        self.archives.iter().map(|(_, archive)| archive.as_path())
    }

    /// Pushes the images to `registry/NAME:TAG`.
    pub fn push(&self, registry: &str) -> Result<()> {
        for (name, archive) in &self.archives {
            let to = format!("{registry}/{name}:{}", self.tag);
            let storage = Storage::new()?;
            let from = format!("docker-archive:{}", archive.display());
            progress::step(&format!("push {to}"), |_| {
                let id = storage.buildah(&["pull", "-q", &from])?;
                storage.buildah(&["push", "-q", id.trim(), &format!("docker://{to}")]).map(drop).with_context(|| {
                    format!("What to do: log in with `buildah login {registry}`, and check that you may push there")
                })
            })?;
        }
        Ok(())
    }
}

/// Builds the release binaries and their images, unless they stand there already.
pub fn build() -> Result<Images> {
    build_binaries()?;
    needs::image_builder()?;
    let folder = workspace::target().join("images");
    fs::create_dir_all(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    let mut contents = Vec::new();
    for name in COMPONENTS {
        contents.push((name, Contents::of(&workspace::release_binary(name))?));
    }
    let tag = contents::tag_of(contents.iter().map(|(_, contents)| contents));
    let mut archives = Vec::new();
    for (name, contents) in contents {
        let image = format!("{REGISTRY}/{name}:{tag}");
        let archive = folder.join(format!("{name}.tar"));
        let stamp = folder.join(format!("{name}.image"));
        let stands =
            archive.exists() && fs::read_to_string(&stamp).is_ok_and(|built| built == image);
        if !stands {
            progress::step(&format!("build the image {image}"), |_| {
                build_one(&image, &contents, &archive)
            })?;
            fs::write(&stamp, &image)
                .with_context(|| format!("{} cannot be written", stamp.display()))?;
        }
        within_limit(&archive, IMAGE_LIMIT)?;
        archives.push((name, archive));
    }
    Ok(Images { tag, archives })
}

/// Builds what the images hold.
pub fn build_binaries() -> Result<()> {
    workspace::build_release("build the operator, the services and the demo", &[])?;
    COMPONENTS
        .iter()
        .try_for_each(|name| within_limit(&workspace::release_binary(name), BINARY_LIMIT))
}

fn build_one(image: &str, contents: &Contents, archive: &Path) -> Result<()> {
    let storage = Storage::new()?;
    let context = storage.folder.join("context");
    contents.lay_out(&context)?;
    // A fixed time in place of the files' own makes the same files the same image.
    storage.buildah(&["bud", "-q", "--timestamp", "0", "-t", image, &context.to_string_lossy()])?;
    // Moved into its place whole: who reads it meanwhile has the old one or the new one.
    let draft = storage.folder.join("image.tar");
    storage.buildah(&[
        "push",
        "-q",
        image,
        &format!("docker-archive:{}:{image}", draft.display()),
    ])?;
    fs::rename(&draft, archive).with_context(|| format!("{} cannot be written", archive.display()))
}

fn within_limit(file: &Path, limit: u64) -> Result<()> {
    let size = size_of(file)?;
    ensure!(
        size <= limit,
        "{} is {} MB, the promise is at most {} MB.\nWhat to do: `cargo tree -p NAME -e normal` shows what came in",
        file.display(),
        size.div_ceil(MEGABYTE),
        limit / MEGABYTE,
    );
    Ok(())
}

fn size_of(file: &Path) -> Result<u64> {
    Ok(fs::metadata(file).with_context(|| format!("{} is not there", file.display()))?.len())
}

/// Builds the images, pushes them if asked to, and prints what they are and how the chart is installed with them.
pub fn command(arguments: &Arguments) -> Result<()> {
    let images = build()?;
    println!("{:<16} {:>10} {:>10}  TAG", "IMAGE", "BINARY", "IMAGE SIZE");
    for (name, archive) in &images.archives {
        let megabytes = |bytes: u64| format!("{:.1} MB", bytes as f64 / MEGABYTE as f64);
        let binary = megabytes(size_of(&workspace::release_binary(name))?);
        println!("{name:<16} {binary:>10} {:>10}  {}", megabytes(size_of(archive)?), images.tag);
    }
    let registry = arguments.push.as_deref();
    match registry {
        Some(registry) => images.push(registry)?,
        None => println!(
            "\nThey stand in target/images/NAME.tar: give them to every node of your cluster, for example with\n  \
             kind load image-archive target/images/NAME.tar\n  \
             cargo xtask cluster load target/images/NAME.tar"
        ),
    }
    println!("\nNext:\n  {}", helm_install(registry.unwrap_or(REGISTRY), &images.tag));
    Ok(())
}

/// The command that installs the chart with these images.
fn helm_install(registry: &str, tag: &str) -> String {
    let mut settings = vec![format!("images.tag={tag}")];
    for (value, name) in VALUES.iter().zip(COMPONENTS).filter(|_| registry != REGISTRY) {
        settings.push(format!("images.{value}.repository={registry}/{name}"));
    }
    let install =
        "helm install shopkeeper helm/shopkeeper --namespace shopkeeper-system --create-namespace";
    settings
        .iter()
        .fold(install.to_owned(), |line, setting| format!("{line} \\\n    --set {setting}"))
}

/// A storage of buildah's own that goes with this value: nothing is left in the system's.
struct Storage {
    folder: PathBuf,
}

impl Storage {
    fn new() -> Result<Self> {
        let folder =
            workspace::target().join("images").join(format!("work-{}", std::process::id()));
        fs::create_dir_all(&folder)
            .with_context(|| format!("{} cannot be made", folder.display()))?;
        Ok(Self { folder })
    }

    fn buildah(&self, arguments: &[&str]) -> Result<String> {
        let mut buildah = Command::new("buildah");
        buildah.arg("--storage-driver").arg("vfs").arg("--root").arg(self.folder.join("root"));
        buildah.arg("--runroot").arg(self.folder.join("run")).args(arguments).stdin(Stdio::null());
        let output = buildah.output().context("buildah cannot be started")?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            bail!("`buildah {}` failed: {}", arguments.join(" "), said.trim());
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

impl Drop for Storage {
    fn drop(&mut self) {
        // What is left here costs space only; the next `cargo clean` takes it.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the chart becomes by the command that is printed.
    fn rendered(registry: &str) -> String {
        let helm = testkit::go::tool(testkit::go::HELM, &|step| eprintln!("{step}")).unwrap();
        let line = helm_install(registry, "0123456789ab").replace('\\', " ");
        let words: Vec<&str> = line.split_whitespace().collect();
        assert_eq!(words[..2], ["helm", "install"]);
        let mut template = Command::new(helm);
        template.current_dir(workspace::root()).arg("template").args(["--kube-version", "1.36.3"]);
        let output = template.args(&words[2..]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    #[test]
    fn the_printed_command_installs_the_images_that_were_built() {
        for registry in [REGISTRY, "registry.example/shop"] {
            let objects = rendered(registry);
            for name in COMPONENTS {
                let image = format!("\"{registry}/{name}:0123456789ab\"");
                assert_eq!(objects.matches(&image).count(), 1, "{image} in\n{objects}");
            }
        }
    }
}
