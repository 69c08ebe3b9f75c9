//! The mounted directory: the boot copy, and the fallback when the API is away.

use super::{
    ConfigError,
    instruments::Instruments,
    snapshot::{Origin, Snapshot},
};
use crate::folder::FolderChanges;
use srv_config::{CONFIG_FILE, REVISION_FILE, hash_of};
use std::{
    fs,
    io::{self, ErrorKind},
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::sync::mpsc;

/// The symbolic link by which the kubelet swaps all files of a volume at once.
const DATA_LINK: &str = "..data";

/// The kubelet may take the old files away between our looking and our reading; more often than twice in a row it will
/// not within the microseconds that takes.
const ATTEMPTS_MAX: u32 = 3;

/// How often the directory is read without an event: for mounts that have no inotify.
const POLL: Duration = Duration::from_secs(30);

/// Reads the three files so that they belong to one revision.
pub(super) fn read(directory: &Path) -> Result<Snapshot, ConfigError> {
    let mut attempt = 1;
    loop {
        match read_once(directory) {
            Err(ConfigError::Unreadable { source, .. })
                if source.kind() == ErrorKind::NotFound && attempt < ATTEMPTS_MAX =>
            {
                attempt += 1;
            }
            outcome => return outcome,
        }
    }
}

fn read_once(directory: &Path) -> Result<Snapshot, ConfigError> {
    let (root, swapped_at_once) = match fs::read_link(directory.join(DATA_LINK)) {
        Ok(target) => (directory.join(target), true),
        Err(_) => (directory.to_owned(), false),
    };
    let mut failure = None;
    let mut entry = |key: &str| match fs::read_to_string(root.join(key)) {
        Ok(value) => Some(value),
        Err(error) => {
            note(&mut failure, directory.join(key), key, error);
            None
        }
    };
    let read =
        Snapshot::from_entries(&directory.display().to_string(), Origin::Directory, &mut entry);
    if let Some((file, source)) = failure {
        return Err(ConfigError::Unreadable { file, source });
    }
    let snapshot = read?;
    // Files that a person writes one after the other can be caught between two revisions.
    let hash = hash_of(&snapshot.text);
    if !swapped_at_once && snapshot.revision.hash != hash {
        return Err(ConfigError::Malformed {
            what: directory.join(REVISION_FILE).display().to_string(),
            reason: format!(
                "says {}, but {CONFIG_FILE} is {}-{hash}: write that",
                snapshot.revision, snapshot.revision.number
            ),
        });
    }
    Ok(snapshot)
}

/// Keeps the first failure to read a file that must be there.
fn note(failure: &mut Option<(PathBuf, io::Error)>, file: PathBuf, key: &str, error: io::Error) {
    if failure.is_none() && (key == CONFIG_FILE || key == REVISION_FILE) {
        *failure = Some((file, error));
    }
}

/// Sends every reading that differs from the one before, until nobody listens.
pub(super) async fn follow(
    directory: PathBuf,
    readings: mpsc::Sender<Snapshot>,
    instruments: Instruments,
) {
    let mut changes = FolderChanges::of(&directory, POLL);
    let mut last = None;
    let mut failing = false;
    loop {
        match read(&directory) {
            Ok(snapshot) => {
                failing = false;
                if last.as_ref() != Some(&snapshot) {
                    last = Some(snapshot.clone());
                    if readings.send(snapshot).await.is_err() {
                        return;
                    }
                }
            }
            Err(error) => {
                instruments.source_failed("directory");
                if !failing {
                    tracing::warn!(%error, "the mounted configuration cannot be read; the last good one stays");
                }
                failing = true;
            }
        }
        changes.next().await;
    }
}
