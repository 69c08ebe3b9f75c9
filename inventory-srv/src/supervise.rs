//! Keeps tasks running that serve as long as the process does.

use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::sleep;

/// After how long what fell over is set up again: what falls over each time must not take a processor.
const FALLEN_REST: Duration = Duration::from_millis(100);

/// Keeps running what never ends by itself. When it panics, that is told, and it is set up anew.
pub(crate) async fn supervise<R>(name: &'static str, run: impl Fn() -> R)
where
    R: Future<Output = ()> + Send + 'static,
{
    loop {
        let mut running = JoinSet::new();
        running.spawn(run());
        if let Some(Err(panicked)) = running.join_next().await {
            tracing::error!(%panicked, "{name} fell over and is set up again");
            // Whatever made it fall may still be there.
            sleep(FALLEN_REST).await;
        }
    }
}
