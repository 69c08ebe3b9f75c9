//! Tells when something in a directory may have changed.
//!
//! The kubelet replaces a mounted ConfigMap or Secret by renaming a symbolic link (`..data`), so files are watched
//! through their directory: a watch on the file itself dies with the first change.

use notify::{
    Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher,
    event::{AccessKind, AccessMode},
};
use std::{path::Path, sync::Arc, time::Duration};
use tokio::{
    sync::Notify,
    time::{Interval, MissedTickBehavior, interval},
};

/// Wake-ups for whoever reads a directory: at once by inotify, and slowly by the clock, because some mounts have no
/// inotify and some machines no watches left.
pub(crate) struct FolderChanges {
    changed: Arc<Notify>,
    poll: Interval,
    _watcher: Option<RecommendedWatcher>,
}

impl FolderChanges {
    /// Watches `folder` itself, not what is below it. Events from before the call may be missed; read after it.
    pub(crate) fn of(folder: &Path, poll_every: Duration) -> Self {
        let changed = Arc::new(Notify::new());
        let watcher = watch(folder, Arc::clone(&changed))
            .inspect_err(|error| {
                tracing::warn!(folder = %folder.display(), %error, "directory is polled only, it cannot be watched");
            })
            .ok();
        let mut poll = interval(poll_every);
        poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
        poll.reset();
        Self { changed, poll, _watcher: watcher }
    }

    /// Returns when it is time to read the directory again. Wake-ups that come meanwhile are one.
    pub(crate) async fn next(&mut self) {
        tokio::select! {
            () = self.changed.notified() => {}
            _ = self.poll.tick() => {}
        }
    }
}

fn watch(folder: &Path, changed: Arc<Notify>) -> notify::Result<RecommendedWatcher> {
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
        if event.map_or(true, |event| is_change(event.kind)) {
            changed.notify_one();
        }
    })?;
    watcher.watch(folder, RecursiveMode::NonRecursive)?;
    Ok(watcher)
}

/// Our own reading is an event, too; taken for a change it would wake us for ever.
fn is_change(kind: EventKind) -> bool {
    match kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => true,
        EventKind::Access(_) => false,
        _ => true,
    }
}
