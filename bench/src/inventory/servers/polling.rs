//! What the course teaches: a lock in Redis per goods, polled until it is free, around the deduction; the lock is
//! released after the answer stands. The deduction is the service's own, under `conditional`.

use super::listen;
use crate::inventory::library;
use anyhow::{Context, Result};
use futures::future::BoxFuture;
use redis::{AsyncConnectionConfig, Script, aio::MultiplexedConnection};
use std::{convert::Infallible, sync::Arc, task, time::Duration};
use tokio::time::{Instant, sleep};
use tonic::{
    Status,
    body::Body,
    server::NamedService,
    transport::{Server, server::TcpIncoming},
};

/// The lock of the one goods that is sold.
const KEY: &str = "goods_1";
/// How long a lock holds if it is not released: longer than any deduction.
const TTL: Duration = Duration::from_secs(8);
/// How long a call polls: the deadline of the service.
const PATIENCE: Duration = Duration::from_secs(5);
/// Deletes the key if it still holds our token.
const RELEASE: &str =
    "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0";

/// What the server needs.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[arg(long)]
    database_url: String,
    #[arg(long)]
    redis_url: String,
    /// Connections to the database.
    #[arg(long)]
    pool: u32,
    /// The pause between two looks at the lock: a random one from half of this to one and a half.
    #[arg(long)]
    pause_milliseconds: u64,
}

pub(super) async fn serve(arguments: Arguments) -> Result<()> {
    let (inventory, _) =
        library::open(&arguments.database_url, "conditional", arguments.pool).await?;
    let redis = redis::Client::open(arguments.redis_url)?;
    // Many poll over one connection: an answer may be late, and one that is given up may have taken the lock.
    let config = AsyncConnectionConfig::new().set_response_timeout(Some(PATIENCE));
    let behind_lock = Locked {
        inner: inventory_srv::grpc::service(inventory),
        redis: redis.get_multiplexed_async_connection_with_config(&config).await?,
        release: Arc::new(Script::new(RELEASE)),
        pause: Duration::from_millis(arguments.pause_milliseconds),
    };
    let incoming = TcpIncoming::from(listen().await?).with_nodelay(Some(true));
    Server::builder()
        .add_service(behind_lock)
        .serve_with_incoming(incoming)
        .await
        .context("the server behind the polled lock ended")
}

/// A service each of whose calls runs under the lock.
#[derive(Clone)]
struct Locked<S> {
    inner: S,
    redis: MultiplexedConnection,
    release: Arc<Script>,
    pause: Duration,
}

impl<S> Locked<S> {
    /// Polls until the lock is ours; false when the time is over.
    async fn acquire(&mut self, token: u64) -> Result<bool, redis::RedisError> {
        let until = Instant::now() + PATIENCE;
        let ttl = u64::try_from(TTL.as_millis()).expect("a constant of seconds");
        while Instant::now() < until {
            let mut set = redis::cmd("SET");
            set.arg(KEY).arg(token).arg("NX").arg("PX").arg(ttl);
            if set.query_async::<Option<String>>(&mut self.redis).await?.is_some() {
                return Ok(true);
            }
            sleep(self.pause.mul_f64(0.5 + rand::random::<f64>())).await;
        }
        Ok(false)
    }

    async fn release(&mut self, token: u64) -> Result<(), redis::RedisError> {
        self.release.key(KEY).arg(token).invoke_async(&mut self.redis).await
    }
}

impl<S> tower::Service<http::Request<Body>> for Locked<S>
where
    S: tower::Service<http::Request<Body>, Response = http::Response<Body>, Error = Infallible>
        + Clone
        + Send
        + Sync
        + 'static,
    S::Future: Send,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(
        &mut self,
        context: &mut task::Context<'_>,
    ) -> task::Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let mut locked = self.clone();
        Box::pin(async move {
            let token = rand::random();
            match locked.acquire(token).await {
                Ok(true) => {}
                Ok(false) => return Ok(Status::unavailable("the lock was never free").into_http()),
                Err(error) => return Ok(Status::internal(error.to_string()).into_http()),
            }
            let answer = locked.inner.call(request).await;
            // What cannot be released ends by itself, and is seen as a low figure.
            let _ = locked.release(token).await;
            answer
        })
    }
}

impl<S> NamedService for Locked<S> {
    const NAME: &'static str = "inventory.v1.InventoryService";
}
