//! Programs that come from Debian: looked for, installed when that is possible, otherwise named.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::{Progress, cache, program};

/// A program and the Debian package that has it.
#[derive(Clone, Copy, Debug)]
pub struct Package {
    /// A name to look for, or an absolute path when it stands outside the folders of programs.
    program: &'static str,
    package: &'static str,
}

const fn package(program: &'static str, package: &'static str) -> Package {
    Package { program, package }
}

/// What [`crate::MariaDb`] and [`crate::Redis`] run.
pub const SERVERS: &[Package] = &[
    package("mariadbd", "mariadb-server-core"),
    package("mariadb-install-db", "mariadb-server-core"),
    package("mariadb", "mariadb-client-core"),
    package("my_print_defaults", "mariadb-client-core"),
    package("redis-server", "redis-server"),
    package("redis-cli", "redis-tools"),
];

/// The certificate authorities that this machine trusts.
pub const CERTIFICATES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// What builds container images, ours and the node's own, and what of this machine goes into ours.
pub const IMAGES: &[Package] = &[
    package("buildah", "buildah"),
    package("gcc", "gcc"),
    package(CERTIFICATES, "ca-certificates"),
];

/// What compiles C: the benchmarks' sync shim.
pub const COMPILER: &[Package] =
    &[package("cc", "gcc"), package("/usr/include/stdio.h", "libc6-dev")];

/// What breaks databases in ways of its own, and what copies them: a [`crate::Disk`], and [`crate::MariaDb::dump`].
pub const FAULTS: &[Package] = &[
    package("mkfs.ext4", "e2fsprogs"),
    package("mount", "mount"),
    package("perl", "perl-base"),
    package("mariadb-dump", "mariadb-client"),
];

/// What a whole node runs, beside [`IMAGES`].
pub const NODE: &[Package] = &[
    package("containerd", "containerd"),
    package("ctr", "containerd"),
    package("runc", "runc"),
    package("/usr/lib/cni/bridge", "containernetworking-plugins"),
    package("/usr/lib/cni/portmap", "containernetworking-plugins"),
    package("nft", "nftables"),
    package("iptables", "iptables"),
    package("conntrack", "conntrack"),
    package("ip", "iproute2"),
    package("mount", "mount"),
];

/// What brings Go where there is none.
pub(crate) const PYTHON: &[Package] = &[
    package("python3", "python3"),
    package("/usr/share/doc/python3-venv", "python3-venv"),
    package(CERTIFICATES, "ca-certificates"),
];

/// Installs the packages whose programs are missing, as root on Debian; otherwise the error says what to install.
pub fn ensure(packages: &[Package], progress: Progress<'_>) -> Result<()> {
    // Before the look: a program that is being installed is there before it can be run.
    let _only_one_installs = cache::lock("packages.lock", progress)?;
    let mut missing: Vec<_> =
        packages.iter().filter(|wanted| !wanted.is_there()).map(|wanted| wanted.package).collect();
    missing.dedup();
    if missing.is_empty() {
        return Ok(());
    }
    let command = format!("apt-get install --no-install-recommends {}", missing.join(" "));
    let Some(apt) = program::lookup("apt-get") else {
        bail!("these programs are missing, named by their Debian packages: {}", missing.join(", "));
    };
    if !rustix::process::geteuid().is_root() {
        bail!("programs are missing; install them as root: {command}");
    }
    progress(&format!("installing from Debian: {}", missing.join(", ")));
    program::run(apt_get(&apt).args(["update", "-qq"]))?;
    let mut install = apt_get(&apt);
    install.args(["install", "-y", "-qq", "--no-install-recommends"]).args(&missing);
    program::run(&mut install)
        .with_context(|| format!("cannot install programs that are needed; try: {command}"))?;
    Ok(())
}

fn apt_get(apt: &Path) -> Command {
    let mut command = Command::new(apt);
    command.env("DEBIAN_FRONTEND", "noninteractive");
    command
}

impl Package {
    fn is_there(&self) -> bool {
        match self.program.starts_with('/') {
            true => Path::new(self.program).exists(),
            false => program::lookup(self.program).is_some(),
        }
    }
}
