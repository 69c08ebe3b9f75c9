//! What every crate's `Cargo.toml` must say.

use super::Finding;

/// Checks one `Cargo.toml`; the root's is the place the others point to.
pub fn check(path: &str, text: &str) -> Vec<Finding> {
    if !path.contains('/') {
        return Vec::new();
    }
    let mut findings = versions(path, text);
    if section(text, "lints").all(|(_, line)| line.replace(' ', "") != "workspace=true") {
        findings.push(Finding {
            at: path.to_owned(),
            wrong: "`[lints] workspace = true` is missing".to_owned(),
            why: "the lints stand in the root and hold for every crate",
            remedy: "add the two lines `[lints]` and `workspace = true`",
        });
    }
    findings
}

fn versions(path: &str, text: &str) -> Vec<Finding> {
    ["dependencies", "dev-dependencies", "build-dependencies"]
        .into_iter()
        .flat_map(|kind| section(text, kind))
        .filter(|(_, line)| line.contains('=') && !line.replace(' ', "").contains("workspace=true"))
        .map(|(number, line)| Finding {
            at: format!("{path}:{number}"),
            wrong: format!("`{line}` is a version of its own"),
            why: "one place says which version of what we use",
            remedy: "put it under [workspace.dependencies] in the root and write `NAME.workspace = true` here",
        })
        .collect()
}

/// The lines, with their numbers from 1, below the heading `[name]`; comments and blank lines left out.
pub fn section<'a>(text: &'a str, name: &str) -> impl Iterator<Item = (usize, &'a str)> {
    let heading = format!("[{name}]");
    text.lines()
        .enumerate()
        .map(|(index, line)| (index + 1, line.trim()))
        .skip_while(move |(_, line)| *line != heading)
        .skip(1)
        .take_while(|(_, line)| !line.starts_with('['))
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "[lints]\nworkspace = true\n\n[dependencies]\n# why\na.workspace = true\n\
                        b = { workspace = true, features = [\"x\"] }\n";

    #[test]
    fn a_crate_without_the_lints_is_caught() {
        assert_eq!(check("x/Cargo.toml", GOOD), []);
        for bad in
            ["[dependencies]\na.workspace = true\n", "[lints]\nrust.unsafe_code = \"deny\"\n"]
        {
            let found = check("x/Cargo.toml", bad);
            assert!(found.len() == 1 && found[0].wrong.contains("[lints]"), "{found:?}");
        }
    }

    #[test]
    fn a_version_outside_the_root_is_caught() {
        for kind in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let found = check(
                "x/Cargo.toml",
                &format!("[lints]\nworkspace = true\n[{kind}]\nserde = \"1\"\n"),
            );
            assert!(found.len() == 1 && found[0].wrong.contains("serde"), "{kind}: {found:?}");
        }
        assert_eq!(check("Cargo.toml", "[workspace.dependencies]\nserde = \"1\"\n"), []);
    }
}
