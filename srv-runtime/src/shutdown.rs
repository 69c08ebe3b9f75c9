//! The signals that ask a process to stop.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Completes at the first SIGTERM or SIGINT after the call, with its name. Must be called inside a tokio runtime.
///
/// The handlers are installed when this returns, so no signal that comes before the first poll is lost; from then on
/// the process no longer dies of these signals by itself.
pub fn requested() -> impl Future<Output = &'static str> + Send + 'static {
    let mut signals = Signals::install();
    async move { signals.next().await }
}

/// Completes at the second such signal: whoever sends it does not want to wait for the drain.
pub fn insisted() -> impl Future<Output = &'static str> + Send + 'static {
    let mut signals = Signals::install();
    async move {
        signals.next().await;
        signals.next().await
    }
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn install() -> Self {
        Self {
            terminate: signal(SignalKind::terminate()).expect("SIGTERM can be handled"),
            interrupt: signal(SignalKind::interrupt()).expect("SIGINT can be handled"),
        }
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}
