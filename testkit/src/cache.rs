//! The user's cache folder: what is made once per machine and used by many test processes at a time.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::Progress;

/// `$SHOPKEEPER_CACHE`, or `~/.cache/shopkeeper`. It may not exist yet.
///
/// # Panics
/// When neither `SHOPKEEPER_CACHE` nor `HOME` is set.
pub fn cache_folder() -> PathBuf {
    if let Some(folder) = std::env::var_os("SHOPKEEPER_CACHE").filter(|folder| !folder.is_empty()) {
        return std::path::absolute(folder).expect("the current folder exists");
    }
    let home = std::env::var_os("HOME")
        .expect("set SHOPKEEPER_CACHE or HOME: the cache folder has no place");
    Path::new(&home).join(".cache/shopkeeper")
}

/// The folder `name` in the cache, made by `fill` when it is not there yet.
///
/// `fill` works in a folder beside it that is then renamed, so no process ever sees a half-made one; when two processes
/// make it at the same time, the first rename wins and the other's work is thrown away.
pub(crate) fn once(name: &str, fill: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    let cache = cache_folder();
    let finished = cache.join(name);
    if finished.is_dir() {
        return Ok(finished);
    }
    fs::create_dir_all(&cache)
        .with_context(|| format!("cannot create the cache folder {}", cache.display()))?;
    let draft = tempfile::Builder::new().prefix(&format!("{name}.")).tempdir_in(&cache)?;
    fill(draft.path())?;
    match fs::rename(draft.path(), &finished) {
        Err(_) if finished.is_dir() => Ok(finished),
        Err(error) => Err(error).with_context(|| format!("cannot create {}", finished.display())),
        Ok(()) => {
            let _moved_away = draft.keep();
            Ok(finished)
        }
    }
}

/// Waits until nobody else holds the lock `name` of the cache folder, and holds it until the file is dropped.
pub(crate) fn lock(name: &str, progress: Progress<'_>) -> Result<File> {
    let file = lock_file(name)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            progress("somebody else is at it; waiting for them ...");
            file.lock()?;
        }
        Err(TryLockError::Error(error)) => {
            return Err(error).context("the cache folder cannot be locked");
        }
    }
    Ok(file)
}

/// As [`lock`], without waiting: `None` when another process holds it.
pub(crate) fn try_lock(name: &str) -> Result<Option<File>> {
    let file = lock_file(name)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error).context("the cache folder cannot be locked"),
    }
}

fn lock_file(name: &str) -> Result<File> {
    let cache = cache_folder();
    fs::create_dir_all(&cache)
        .with_context(|| format!("cannot create the cache folder {}", cache.display()))?;
    File::create(cache.join(name)).with_context(|| format!("cannot write in {}", cache.display()))
}
