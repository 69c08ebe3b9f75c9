//! The tests on a real node.

use crate::{checks, failures, needs, node::Node, progress, workspace};
use anyhow::{Context, Result, ensure};
use std::{
    path::PathBuf,
    process::{Command, Stdio},
};

/// Of the whole workspace, so that what the tests are made of has the features that it has for all others.
const TESTS: [&str; 4] = ["test", "--workspace", "--test", PROGRAM];
/// The name of their program.
const PROGRAM: &str = "node";

/// Runs those tests whose name holds `filter`.
pub fn run(filter: Option<&str>) -> Result<()> {
    NodeTests::ready()?.run(filter)
}

/// The tests, built, and the node that they run on.
pub struct NodeTests {
    program: PathBuf,
    node: Node,
    grpcurl: PathBuf,
}

impl NodeTests {
    /// Builds the tests and gets all that they need, a node last.
    pub fn ready() -> Result<Self> {
        // Before anything is compiled: who is not root should not wait for minutes to read so.
        needs::node()?;
        checks::build_tests(&TESTS)?;
        needs::servers()?;
        Ok(Self { program: program()?, grpcurl: needs::grpcurl()?, node: Node::ready()? })
    }

    /// Runs those whose name holds `filter`. No cargo is at work meanwhile, so another may be.
    pub fn run(&self, filter: Option<&str>) -> Result<()> {
        let [timeout, bounds @ ..] = checks::TIMEOUT;
        let mut tests = Command::new(timeout);
        tests.args(bounds).arg(&self.program).args(filter);
        // One at a time: most of them measure or disturb what they share.
        tests.arg("--test-threads=1").current_dir(workspace::root().join("e2e"));
        tests.env(checks::BACKTRACE, "0").envs(self.node.environment());
        tests.env("SHOPKEEPER_E2E_GRPCURL", &self.grpcurl);
        progress::show("run the tests on the node", "`cargo xtask e2e NAME` runs one again", || {
            failures::repeat(tests, |tests| self.node.run(tests))
        })
    }
}

/// Where cargo has put the tests' program.
fn program() -> Result<PathBuf> {
    let mut cargo = workspace::cargo();
    cargo.args(TESTS).args(["--no-run", "--quiet", "--message-format=json"]);
    let built = cargo.stderr(Stdio::inherit()).output().context("cargo cannot be started")?;
    ensure!(built.status.success(), "cargo does not say where the tests are: {}", built.status);
    String::from_utf8_lossy(&built.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|message| message["target"]["name"] == PROGRAM)
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
        .with_context(|| format!("cargo built no program of tests named {PROGRAM}"))
}
