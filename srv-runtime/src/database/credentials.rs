//! Follows the file that holds the database's URL: new credentials are tried, taken over by new connections, and the
//! old connections retired one by one. Ones that do not work are reported, and the old ones stay.

use super::{
    DatabaseError, UrlSource,
    mysql::{try_out, unacceptable},
    target::{Target, name_of},
};
use crate::{Metrics, folder::FolderChanges};
use opentelemetry::{KeyValue, metrics::Counter};
use sqlx::{Connection, MySqlPool, mysql::MySqlConnectOptions};
use std::{
    path::{Path, PathBuf},
    sync::Mutex,
    time::Duration,
};
use tokio::time::{Instant, sleep};

/// How often the file is read, and credentials that did not work are tried, without an event.
const POLL: Duration = Duration::from_secs(10);

/// At most one old connection is retired in this time, so that a pool never reconnects all at once.
const RETIREMENT_PACE: Duration = Duration::from_millis(50);

/// A pool, and the file its credentials come from.
pub(super) struct Rotation {
    pub(super) file: PathBuf,
    pub(super) pool: MySqlPool,
    pub(super) in_use: MySqlConnectOptions,
    pub(super) retirement: std::sync::Arc<Retirement>,
    pub(super) allow_weak_durability: bool,
}

impl Rotation {
    /// Runs until it is dropped.
    pub(super) async fn follow(mut self, metrics: Metrics) {
        let outcomes = metrics
            .meter("database")
            .u64_counter("database.credentials.changes")
            .with_description(
                "Changed credentials, by outcome; failed ones are tried again and again",
            )
            .build();
        let folder = self.file.parent().filter(|folder| !folder.as_os_str().is_empty());
        let mut changes = FolderChanges::of(folder.unwrap_or(Path::new(".")), POLL);
        loop {
            if let Some(options) = self.changed() {
                self.take_over(options, &outcomes).await;
            }
            changes.next().await;
        }
    }

    /// The options of the file if they differ from those in use. An unreadable file is told and changes nothing.
    fn changed(&self) -> Option<MySqlConnectOptions> {
        let source = UrlSource::File(self.file.clone());
        match source.read().and_then(|url| Target::parse(&url, &source)) {
            Ok(Target::MySql(options)) => (!same(&options, &self.in_use)).then_some(options),
            Ok(Target::Sqlite(_)) => {
                tracing::error!(file = %self.file.display(), "a running service cannot move to SQLite; MySQL stays");
                None
            }
            Err(error) => {
                tracing::warn!(%error, "the database credentials in use stay");
                None
            }
        }
    }

    async fn take_over(&mut self, options: MySqlConnectOptions, outcomes: &Counter<u64>) {
        let name = name_of(&options);
        if options.get_database() != self.in_use.get_database() {
            outcomes.add(1, &[KeyValue::new("outcome", "refused")]);
            tracing::error!(
                "{name} is another database; a running service stays with {}",
                name_of(&self.in_use)
            );
            return;
        }
        // They may lead to another server.
        let tried = async {
            let mut connection = try_out(&options).await?;
            let weaknesses = unacceptable(&mut connection, self.allow_weak_durability).await?;
            Ok::<_, sqlx::Error>((connection, weaknesses))
        };
        match tried.await {
            Ok((_, weaknesses)) if !weaknesses.is_empty() => {
                outcomes.add(1, &[KeyValue::new("outcome", "refused")]);
                let error = DatabaseError::Unfit { name, weaknesses };
                tracing::error!(%error, "the old credentials stay");
            }
            Ok((connection, _)) => {
                self.pool.set_connect_options(options.clone());
                self.retirement.begin(Instant::now());
                self.in_use = options;
                outcomes.add(1, &[KeyValue::new("outcome", "taken_over")]);
                tracing::info!("new credentials for {name} work and are taken over");
                let _ = connection.close().await;
                self.turn_idle_connections_over().await;
            }
            Err(error) => {
                outcomes.add(1, &[KeyValue::new("outcome", "failed")]);
                tracing::error!(%error, "new credentials for {name} do not work; the old ones stay");
            }
        }
    }

    /// A connection is retired when it is released; idle ones are taken and released for that.
    async fn turn_idle_connections_over(&self) {
        for _ in 0..self.pool.options().get_max_connections() {
            drop(self.pool.try_acquire());
            sleep(RETIREMENT_PACE).await;
        }
    }
}

/// Whether two URLs mean the same server, user and password.
fn same(one: &MySqlConnectOptions, other: &MySqlConnectOptions) -> bool {
    use sqlx::ConnectOptions;
    one.to_url_lossy() == other.to_url_lossy()
}

/// Decides which connections are from before the last change of credentials, and paces their end.
#[derive(Default)]
pub(super) struct Retirement(Mutex<Option<Paced>>);

struct Paced {
    since: Instant,
    last: Option<Instant>,
}

impl Retirement {
    /// From now on every connection that is open now is old.
    fn begin(&self, now: Instant) {
        *self.0.lock().expect("no holder panics") = Some(Paced { since: now, last: None });
    }

    /// Whether a connection of this age ends now.
    pub(super) fn takes(&self, age: Duration, now: Instant) -> bool {
        let mut paced = self.0.lock().expect("no holder panics");
        let Some(paced) = paced.as_mut() else { return false };
        let old = age > now - paced.since;
        let due = paced.last.is_none_or(|last| now - last >= RETIREMENT_PACE);
        if old && due {
            paced.last = Some(now);
        }
        old && due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_connections_retire_one_by_one_and_new_ones_stay() {
        let retirement = Retirement::default();
        let (age, now) = (Duration::from_secs(60), Instant::now());
        assert!(!retirement.takes(age, now), "nothing was rotated yet");
        retirement.begin(now);
        assert!(retirement.takes(age, now));
        assert!(!retirement.takes(age, now), "two at once");
        let later = now + RETIREMENT_PACE;
        assert!(
            !retirement.takes(Duration::from_millis(1), later),
            "one that was opened after the change"
        );
        assert!(retirement.takes(age, later));
    }
}
