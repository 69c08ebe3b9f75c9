//! Finding the master that sentinels watch. They know which server is the master now; the server itself says whether
//! it thinks so too.
//!
//! The client library asks one sentinel after the other without a limit of ours, and looks at the role of the server
//! over another connection than the one it returns; so this is our own.

use std::collections::HashMap;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, ErrorKind, RedisError,
    RedisResult, Value,
};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// How long a sentinel may take, with the connection to it. It answers from memory; what takes longer is down, and the
/// others know as much. It leaves most of the time a script has for the master itself.
const SENTINEL_ANSWERS_WITHIN: Duration = Duration::from_millis(250);

/// The sentinels of one master.
#[derive(Clone)]
pub(crate) struct Sentinels {
    each: Vec<Client>,
    master: String,
    /// How to log in to the master; its address is exchanged for the one that the sentinels say.
    server: ConnectionInfo,
}

/// Where the master is. `epoch` counts the failovers: of two answers the one with more is newer.
#[derive(Clone, Debug)]
pub(crate) struct Master {
    pub host: String,
    pub port: u16,
    epoch: u64,
}

impl Master {
    /// Whether there was a failover from this one to the other.
    pub(crate) fn is_before(&self, other: &Self) -> bool {
        self.epoch < other.epoch
    }
}

impl Sentinels {
    pub(crate) fn new(each: Vec<Client>, master: String, server: ConnectionInfo) -> Self {
        Self { each, master, server }
    }

    /// A connection to the master, which says of itself that it is one.
    pub(crate) async fn connect(
        &self,
        config: &AsyncConnectionConfig,
    ) -> RedisResult<(MultiplexedConnection, Master)> {
        let master = self.find().await?;
        let address = ConnectionAddr::Tcp(master.host.clone(), master.port);
        let client = Client::open(self.server.clone().set_addr(address))?;
        let mut connection = client.get_multiplexed_async_connection_with_config(config).await?;
        let role: Vec<Value> = redis::cmd("ROLE").query_async(&mut connection).await?;
        match role.into_iter().next().map(redis::from_redis_value::<String>) {
            Some(Ok(role)) if role == "master" => Ok((connection, master)),
            _ => Err(trouble("the server that the sentinels name is not a master yet".into())),
        }
    }

    /// Asks all at once and believes the newest answer, as soon as most have answered: a sentinel that is cut off
    /// still names the master of before.
    pub(crate) async fn find(&self) -> RedisResult<Master> {
        let mut asked = JoinSet::new();
        for sentinel in &self.each {
            let (sentinel, name) = (sentinel.clone(), self.master.clone());
            asked.spawn(
                async move { timeout(SENTINEL_ANSWERS_WITHIN, ask(&sentinel, &name)).await },
            );
        }
        let mut newest: Option<Master> = None;
        let (mut answers, mut reason) = (0, String::from("none answered in time"));
        while let Some(answer) = asked.join_next().await {
            match answer {
                Ok(Ok(Ok(master))) => {
                    answers += 1;
                    if newest.as_ref().is_none_or(|known| known.is_before(&master)) {
                        newest = Some(master);
                    }
                    if answers > self.each.len() / 2 {
                        break;
                    }
                }
                Ok(Ok(Err(error))) => reason = error.to_string(),
                // Silence is the reason when there is no better one.
                Ok(Err(_)) | Err(_) => {}
            }
        }
        newest.ok_or_else(|| {
            trouble(format!("no sentinel knows the master `{}` ({reason})", self.master))
        })
    }
}

async fn ask(sentinel: &Client, name: &str) -> RedisResult<Master> {
    let config = AsyncConnectionConfig::new().set_connection_timeout(Some(SENTINEL_ANSWERS_WITHIN));
    let mut connection = sentinel.get_multiplexed_async_connection_with_config(&config).await?;
    let mut command = redis::cmd("SENTINEL");
    command.arg("MASTER").arg(name);
    let fields: HashMap<String, String> = command.query_async(&mut connection).await?;
    let master = || {
        Some(Master {
            host: fields.get("ip")?.clone(),
            port: fields.get("port")?.parse().ok()?,
            epoch: fields.get("config-epoch")?.parse().ok()?,
        })
    };
    master().ok_or_else(|| trouble("a sentinel's answer has no address".into()))
}

fn trouble(words: String) -> RedisError {
    (ErrorKind::Client, "no master", words).into()
}
