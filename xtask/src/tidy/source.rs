//! A Rust file as the rules see it: its code with comments and texts blanked out, its texts, its functions.

use std::mem::take;

/// One Rust file.
pub struct Source {
    /// Path below the workspace's folder.
    pub path: String,
    /// The text as it stands.
    pub text: String,
    /// The text with the insides of comments, strings and characters blanked out; line by line as long as `text`.
    pub code: String,
    /// `code` without what is compiled for tests only.
    pub product: String,
    /// Every string, with the line on which it begins.
    pub strings: Vec<(usize, String)>,
}

/// A function with a body.
pub struct Function<'a> {
    pub name: &'a str,
    /// The line of its `fn`, from 1.
    pub line: usize,
    /// From its `fn` to its closing brace.
    pub lines: usize,
}

impl Source {
    pub fn new(path: String, text: String) -> Self {
        let (code, strings) = Blanking::of(&text);
        let product = without_tests(&code);
        Self { path, text, code, product, strings }
    }

    /// Lines, from 1, of the product's code on which the crate `name` is named: `name::` at the head of a path, or
    /// `use name` and `extern crate name`.
    pub fn lines_naming(&self, name: &str) -> Vec<usize> {
        let mut lines = Vec::new();
        for (at, _) in self.product.match_indices(name) {
            let (before, after) = (&self.product[..at], &self.product[at + name.len()..]);
            let within_word = before.ends_with(is_word) || after.starts_with(is_word);
            let below_another =
                before.ends_with("::") || before.ends_with('.') || before.ends_with("$");
            let used = ["use ", "crate "].iter().any(|keyword| before.ends_with(keyword));
            if !within_word
                && (after.starts_with("::") && (!below_another || is_absolute(before)) || used)
            {
                lines.push(line_of(&self.product, at));
            }
        }
        lines.dedup();
        lines
    }

    /// The functions that have a body.
    pub fn functions(&self) -> Vec<Function<'_>> {
        let mut functions = Vec::new();
        for (at, _) in self.code.match_indices("fn ") {
            if self.code[..at].ends_with(is_word) {
                continue;
            }
            let rest = &self.code[at + 3..];
            let name = &rest[..rest.find(|letter| !is_word(letter)).unwrap_or(rest.len())];
            if let (false, Some(end)) = (name.is_empty(), end_of_body(rest)) {
                let line = line_of(&self.code, at);
                let lines = line_of(&self.code, at + 3 + end) - line + 1;
                functions.push(Function { name, line, lines });
            }
        }
        functions
    }
}

/// The line, from 1, on which the byte `at` of `text` stands.
pub fn line_of(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count() + 1
}

pub fn is_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

/// Whether a path after `before` begins with `::` itself: ` ::tonic`, not `srv_runtime::tonic`.
fn is_absolute(before: &str) -> bool {
    before
        .strip_suffix("::")
        .is_some_and(|head| !head.ends_with(|letter: char| is_word(letter) || letter == '>'))
}

/// Where the body that follows a function's name ends; none when the declaration ends with a semicolon.
fn end_of_body(rest: &str) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, letter) in rest.char_indices() {
        match letter {
            '(' | '[' => depth += 1,
            ')' | ']' => depth = depth.saturating_sub(1),
            ';' if depth == 0 => return None,
            '{' if depth == 0 => return closing_brace(rest, at),
            _ => {}
        }
    }
    None
}

/// The brace that closes the one at `open`.
fn closing_brace(code: &str, open: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, letter) in code[open..].char_indices() {
        match letter {
            '{' => depth += 1,
            '}' if depth == 1 => return Some(open + at),
            '}' => depth -= 1,
            _ => {}
        }
    }
    None
}

/// `code` with every `#[cfg(test)] mod name { .. }` blanked out.
fn without_tests(code: &str) -> String {
    const MARK: &str = "#[cfg(test)]";
    let mut product = code.to_owned();
    for (at, _) in code.match_indices(MARK) {
        let item = code[at + MARK.len()..].trim_start();
        let (Some(open), true) = (code[at..].find('{'), item.starts_with("mod ")) else { continue };
        let declared = code[at..at + open].contains(';');
        if let (false, Some(end)) = (declared, closing_brace(code, at + open)) {
            let blank: String = code[at..=end]
                .chars()
                .map(|letter| if letter == '\n' { '\n' } else { ' ' })
                .collect();
            // Blanks are shorter in bytes where letters were longer: code outside texts is ASCII but for odd names.
            if blank.len() == end + 1 - at {
                product.replace_range(at..=end, &blank);
            }
        }
    }
    product
}

/// Walks a Rust text once and blanks what is not code.
struct Blanking<'a> {
    rest: &'a str,
    line: usize,
    code: String,
    strings: Vec<(usize, String)>,
}

impl Blanking<'_> {
    fn of(text: &str) -> (String, Vec<(usize, String)>) {
        let mut walk = Blanking {
            rest: text,
            line: 1,
            code: String::with_capacity(text.len()),
            strings: Vec::new(),
        };
        while let Some(letter) = walk.rest.chars().next() {
            walk.one(letter);
        }
        (take(&mut walk.code), take(&mut walk.strings))
    }

    fn one(&mut self, letter: char) {
        let starts_word = !self.code.ends_with(is_word);
        if self.rest.starts_with("//") {
            self.blank(self.rest.find('\n').unwrap_or(self.rest.len()));
        } else if self.rest.starts_with("/*") {
            self.blank(block_comment(self.rest));
        } else if letter == '"' {
            self.string(1, "\"");
        } else if starts_word && let Some((prefix, end)) = raw_string(self.rest) {
            self.keep(prefix - 1);
            self.string(1, &end);
        } else if letter == '\'' {
            self.quote();
        } else {
            self.keep(letter.len_utf8());
        }
    }

    /// A string whose opening is `opening` bytes long and which ends with `end`; only plain ones know escapes.
    fn string(&mut self, opening: usize, end: &str) {
        let line = self.line;
        self.keep(opening);
        let mut length = 0;
        while length < self.rest.len() && !self.rest[length..].starts_with(end) {
            let escaped = end == "\"" && self.rest[length..].starts_with('\\');
            length += self.rest[length..]
                .chars()
                .take(1 + usize::from(escaped))
                .map(char::len_utf8)
                .sum::<usize>();
        }
        self.strings.push((line, self.rest[..length].to_owned()));
        self.blank(length);
        self.keep(end.len().min(self.rest.len()));
    }

    /// A character, or the tick of a lifetime.
    fn quote(&mut self) {
        let mut letters = self.rest.char_indices().skip(1);
        let length = match (letters.next(), letters.next()) {
            (Some((_, '\\')), Some((escaped, _))) => {
                self.rest[escaped + 1..].find('\'').map(|end| escaped + 1 + end)
            }
            (Some(_), Some((end, '\''))) => Some(end),
            _ => None,
        };
        self.keep(1);
        if let Some(end) = length {
            self.blank(end - 1);
            self.keep(1);
        }
    }

    fn keep(&mut self, bytes: usize) {
        let (kept, rest) = self.rest.split_at(bytes);
        self.line += kept.matches('\n').count();
        self.code.push_str(kept);
        self.rest = rest;
    }

    fn blank(&mut self, bytes: usize) {
        let (gone, rest) = self.rest.split_at(bytes);
        self.line += gone.matches('\n').count();
        self.code.extend(gone.chars().map(|letter| if letter == '\n' { '\n' } else { ' ' }));
        self.rest = rest;
    }
}

/// The length of the block comment, comments within it included, with which `rest` begins.
fn block_comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < rest.len() {
        if rest[at..].starts_with("/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if rest[at..].starts_with("*/") {
            (depth, at) = (depth - 1, at + 2);
        } else {
            at += rest[at..].chars().next().map_or(1, char::len_utf8);
        }
        if depth == 0 {
            return at;
        }
    }
    rest.len()
}

/// The length of what opens a raw string at the head of `rest`, and what ends it.
fn raw_string(rest: &str) -> Option<(usize, String)> {
    let prefix = ["r", "br", "cr"].iter().find(|prefix| rest.starts_with(**prefix))?.len();
    let hashes = rest[prefix..].len() - rest[prefix..].trim_start_matches('#').len();
    rest[prefix + hashes..]
        .starts_with('"')
        .then(|| (prefix + hashes + 1, format!("\"{}", "#".repeat(hashes))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Source {
        Source::new("x/src/x.rs".into(), text.into())
    }

    #[test]
    fn comments_and_texts_are_not_code() {
        let text = "a /* b /* c */ d */ \"e \\\" f\" r#\"g \" h\"# 'i' '\\'' j<'k> // l\nm";
        let source = source(text);
        let words: Vec<&str> =
            source.code.split(|letter| !is_word(letter)).filter(|word| !word.is_empty()).collect();
        assert_eq!(words, ["a", "r", "j", "k", "m"]);
        assert_eq!(source.strings, [(1, "e \\\" f".into()), (1, "g \" h".into())]);
    }

    #[test]
    fn a_crate_is_named_at_the_head_of_a_path_only() {
        let named = |text| !source(text).lines_naming("redis").is_empty();
        assert!(
            named("use redis::Client;")
                && named("use redis;")
                && named("x(redis::cmd)")
                && named("::redis::cmd")
        );
        assert!(
            !named("settings.redis") && !named("let redis = 1;") && !named("redis_lock::sell()")
        );
        assert!(!named("settings::redis::x()") && !named("// redis::x") && !named("\"redis::x\""));
        assert!(!named("#[cfg(test)]\nmod tests {\n  use redis::Client;\n}"));
    }

    #[test]
    fn functions_are_measured_from_fn_to_brace() {
        let source = source(
            "trait T { fn no_body(&self); }\nfn f<'a>(x: [u8; 2]) -> char {\n  '}'\n}\nlet g: fn(u8);",
        );
        let functions = source.functions();
        let measured: Vec<_> =
            functions.iter().map(|found| (found.name, found.line, found.lines)).collect();
        assert_eq!(measured, [("f", 2, 3)]);
    }
}
