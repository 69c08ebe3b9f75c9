//! Container images for the node: loaded from archives, never pulled.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use super::node::ctr;
use crate::{cache, program};

/// The image that holds a pod's namespaces. It is built here because there is no registry to pull it from.
pub(super) const PAUSE: &str = "shopkeeper.local/pause:1";

/// Waits for its end, and takes in processes whose parents have ended.
const PAUSE_SOURCE: &str = r"#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>
static void end(int s) { _exit(0); }
static void reap(int s) { while (waitpid(-1, 0, WNOHANG) > 0); }
int main(void) {
  signal(SIGINT, end);
  signal(SIGTERM, end);
  signal(SIGCHLD, reap);
  for (;;) pause();
}
";

/// Gives containerd the images of an archive, as `buildah push NAME docker-archive:FILE:NAME` writes it.
pub(super) fn load(archive: &Path) -> Result<()> {
    let imported = program::run(ctr().args(["images", "import"]).arg(archive));
    imported.map(drop).with_context(|| format!("cannot load {}", archive.display()))
}

pub(super) fn load_pause() -> Result<()> {
    let folder = cache::once("pause-1", |draft| {
        fs::write(draft.join("pause.c"), PAUSE_SOURCE)?;
        let mut gcc = Command::new("gcc");
        program::run(gcc.args(["-static", "-O2", "-o", "pause", "pause.c"]).current_dir(draft))?;
        fs::write(
            draft.join("Containerfile"),
            "FROM scratch\nCOPY pause /pause\nUSER 65535\nENTRYPOINT [\"/pause\"]\n",
        )?;
        program::run(buildah().args(["bud", "--quiet", "--tag", PAUSE, "."]).current_dir(draft))?;
        let target = format!("docker-archive:pause.tar:{PAUSE}");
        program::run(buildah().args(["push", "--quiet", PAUSE, &target]).current_dir(draft))?;
        program::run(buildah().args(["rmi", PAUSE])).map(drop)
    })?;
    load(&folder.join("pause.tar"))
}

/// The storage driver `vfs` needs nothing of the kernel, so it works in a container too.
fn buildah() -> Command {
    let mut command = Command::new("buildah");
    command.args(["--storage-driver", "vfs"]);
    command
}
