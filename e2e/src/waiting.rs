//! Waiting for something to become true, with a bound and a sentence for when it does not.

use anyhow::{Result, bail};
use std::time::{Duration, Instant};

/// How long to leave a cluster alone between two looks: short against a pod's start, long against a read.
const BETWEEN_LOOKS: Duration = Duration::from_millis(100);

/// Looks until `look` gives an answer. After `limit` fails with what was last seen instead.
///
/// `look` returns `Ok(Ok(answer))` when it is there, `Ok(Err(what was seen))` when it is not yet, `Err` to give up.
pub async fn until<T>(
    what: &str,
    limit: Duration,
    mut look: impl AsyncFnMut() -> Result<Result<T, String>>,
) -> Result<T> {
    let start = Instant::now();
    loop {
        match look().await? {
            Ok(answer) => return Ok(answer),
            Err(seen) if start.elapsed() > limit => {
                bail!("{what}: not so after {} s; last seen: {seen}", limit.as_secs())
            }
            Err(_) => tokio::time::sleep(BETWEEN_LOOKS).await,
        }
    }
}
