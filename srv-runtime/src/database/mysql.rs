//! The MySQL pool: how each connection is set up, kept clean and replaced.

use super::{
    Database, DatabaseError, Opened, UrlSource, answered_within,
    credentials::{Retirement, Rotation},
    durability,
    target::{Target, name_of},
};
use futures::future::join_all;
use sqlx::{
    ConnectOptions, Connection, Executor, MySqlConnection, MySqlPool,
    mysql::{MySqlConnectOptions, MySqlPoolOptions},
};
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, sleep, timeout};

/// What every session is, whatever the server's defaults are. sqlx itself sets UTC and utf8mb4. A wait for a row's lock
/// ends before a call's default deadline, so that the caller learns the reason.
const SESSION: &str = "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED; \
    SET SESSION innodb_lock_wait_timeout = 3, \
    sql_mode = CONCAT(@@sql_mode, ',STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ZERO_DATE,NO_ZERO_IN_DATE')";

/// How long a call waits for a free connection: below the default deadline, so that it can still answer UNAVAILABLE.
const ACQUIRE_TIMEOUT: Duration = Duration::from_millis(4500);

/// After which age a connection is replaced, so that servers behind one name share the load in the long run.
const CONNECTION_AGE_MAX: Duration = Duration::from_secs(30 * 60);

/// A connection that was idle for longer is pinged before it is used; one that was busy just now is trusted, because a
/// ping would cost each transaction a round trip.
const IDLE_TRUSTED: Duration = Duration::from_secs(1);

/// How long the server may take for what nothing can hold up there: a ping, a rollback. Past it the connection leads
/// nowhere (the server's host is gone, or a firewall has forgotten us), and TCP alone would not tell us for minutes; or
/// its request was dropped in flight, and it waits for an answer that has come already.
const SILENCE_MAX: Duration = Duration::from_secs(2);

/// For how long a start tries a server that does not answer: enough for one that restarts beside us. A longer outage is
/// told as the container's last words, and the kubelet starts us again.
const START_PATIENCE: Duration = Duration::from_secs(10);

/// The pause between two tries at start.
const START_PAUSE: Duration = Duration::from_millis(250);

/// How long one attempt to connect may take.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Connects, probes and builds the pool.
pub(super) async fn open(
    mut options: MySqlConnectOptions,
    source: UrlSource,
    connections: u32,
    allow_weak_durability: bool,
) -> Result<Opened, DatabaseError> {
    let mut connection = connect_patiently(&mut options, &source).await?;
    let name = name_of(&options);
    let unreachable = |source| DatabaseError::Unreachable { name: name.clone(), source };
    let weaknesses = unacceptable(&mut connection, allow_weak_durability).await;
    let weaknesses = weaknesses.map_err(unreachable)?;
    if !weaknesses.is_empty() {
        return Err(DatabaseError::Unfit { name, weaknesses });
    }
    // The pool opens its own; a failed farewell changes nothing.
    let _ = connection.close().await;
    let retirement = Arc::new(Retirement::default());
    let pool = pool(&options, connections, Arc::clone(&retirement));
    let rotation = source.file().map(|file| Rotation {
        file: file.to_owned(),
        pool: pool.clone(),
        in_use: options,
        retirement,
        allow_weak_durability,
    });
    Ok(Opened { database: Database::MySql(pool), name, rotation })
}

/// What a server lacks that a service must not do without.
pub(super) async fn unacceptable(
    connection: &mut MySqlConnection,
    allow_weak_durability: bool,
) -> Result<Vec<durability::Weakness>, sqlx::Error> {
    let mut weaknesses = durability::weaknesses(connection).await?;
    if allow_weak_durability {
        weaknesses.retain(|weakness| !weakness.may_be_accepted());
    }
    Ok(weaknesses)
}

fn pool(options: &MySqlConnectOptions, connections: u32, retirement: Arc<Retirement>) -> MySqlPool {
    MySqlPoolOptions::new()
        .max_connections(connections)
        // All of them are kept open: opening one inside a call would add its handshake to the call, and while a rotated
        // password is on its way to us no new connection can be opened at all.
        .min_connections(connections)
        .idle_timeout(None)
        .max_lifetime(CONNECTION_AGE_MAX)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .test_before_acquire(false)
        .before_acquire(|connection, metadata| {
            Box::pin(async move {
                if metadata.idle_for > IDLE_TRUSTED {
                    answered_within(SILENCE_MAX, connection.ping()).await?;
                }
                Ok(true)
            })
        })
        .after_connect(|connection, _| Box::pin(set_up(connection)))
        // A `BEGIN` whose request was dropped in flight comes back as an open transaction that sqlx does not know of;
        // the next borrower's acknowledged write would be part of it, and lost with it.
        .after_release(move |connection, metadata| {
            let retire = retirement.takes(metadata.age, Instant::now());
            Box::pin(async move {
                answered_within(SILENCE_MAX, connection.execute("ROLLBACK")).await?;
                Ok(!retire)
            })
        })
        .connect_lazy_with(options.clone())
}

async fn set_up(connection: &mut MySqlConnection) -> Result<(), sqlx::Error> {
    connection.execute(SESSION).await.map(drop)
}

/// Opens all connections of a new pool at once. Those that fail are opened when they are needed.
pub(super) async fn fill(pool: MySqlPool) {
    let all = (0..pool.options().get_max_connections()).map(|_| pool.acquire());
    drop(join_all(all).await);
}

/// One connection of its own, to see that these options work.
pub(super) async fn try_out(options: &MySqlConnectOptions) -> Result<MySqlConnection, sqlx::Error> {
    let connect = async {
        let mut connection = options.connect().await?;
        set_up(&mut connection).await?;
        Ok(connection)
    };
    timeout(CONNECT_TIMEOUT, connect).await.unwrap_or(Err(sqlx::Error::PoolTimedOut))
}

/// Tries for [`START_PATIENCE`]. The URL is read again before each try: a refusal may mean that it has just changed.
async fn connect_patiently(
    options: &mut MySqlConnectOptions,
    source: &UrlSource,
) -> Result<MySqlConnection, DatabaseError> {
    let until = Instant::now() + START_PATIENCE;
    let mut told = false;
    loop {
        let error = match try_out(options).await {
            Ok(connection) => return Ok(connection),
            Err(error) => error,
        };
        let name = name_of(options);
        if !may_pass(&error) || Instant::now() >= until {
            return Err(DatabaseError::Unreachable { name, source: error });
        }
        if !told {
            tracing::warn!(%error, "{name} does not answer yet; trying for {START_PATIENCE:?}");
            told = true;
        }
        sleep(START_PAUSE).await;
        if let Target::MySql(now) = Target::parse(&source.read()?, source)? {
            *options = now;
        }
    }
}

/// A server that starts, stops or is full may answer the next time; one that knows us and refuses will not.
fn may_pass(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut => true,
        sqlx::Error::Database(error) => error.is_transient_in_connect_phase(),
        _ => false,
    }
}
