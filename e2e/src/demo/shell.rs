//! Lines for a person's shell, which the demo runs as they stand.

use crate::arguments::Arguments;
use anyhow::{Context, Result, ensure};
use std::{env, ffi::OsString, path::Path};
use tokio::process::{Child, Command};

/// A shell in which the tools of the demo are found and speak of its cluster.
pub(crate) struct Shell {
    /// The line that makes any shell such a one.
    pub(crate) setup: String,
}

impl Shell {
    pub(crate) fn of(arguments: &Arguments) -> Self {
        let kubeconfig = arguments.kubeconfig.clone().map(OsString::from);
        let kubeconfig = kubeconfig.or_else(|| env::var_os("KUBECONFIG"));
        let kubeconfig =
            kubeconfig.map(|files| format!("KUBECONFIG={} ", quoted(&files.to_string_lossy())));
        let mut folders: Vec<String> = Vec::new();
        let tools = [&arguments.kubectl, &arguments.helm];
        for tool in tools.into_iter().chain(&arguments.grpcurl) {
            let folder = quoted(&tool.parent().unwrap_or(Path::new(".")).to_string_lossy());
            if !folders.contains(&folder) {
                folders.push(folder);
            }
        }
        let kubeconfig = kubeconfig.unwrap_or_default();
        Self { setup: format!("export {kubeconfig}PATH={}:\"$PATH\"", folders.join(":")) }
    }

    /// Runs this line and gives what it prints.
    pub(crate) async fn run(&self, line: &str) -> Result<String> {
        let output = self.command(line).output().await.context("sh cannot be started")?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "`{line}` failed: {}", said.trim());
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Runs this line until the child is dropped.
    pub(crate) fn start(&self, line: &str) -> Result<Child> {
        self.command(line).spawn().context("sh cannot be started")
    }

    fn command(&self, line: &str) -> Command {
        let mut command = Command::new("sh");
        // In the place of the shell, so that who ends the one ends the other.
        command.args(["-c", &format!("{}\nexec {line}", self.setup)]);
        command.stdin(std::process::Stdio::null());
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
        command.kill_on_drop(true);
        command
    }
}

/// The line that runs `program` with these arguments.
pub(crate) fn line(program: &str, arguments: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    arguments.into_iter().fold(program.to_owned(), |line, word| line + " " + &quoted(word.as_ref()))
}

/// A word as a shell takes it literally.
fn quoted(word: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_./:=,@%+".contains(letter);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_line_reaches_the_program_word_for_word() {
        let words = ["plain", "", "two words", "it's", "$HOME", r#"{"goods_id": 1}"#, "a\\b"];
        let shell = Shell { setup: "export SHOP=tea".into() };
        let printed = shell.run(&line("printf", ["%s\n"].iter().chain(&words))).await.unwrap();
        assert_eq!(printed.lines().collect::<Vec<_>>(), words);
        assert_eq!(shell.run("printenv SHOP").await.unwrap(), "tea\n");
    }
}
