//! The house rules that a program can check: who may know whom, sizes, names, lints. Run by `cargo xtask tidy` and, as
//! a test, by `cargo xtask test`.
//!
//! It reads text, not syntax trees: enough for these rules, and nobody waits for a parser to compile.

mod crates;
mod directions;
mod examples;
mod layout;
mod manifests;
mod source;

use crate::workspace;
use anyhow::{Context, Result, bail};
use source::Source;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// One broken rule at one place.
#[derive(Debug, PartialEq, Eq)]
struct Finding {
    /// The file, and the line where there is one.
    at: String,
    /// What stands there.
    wrong: String,
    why: &'static str,
    remedy: &'static str,
}

/// Checks the workspace and names every broken rule.
pub fn command() -> Result<()> {
    let findings = check()?;
    match findings.len() {
        0 => println!("Tidy: every house rule holds."),
        count => bail!("{count} places break a house rule\n{}", report(&findings)),
    }
    Ok(())
}

/// The findings as a person reads them: the places that break one rule together, then why it is one and what to do.
fn report(findings: &[Finding]) -> String {
    let mut rules: BTreeMap<(&str, &str), Vec<String>> = BTreeMap::new();
    for Finding { at, wrong, why, remedy } in findings {
        rules.entry((why, remedy)).or_default().push(format!("{at}: {wrong}\n"));
    }
    let rules = rules.iter().map(|((why, remedy), places)| {
        format!("{}  Why: {why}\n  Do: {remedy}\n", places.concat())
    });
    rules.collect::<Vec<_>>().join("\n")
}

fn check() -> Result<Vec<Finding>> {
    let metadata = crates::metadata()?;
    let root = |name| {
        fs::read_to_string(workspace::root().join(name))
            .with_context(|| format!("{name} is not there"))
    };
    let mut findings = crates::check(&metadata);
    findings.extend(crates::one_version(&root("Cargo.lock")?));
    findings.extend(crates::unasked(&metadata, &root("Cargo.toml")?));
    let (mut sources, mut manifests) = (Vec::new(), Vec::new());
    for path in files_below(workspace::root())? {
        let name = path
            .strip_prefix(workspace::root())
            .expect("it was found below")
            .to_string_lossy()
            .into_owned();
        // What is not text holds no rule of ours.
        let Ok(text) = fs::read_to_string(&path) else { continue };
        findings.extend(layout::check_file(&name, &text));
        if name.ends_with("Cargo.toml") {
            findings.extend(manifests::check(&name, &text));
            manifests.push((name, text));
        } else if name.ends_with(".rs") {
            sources.push(Source::new(name, text));
        }
    }
    for source in &sources {
        findings.extend(layout::check_source(source));
        findings.extend(directions::check(source));
    }
    for (name, text) in &manifests {
        findings.extend(examples::check(name, text, &sources));
    }
    findings.extend(crates::unused(&metadata, &sources));
    Ok(findings)
}

/// Every file of ours, sorted; without what git ignores and its own folder.
fn files_below(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in
            fs::read_dir(&folder).with_context(|| format!("{} cannot be read", folder.display()))?
        {
            let entry = entry?;
            let kind = entry.file_type()?;
            let skipped = entry.file_name() == "target" || entry.file_name() == ".git";
            if kind.is_dir() && !skipped {
                folders.push(entry.path());
            } else if kind.is_file() && !skipped {
                files.push(entry.path());
            }
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_workspace_keeps_the_house_rules() {
        let findings = check().unwrap();
        assert!(findings.is_empty(), "\n{}", report(&findings));
    }

    #[test]
    fn a_report_says_where_what_why_and_what_to_do() {
        let long = |at: &str| Finding {
            at: at.into(),
            wrong: "long".into(),
            why: "nobody holds it",
            remedy: "split it",
        };
        let said = report(&[long("a.rs:3"), long("b.rs:4")]);
        assert_eq!(said, "a.rs:3: long\nb.rs:4: long\n  Why: nobody holds it\n  Do: split it\n");
    }
}
