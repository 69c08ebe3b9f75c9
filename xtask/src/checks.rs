//! What must hold before a change lands, from the quick to the thorough.

use crate::{
    e2e::NodeTests,
    failures,
    faults::{self, Wanted},
    image, needs, progress, workspace,
};
use anyhow::{Result, bail, ensure};
use std::{num::NonZeroUsize, process::Command};

/// Whether an error carries the stack of its origin, which is that of the runtime: forty lines that hide one sentence.
/// A panic still shows its own.
pub const BACKTRACE: &str = "RUST_LIB_BACKTRACE";

/// Runs one program of tests for no longer than twice what the longest needs on a slow machine. One test that hangs
/// would otherwise hold up everything for ever. libtest has said its name by then.
pub const TIMEOUT: [&str; 4] = ["timeout", "--foreground", "--kill-after=10s", "30m"];

/// How many tests of a program run at a time, if the caller does not say.
const THREADS: &str = "RUST_TEST_THREADS";
/// Two on each processor: about half of the time a test waits for a clock, a disk or another process.
const TESTS_PER_PROCESSOR: usize = 2;

/// What `test` runs.
#[derive(clap::Args)]
pub struct Tests {
    /// Only tests whose name holds this; `faults` plays the fault suite instead
    filter: Option<String>,
    /// faults: only these scenarios
    #[arg(value_name = "SCENARIO")]
    scenarios: Vec<String>,
    /// faults: the full counts, which take hours
    #[arg(long)]
    long: bool,
}

/// All tests but those on the node.
const TESTS: [&str; 2] = ["test", "--workspace"];

/// Runs tests, or plays the fault suite.
pub fn test(tests: &Tests) -> Result<()> {
    let Tests { filter, scenarios, long } = tests;
    if filter.as_deref() == Some("faults") {
        return faults::run(&Wanted { scenarios, long: *long }, || build_tests(&TESTS));
    }
    ensure!(
        scenarios.is_empty() && !long,
        "scenarios and --long belong to the fault suite: `cargo xtask test faults`"
    );
    if filter.is_none() {
        wire_contract()?;
    }
    all(filter.as_deref())
}

fn all(filter: Option<&str>) -> Result<()> {
    needs::servers()?;
    needs::tidb()?;
    build_tests(&TESTS)?;
    let mut cargo = bounded_tests(&TESTS);
    // One broken crate must not hide what else is broken.
    cargo.arg("--no-fail-fast").args(filter).env(THREADS, threads().to_string());
    progress::show("run the tests", "`cargo xtask test NAME` runs one again", || {
        failures::repeat(cargo, workspace::run)
    })
}

fn threads() -> usize {
    let said = std::env::var(THREADS).ok().and_then(|said| said.parse().ok());
    let processors = || std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    said.unwrap_or_else(|| TESTS_PER_PROCESSOR * processors())
}

/// A cargo that runs these tests, each of their programs within [`TIMEOUT`].
fn bounded_tests(tests: &[&str]) -> Command {
    let mut cargo = workspace::cargo();
    cargo.args(tests).env(BACKTRACE, "0");
    if cfg!(target_os = "linux") {
        let target = format!("{}_UNKNOWN_LINUX_GNU", std::env::consts::ARCH.to_uppercase());
        cargo.env(format!("CARGO_TARGET_{target}_RUNNER"), TIMEOUT.join(" "));
    }
    cargo
}

/// Compiles what `cargo` with these arguments would run.
pub fn build_tests(tests: &[&str]) -> Result<()> {
    let mut cargo = workspace::cargo();
    cargo.args(tests).arg("--no-run");
    progress::run("build the tests", &mut cargo, "mend what the compiler says")
}

/// Writes the generated files, or with `check` fails when one is stale.
pub fn codegen(check: bool) -> Result<()> {
    let mut cargo = workspace::cargo();
    cargo.args(["run", "-p", "crds", "--bin", "crdgen", "--"]);
    if check {
        cargo.arg("--check");
        return progress::run(
            "check the generated files",
            &mut cargo,
            "`cargo xtask codegen`, and commit the result",
        );
    }
    progress::run("write the generated files", &mut cargo, "mend what the compiler says")
}

/// Everything of `.ci/run`. Beside the checks goes what can wait, so that no processor idles where they wait for the
/// network, a linker or a clock.
pub fn ci() -> Result<()> {
    needs::root()?;
    format()?;
    sources()?;
    // What is needed later: first Debian's packages, then the Go programs, then what the node's images hold. A check
    // that needs one earlier waits for it, or gets it.
    let later = || {
        needs::debian_packages()?;
        needs::go_programs()?;
        image::build_binaries()
    };
    beside(later, || {
        build_tests(&TESTS)?;
        all(None)?;
        faults::run(&Wanted::default(), || Ok(()))
    })?;
    chart()?;
    let on_the_node = NodeTests::ready()?;
    // They wait for pods most of the time.
    beside(lint, || on_the_node.run(None))
}

/// By how much what goes beside the checks gives way to them: it has what they leave.
const LEAST: i32 = 19;

/// Does both at a time. What goes aside comes to its end even if `work` fails. A failure is said at once.
fn beside(
    aside: impl FnOnce() -> Result<()> + Send,
    work: impl FnOnce() -> Result<()>,
) -> Result<()> {
    let said = |error: &anyhow::Error| eprintln!("\n{error:#}\n");
    std::thread::scope(|scope| {
        let aside = scope.spawn(move || {
            rustix::process::nice(LEAST)?;
            aside().inspect_err(said)
        });
        let worked = work().inspect_err(said);
        let done = aside.join().unwrap_or_else(|_| bail!("what went beside the checks fell over"));
        worked.and(done)
    })
}

fn format() -> Result<()> {
    let mut cargo = workspace::cargo();
    progress::run(
        "check the formatting",
        cargo.args(["fmt", "--all", "--check"]),
        "`cargo fmt --all`",
    )
}

fn sources() -> Result<()> {
    let mut cargo = workspace::cargo();
    progress::run(
        "get the dependencies' sources",
        cargo.args(["fetch", "--locked"]),
        "commit a fresh Cargo.lock",
    )
}

fn lint() -> Result<()> {
    // Those on the node are no part of all targets: they are run by name alone.
    for (what, targets) in
        [("lint", &["--all-targets"][..]), ("lint the tests on the node", &["--test", "node"])]
    {
        let mut cargo = workspace::cargo();
        cargo.args(["clippy", "--workspace"]).args(targets).args(["--", "-D", "warnings"]);
        progress::run(
            what,
            &mut cargo,
            "mend it, or say `#[expect(LINT, reason = ..)]` with a good one",
        )?;
    }
    wire_contract()
}

fn wire_contract() -> Result<()> {
    let mut buf = Command::new(needs::buf()?);
    buf.arg("lint").current_dir(workspace::root());
    progress::run(
        "lint the wire contract",
        &mut buf,
        "mend the .proto; the rules: https://buf.build/docs/lint/rules",
    )
}

fn chart() -> Result<()> {
    let mut helm = Command::new(needs::helm()?);
    helm.args(["lint", "--strict", "helm/shopkeeper"]).current_dir(workspace::root());
    progress::run("lint the chart", &mut helm, "mend the template that it names")
}

/// Checks all dependencies with cargo-deny, which is built once into the cache folder.
pub fn deny() -> Result<()> {
    let folder = testkit::cache_folder().join("cargo-deny");
    let program = folder.join("bin/cargo-deny");
    if !program.exists() {
        let mut cargo = workspace::cargo();
        cargo.args(["install", "--locked", "cargo-deny", "--root"]).arg(&folder);
        progress::run(
            "build cargo-deny (once; some minutes)",
            &mut cargo,
            "check the way to the crates registry",
        )?;
    }
    let mut deny = Command::new(program);
    deny.arg("check").current_dir(workspace::root());
    progress::show("check the dependencies", "the rules stand in deny.toml", || {
        workspace::run(&mut deny)
    })
}
