//! The hot half of the configuration, as running code reads it.

use arc_swap::ArcSwap;
use std::sync::Arc;

/// The hot fields in force now. Clones share one value; a change is seen by the next [`Settings::load`] of any of them.
///
/// Load where a value is used, once per decision, so that one decision never sees two revisions.
#[derive(Debug)]
pub struct Settings<H>(Arc<ArcSwap<H>>);

impl<H> Settings<H> {
    /// Settings that hold `hot` until they are replaced.
    pub fn new(hot: H) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(hot)))
    }

    /// The fields in force now: a few nanoseconds, never waits.
    pub fn load(&self) -> Arc<H> {
        self.0.load_full()
    }

    /// Puts `hot` in force for every later [`Settings::load`]. In a service only the configuration watch calls it; in
    /// tests it plays the watch.
    pub fn replace(&self, hot: H) {
        self.0.store(Arc::new(hot));
    }
}

impl<H> Clone for Settings<H> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}
