//! Small C libraries that are preloaded into servers: compiled on this machine, once per text.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::cache;

/// The library of this C text, from the cache or compiled into it.
pub(crate) fn library(name: &str, source: &str) -> Result<PathBuf> {
    let mut hash = DefaultHasher::new();
    source.hash(&mut hash);
    let folder = cache::once(&format!("{name}-{:016x}", hash.finish()), |draft| {
        let file = draft.join("source.c");
        fs::write(&file, source)?;
        let output = Command::new("cc")
            .args(["-O2", "-shared", "-fPIC", "-o"])
            .args([&draft.join("library.so"), &file])
            .output()
            .context("`cc` cannot be started: install a C compiler (Debian: gcc)")?;
        if !output.status.success() {
            bail!("cc refuses {name}: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(())
    })?;
    Ok(folder.join("library.so"))
}
