//! Examples in documentation are tests, and where there are none nothing looks for them.

use super::{Finding, manifests::section, source::Source};

/// Checks the `Cargo.toml` of one crate against what its sources show.
pub fn check(path: &str, manifest: &str, sources: &[Source]) -> Option<Finding> {
    let folder = path.strip_suffix("Cargo.toml")?;
    let library = format!("{folder}src/");
    let mut sources = sources.iter().filter(|source| source.path.starts_with(&library)).peekable();
    sources.peek()?;
    let (mut is_library, mut shows_examples) = (false, false);
    for source in sources {
        is_library |= source.path == format!("{library}lib.rs");
        shows_examples |= has_example(&source.text);
    }
    let runs_none =
        section(manifest, "lib").any(|(_, line)| line.replace(' ', "") == "doctest=false");
    let finding = |wrong: &str, why, remedy| {
        Some(Finding { at: path.to_owned(), wrong: wrong.to_owned(), why, remedy })
    };
    match (is_library, shows_examples, runs_none) {
        (true, true, true) => finding(
            "its examples are not run",
            "an example that nobody runs is wrong one day",
            "take `doctest = false` out",
        ),
        (true, false, false) => finding(
            "`doctest = false` is missing",
            "rustdoc takes seconds to find that a crate shows no example",
            "add it below `[lib]`, or show an example",
        ),
        _ => None,
    }
}

/// Whether documentation here holds code, in itself or by a file.
fn has_example(text: &str) -> bool {
    text.lines().map(str::trim_start).any(|line| {
        let is_documentation = line.starts_with("///") || line.starts_with("//!");
        is_documentation && line.contains("```") || line.starts_with("#![doc = include_str!")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(manifest: &str, file: &str, text: &str) -> Option<String> {
        let sources = [
            Source::new(format!("x/src/{file}"), text.to_owned()),
            Source::new("y/src/lib.rs".to_owned(), "/// ```\n".to_owned()),
        ];
        check("x/Cargo.toml", manifest, &sources).map(|finding| finding.wrong)
    }

    #[test]
    fn examples_are_run_and_nothing_looks_for_others() {
        const WITHOUT: &str = "[lib]\n# none\ndoctest = false\n";
        for example in ["/// ```\n", "    //! ```no_run\n", "#![doc = include_str!(\"../R.md\")]\n"]
        {
            assert_eq!(found("", "lib.rs", example), None);
            assert_eq!(found(WITHOUT, "lib.rs", example).unwrap(), "its examples are not run");
        }
        assert_eq!(found(WITHOUT, "lib.rs", "// ```\n"), None);
        assert_eq!(found("", "lib.rs", "// ```\n").unwrap(), "`doctest = false` is missing");
        assert_eq!(found("", "main.rs", "fn main() {}\n"), None);
    }
}
