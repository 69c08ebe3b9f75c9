//! Sizes, names, and what must not stand in any file.

use super::{
    Finding,
    source::{Source, is_word, line_of},
};

const FILE_LINES: usize = 400;
const FUNCTION_LINES: usize = 70;
const LINE_LETTERS: usize = 120;

const HOLDS: &str = "a reader holds that much in mind and no more";

/// Names that tell where code was put, not what it does.
const EMPTY_NAMES: [&str; 8] =
    ["utils", "util", "common", "helpers", "helper", "manager", "managers", "misc"];

/// Sizes, names and unfinished things in one Rust file.
pub fn check_source(source: &Source) -> Vec<Finding> {
    let mut findings = sizes(source);
    findings.extend(names(source));
    findings.extend(unfinished(source));
    findings
}

fn sizes(source: &Source) -> Vec<Finding> {
    let path = &source.path;
    let mut findings = Vec::new();
    let lines = source.text.lines().count();
    if lines > FILE_LINES {
        let wrong = format!("the file has {lines} lines, more than {FILE_LINES}");
        let remedy = "move what can be named by itself into a file of its own";
        findings.push(Finding { at: path.clone(), wrong, why: HOLDS, remedy });
    }
    for function in source.functions().iter().filter(|function| function.lines > FUNCTION_LINES) {
        let at = format!("{path}:{}", function.line);
        let wrong =
            format!("`{}` has {} lines, more than {FUNCTION_LINES}", function.name, function.lines);
        findings.push(Finding {
            at,
            wrong,
            why: HOLDS,
            remedy: "name its steps and make each a function",
        });
    }
    for (number, line) in source.text.lines().enumerate() {
        let letters = line.chars().count();
        if letters > LINE_LETTERS {
            let at = format!("{path}:{}", number + 1);
            let wrong = format!("the line has {letters} letters, more than {LINE_LETTERS}");
            findings.push(Finding {
                at,
                wrong,
                why: "two files side by side must fit a screen",
                remedy: "break it",
            });
        }
    }
    findings
}

fn names(source: &Source) -> Vec<Finding> {
    let parts = source.path.split('/').map(|part| (0, part.trim_end_matches(".rs")));
    let declared = source.code.match_indices("mod ").filter_map(|(at, keyword)| {
        let rest = &source.code[at + keyword.len()..];
        let name = &rest[..rest.find(|letter| !is_word(letter))?];
        (!source.code[..at].ends_with(is_word)).then(|| (line_of(&source.code, at), name))
    });
    parts
        .chain(declared)
        .filter(|(_, name)| EMPTY_NAMES.contains(name))
        .map(|(line, name)| Finding {
            at: format!("{}:{}", source.path, line.max(1)),
            wrong: format!("the name `{name}`"),
            why: "it tells where code was put, not what it does, and so gathers whatever has no home",
            remedy: "name it for what it does, or put its parts beside their only users",
        })
        .collect()
}

fn unfinished(source: &Source) -> Vec<Finding> {
    let marks = ["todo!", "unimplemented!", "#[ignore"];
    let mut findings = Vec::new();
    for mark in marks {
        for (at, _) in source.code.match_indices(mark) {
            if !source.code[..at].ends_with(is_word) {
                findings.push(Finding {
                    at: format!("{}:{}", source.path, line_of(&source.code, at)),
                    wrong: format!("`{mark}` stands here"),
                    why: "what is not there must not look as if it were",
                    remedy: "finish it, or take it out and say in the issue what is missing",
                });
            }
        }
    }
    findings
}

/// What must not stand in any file, whatever its kind.
pub fn check_file(path: &str, text: &str) -> Vec<Finding> {
    // Written in two parts, so that this file keeps its own rule.
    let homes = [concat!("/ro", "ot/"), concat!("/ho", "me/"), concat!("/Us", "ers/")];
    let mut findings = Vec::new();
    for home in homes {
        for (at, _) in text.match_indices(home) {
            // A path inside something else, such as `target/root/x`, is nobody's home.
            if !text[..at].ends_with(|letter: char| is_word(letter) || "/.}-$)".contains(letter)) {
                findings.push(Finding {
                    at: format!("{path}:{}", line_of(text, at)),
                    wrong: format!("a path below `{home}`"),
                    why: "it is there on one machine only",
                    remedy: "say it relative to the workspace, or by `~` or a variable",
                });
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(path: &str, text: &str) -> Vec<Finding> {
        check_source(&Source::new(path.into(), text.into()))
    }

    #[track_caller]
    fn caught(path: &str, text: &str, expect: &str) {
        let found = findings(path, text);
        assert!(
            found.iter().any(|finding| finding.wrong.contains(expect)),
            "{expect:?} is not in {found:#?}"
        );
    }

    #[test]
    fn a_file_that_is_too_long_is_caught() {
        caught("x/src/a.rs", &"\n".repeat(401), "401 lines");
        assert_eq!(findings("x/src/a.rs", &"\n".repeat(400)), []);
    }

    #[test]
    fn a_function_that_is_too_long_is_caught() {
        caught("x/src/a.rs", &format!("fn long() {{{}}}", "\n".repeat(70)), "`long` has 71 lines");
        assert_eq!(findings("x/src/a.rs", &format!("fn f() {{{}}}", "\n".repeat(69))), []);
    }

    #[test]
    fn a_line_that_is_too_long_is_caught() {
        caught("x/src/a.rs", &"é".repeat(121), "121 letters");
        assert_eq!(findings("x/src/a.rs", &"é".repeat(120)), []);
    }

    #[test]
    fn a_name_that_says_nothing_is_caught() {
        caught("x/src/utils.rs", "", "`utils`");
        caught("x/tests/common/mod.rs", "", "`common`");
        caught("x/src/a.rs", "pub mod helpers {}", "`helpers`");
        assert_eq!(findings("x/src/a.rs", "mod commons; // mod helpers"), []);
    }

    #[test]
    fn unfinished_things_are_caught() {
        caught("x/src/a.rs", concat!("fn f() { to", "do!() }"), "todo!");
        caught("x/src/a.rs", concat!("fn f() { unimple", "mented!() }"), "unimplemented!");
        caught("x/src/a.rs", concat!("#[ign", "ore = \"slow\"]"), "#[ignore");
        assert_eq!(findings("x/src/a.rs", "let text = \"#[ignore] and todo!\";"), []);
    }

    #[test]
    fn a_path_of_somebodys_home_is_caught() {
        let found = check_file("README.md", concat!("run\n/ho", "me/ann/x and /ro", "ot/y"));
        assert_eq!(
            found.iter().map(|finding| finding.at.as_str()).collect::<Vec<_>>(),
            ["README.md:2"; 2]
        );
        assert_eq!(check_file("README.md", "target/root/x, $HOME/x, ~/x"), []);
    }
}
