//! A Redis with a replica, and three sentinels that make the replica the master when the master is away.

use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::program;
use crate::redis::Redis;
use crate::server::{Recipe, Server, on_a_free_port, write_private};

/// What the sentinels call the master.
const MASTER: &str = "main";
const SENTINELS: usize = 3;
/// How long the master may be silent. Short, so that tests go on; long enough for a machine that also compiles.
const DOWN_AFTER_MILLISECONDS: u32 = 1000;
/// A failover that gets stuck is given up after this, and tried again after twice as long.
const FAILOVER_WITHIN_MILLISECONDS: u32 = 5000;
/// How long the sentinels may take to know each other and the replica, and how long a failover may take. Both are
/// seconds; the rest is for a machine that also compiles.
const KNOWN_WITHIN: Duration = Duration::from_secs(60);
const POLL_EVERY: Duration = Duration::from_millis(50);

/// Two Redis servers, one the replica of the other, and three sentinels. All end when the guard is dropped, or when
/// the process ends in any way.
pub struct RedisSentinel {
    servers: [Redis; 2],
    sentinels: Vec<Sentinel>,
}

struct Sentinel {
    port: u16,
    server: Mutex<Server>,
}

impl RedisSentinel {
    /// Starts all five and waits until the sentinels can fail over.
    ///
    /// # Panics
    /// When Redis is not installed or does not start; the message says what to do.
    pub fn start() -> Self {
        Self::launch().unwrap_or_else(|error| panic!("{error:#}"))
    }

    fn launch() -> Result<Self> {
        // Otherwise a master waits 5 s for more replicas before it sends its data to the first.
        let first = Redis::options().setting("repl-diskless-sync-delay", "0").start()?;
        let second = Redis::options()
            .setting("repl-diskless-sync-delay", "0")
            .setting("replicaof", &format!("127.0.0.1 {}", first.port()))
            .start()?;
        until("the replica follows its master", || {
            Ok(first.try_cli(&["INFO", "replication"])?.contains("state=online"))
        })?;
        let master = first.port();
        let sentinels = (0..SENTINELS).map(|_| Sentinel::launch(master)).collect::<Result<_>>()?;
        let set = Self { servers: [first, second], sentinels };
        for sentinel in &set.sentinels {
            until("the sentinels know each other and the replica", || {
                let others = (SENTINELS - 1).to_string();
                Ok(sentinel.field("num-other-sentinels")? == others
                    && sentinel.field("num-slaves")? == "1")
            })?;
        }
        Ok(set)
    }

    /// What the sentinels call the master.
    pub fn master_name(&self) -> &str {
        MASTER
    }

    /// `127.0.0.1:PORT` of each sentinel.
    pub fn addresses(&self) -> Vec<String> {
        self.sentinels.iter().map(|sentinel| format!("127.0.0.1:{}", sentinel.port)).collect()
    }

    /// `redis-sentinel://127.0.0.1:PORT,127.0.0.1:PORT,127.0.0.1:PORT/#main`
    pub fn url(&self) -> String {
        format!("redis-sentinel://{}/#{MASTER}", self.addresses().join(","))
    }

    /// The server that the sentinels call the master now.
    ///
    /// # Panics
    /// When no sentinel runs, or they name none of ours.
    pub fn master(&self) -> &Redis {
        &self.servers[self.master_index().unwrap_or_else(|error| panic!("{error:#}"))]
    }

    /// The other one.
    ///
    /// # Panics
    /// As [`Self::master`].
    pub fn replica(&self) -> &Redis {
        &self.servers[1 - self.master_index().unwrap_or_else(|error| panic!("{error:#}"))]
    }

    /// Asks for a failover, and waits until it is done: the replica is the master, and the master its replica.
    ///
    /// # Panics
    /// When it is not done in time.
    pub fn fail_over(&self) {
        let (old, new) = (self.master(), self.replica());
        until("the sentinels take the replica for one that can be the master", || {
            let asked = self.first()?.cli(&["SENTINEL", "FAILOVER", MASTER]);
            match asked {
                // One that was started a moment ago is not known well enough yet.
                Err(error) if error.to_string().contains("NOGOODSLAVE") => Ok(false),
                asked => asked.map(|_| true),
            }
        })
        .unwrap_or_else(|error| panic!("{error:#}"));
        self.wait_until_master(new);
        until("the old master is a replica", || {
            // A server that changes its role hangs up on its clients.
            Ok(says(old, "role:slave"))
        })
        .unwrap_or_else(|error| panic!("{error:#}"));
    }

    /// Waits until the sentinels call this server the master, and it says so itself.
    ///
    /// # Panics
    /// When that does not happen in time.
    pub fn wait_until_master(&self, server: &Redis) {
        until("the failover is done", || {
            Ok(self.servers[self.master_index()?].port() == server.port()
                && says(server, "role:master"))
        })
        .unwrap_or_else(|error| panic!("{error:#}"));
    }

    /// Kills one of the sentinels, 0 to 2. The others can still fail over; two that are gone cannot be spared.
    pub fn kill_sentinel(&self, number: usize) {
        self.sentinels[number].server.lock().unwrap_or_else(PoisonError::into_inner).kill();
    }

    fn master_index(&self) -> Result<usize> {
        let port = self.first()?.field("port")?;
        let of = |server: &Redis| server.port().to_string() == port;
        self.servers.iter().position(of).context("the sentinels name a server that is none of ours")
    }

    fn first(&self) -> Result<&Sentinel> {
        let runs = |sentinel: &&Sentinel| {
            sentinel.server.lock().unwrap_or_else(PoisonError::into_inner).is_running()
        };
        self.sentinels.iter().find(runs).context("no sentinel runs")
    }
}

impl Sentinel {
    fn launch(master: u16) -> Result<Self> {
        let program = program::find("redis-server", "redis-server")?;
        let (port, server) = on_a_free_port(|port| {
            let mut server =
                Server::new(Recipe { name: "sentinel", ready_words: "+monitor master" })?;
            // The sentinel writes what it learns into this file.
            let file = server.folder().join("sentinel.conf");
            write_private(&file, &configuration(port, master))?;
            let mut command = Command::new(&program);
            command.arg(file).arg("--sentinel");
            server.start(&command)?;
            Ok(server)
        })?;
        Ok(Self { port, server: Mutex::new(server) })
    }

    /// A field of what it knows of the master.
    fn field(&self, name: &str) -> Result<String> {
        let answer = self.cli(&["SENTINEL", "MASTER", MASTER])?;
        let mut lines = answer.lines();
        lines.find(|line| *line == name);
        Ok(lines.next().with_context(|| format!("a sentinel does not tell {name}"))?.to_owned())
    }

    fn cli(&self, words: &[&str]) -> Result<String> {
        let mut client = Command::new(program::find("redis-cli", "redis-tools")?);
        client.arg("-e").args(["-h", "127.0.0.1", "-p", &self.port.to_string()]).args(words);
        program::run(&mut client)
    }
}

fn configuration(port: u16, master: u16) -> String {
    let quorum = SENTINELS / 2 + 1;
    format!(
        "port {port}\nbind 127.0.0.1\n\
         sentinel monitor {MASTER} 127.0.0.1 {master} {quorum}\n\
         sentinel down-after-milliseconds {MASTER} {DOWN_AFTER_MILLISECONDS}\n\
         sentinel failover-timeout {MASTER} {FAILOVER_WITHIN_MILLISECONDS}\n"
    )
}

/// Whether a server answers, and says this of its role.
fn says(server: &Redis, words: &str) -> bool {
    server.try_cli(&["INFO", "replication"]).is_ok_and(|told| told.contains(words))
}

fn until(what: &str, mut is_so: impl FnMut() -> Result<bool>) -> Result<()> {
    let deadline = Instant::now() + KNOWN_WITHIN;
    while !is_so()? {
        ensure!(Instant::now() < deadline, "not within {KNOWN_WITHIN:?}: {what}");
        std::thread::sleep(POLL_EVERY);
    }
    Ok(())
}
