//! Word to calls that would last that their process stops.

use tokio_util::sync::CancellationToken;

/// Tells a call that its process stops. Most calls need not know: the drain waits for them. One that lasts for as long
/// as its caller listens must end when it is told, or it holds the drain up to its bound.
#[derive(Clone, Debug, Default)]
pub struct Stopping(CancellationToken);

impl Stopping {
    /// That of the process that got `request`; outside of a server (in a unit test) one that never stops.
    pub fn of<T>(request: &tonic::Request<T>) -> Self {
        request.extensions().get().cloned().unwrap_or_default()
    }

    /// Completes when the process has told its clients to go to another (GOAWAY), so that who calls again calls there.
    pub async fn begun(&self) {
        self.0.cancelled().await;
    }

    pub(super) fn begin(&self) {
        self.0.cancel();
    }
}
