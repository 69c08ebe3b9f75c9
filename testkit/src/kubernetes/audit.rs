//! The API server's audit log: who wrote what. A test counts here that nothing was written.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// The audit log of one API server: every create, update, patch and delete it answered.
#[derive(Clone, Debug)]
pub struct Audit {
    file: PathBuf,
}

/// A place in the audit log.
#[derive(Clone, Copy, Debug)]
pub struct Mark(u64);

/// One write that the API server answered, also one it refused or that changed nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// The user, e.g. `system:serviceaccount:shop:operator`.
    pub user: String,
    /// The client program's own words, e.g. `kubectl/v1.36.3 ...`.
    pub user_agent: String,
    /// `create`, `update`, `patch`, `delete` or `deletecollection`.
    pub verb: String,
    /// Empty for a cluster-wide object.
    pub namespace: String,
    /// `configmaps`, or `inventoryservices/status` with a subresource.
    pub resource: String,
    /// Empty for `create` with a generated name.
    pub name: String,
    /// The HTTP status it was answered with.
    pub code: u64,
}

impl Audit {
    pub(crate) fn new(file: PathBuf) -> Self {
        Self { file }
    }

    /// The end of the log as it is now.
    pub fn mark(&self) -> Mark {
        Mark(fs::metadata(&self.file).map(|file| file.len()).unwrap_or(0))
    }

    /// The writes after `mark`, oldest first. The last write of a client that has just got its answer may be missing
    /// for a moment: the API server logs after it answers.
    ///
    /// # Errors
    /// When the log cannot be read, or is shorter than the one that `mark` was taken of.
    pub fn writes_since(&self, mark: Mark) -> Result<Vec<Write>> {
        let mut log = Vec::new();
        let mut file = File::open(&self.file)
            .with_context(|| format!("no audit log at {}", self.file.display()))?;
        ensure!(file.metadata()?.len() >= mark.0, "the mark is of another audit log");
        file.seek(SeekFrom::Start(mark.0.saturating_sub(1)))?;
        file.read_to_end(&mut log)?;
        // A line grows page by page: the first may have been half written at the mark, the last may be now. The first
        // was a write from before the mark.
        let first = match mark.0 {
            0 => Some(0),
            _ => log.iter().position(|byte| *byte == b'\n').map(|end| end + 1),
        };
        let end = log.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let whole =
            str::from_utf8(first.and_then(|first| log.get(first..end)).unwrap_or_default())?;
        whole.lines().map(|line| Ok(write(&serde_json::from_str(line)?))).collect()
    }
}

fn write(event: &Value) -> Write {
    let text =
        |pointer| event.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut resource = text("/objectRef/resource");
    let subresource = text("/objectRef/subresource");
    if !subresource.is_empty() {
        resource = format!("{resource}/{subresource}");
    }
    Write {
        user: text("/user/username"),
        user_agent: text("/userAgent"),
        verb: text("/verb"),
        namespace: text("/objectRef/namespace"),
        resource,
        name: text("/objectRef/name"),
        code: event.pointer("/responseStatus/code").and_then(Value::as_u64).unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_was_half_written_at_the_mark_or_is_now_does_not_count() {
        let folder = tempfile::tempdir().unwrap();
        let audit = Audit::new(folder.path().join("audit.log"));
        let names_since = |mark| {
            let writes = audit.writes_since(mark).unwrap();
            writes.into_iter().map(|write| write.name).collect::<Vec<_>>().join(" ")
        };
        let line = |name| format!("{{\"objectRef\": {{\"name\": \"{name}\"}}}}\n");
        let (before, half) = (line("before"), line("hälf"));
        let inside_a_letter = Mark((before.len() + half.find('ä').unwrap() + 1) as u64);
        let at_its_start = Mark(before.len() as u64);

        let start = audit.mark();
        fs::write(&audit.file, before.clone() + &half + &line("after") + "{\"obj").unwrap();

        assert_eq!(names_since(start), "before hälf after");
        assert_eq!(names_since(at_its_start), "hälf after");
        assert_eq!(names_since(inside_a_letter), "after");
        assert_eq!(names_since(audit.mark()), "");
    }
}
