//! A network between clients and one server of the loopback, as bad as a test wants it.
//!
//! It listens on a free port and carries every connection to the server and back. A [`Fault`] is put in at once
//! ([`Network::suffer`]) or at the moment at which something passes ([`Network::when`]); [`Network::heal`] ends
//! them all.
//!
//! What it carries is TCP: bytes arrive in order, or their connection ends. So what a silent network has taken is not
//! lost. It arrives when the network heals, as after TCP's retransmissions, even if its sender has given up by then: a
//! COMMIT, too, can arrive that late.

mod connection;
mod trap;

pub use trap::{Event, Trap};

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::sync::{Semaphore, watch};
use tokio::time::sleep;

use trap::Traps;

/// How many connections are carried at a time; more wait to be accepted. Far more than any pool of a test holds.
const CONNECTIONS_MAX: usize = 1024;

/// The pause after a connection that could not be accepted, which is so only while file descriptors are scarce.
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);

/// How a COMMIT of a MySQL client looks on the wire: the command for a query, and its text.
pub const MYSQL_COMMIT: &[u8] = b"\x03COMMIT";

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Requests.
    ToServer,
    /// Answers.
    ToClient,
}

/// What a network can do to its clients and its server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The connection ends, as if the other side had closed it.
    Cut,
    /// The connection is reset on both sides.
    Reset,
    /// Nothing is carried this way any more, though the other way goes on: one-way loss.
    Silence(Direction),
    /// New connections are accepted, and nothing is carried either way.
    BlackHole,
    /// Every connection ends, and new ones are reset at once.
    Dark,
    /// Connections that are open carry nothing any more, for ever, and their clients are not told; new ones are
    /// carried. As when the server's host is gone and another has taken over its address.
    Vanish,
}

/// A network before one server. It runs in a thread of its own, so that nothing a test does holds it up.
pub struct Network {
    port: u16,
    server: u16,
    state: Arc<State>,
    runtime: Option<Runtime>,
}

/// What all connections of a network share.
struct State {
    weather: watch::Sender<Weather>,
    traps: Mutex<Traps>,
    passed: [AtomicU64; 2],
}

/// What holds for every connection at a moment.
#[derive(Clone, Copy, Default)]
struct Weather {
    delays: [Duration; 2],
    silent: [bool; 2],
    dark: bool,
    /// How often all connections of the moment were cut, were reset, and vanished.
    cuts: u64,
    resets: u64,
    vanishings: u64,
}

impl Network {
    /// A network before the server on this port of the loopback. It need not run yet.
    ///
    /// # Panics
    /// When the loopback has no free port, or no thread can be started.
    pub fn before(server: u16) -> Self {
        let listener =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("the loopback has a free port");
        listener.set_nonblocking(true).expect("a socket can be made non-blocking");
        let port = listener.local_addr().expect("a bound socket has an address").port();
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("network")
            .enable_all()
            .build()
            .expect("a thread can be started");
        let state = Arc::new(State {
            weather: watch::Sender::new(Weather::default()),
            traps: Mutex::default(),
            passed: Default::default(),
        });
        runtime.spawn(listen(listener, server, Arc::clone(&state)));
        Self { port, server, state, runtime: Some(runtime) }
    }

    /// The port on which it listens, on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The URL of the server, as seen through this network.
    pub fn reroute(&self, url: &str) -> String {
        url.replacen(&format!(":{}", self.server), &format!(":{}", self.port), 1)
    }

    /// How many bytes have passed this way.
    pub fn passed(&self, direction: Direction) -> u64 {
        self.state.passed[direction as usize].load(Ordering::SeqCst)
    }

    /// From now on everything that goes this way takes so much longer. How much goes at once is not less by it.
    pub fn delay(&self, direction: Direction, by: Duration) {
        self.state.weather.send_modify(|weather| weather.delays[direction as usize] = by);
    }

    /// Puts a fault in, for every connection. What ends connections ends those that are open now.
    pub fn suffer(&self, fault: Fault) {
        match fault {
            Fault::Cut => self.state.weather.send_modify(|weather| weather.cuts += 1),
            Fault::Reset => self.state.weather.send_modify(|weather| weather.resets += 1),
            Fault::Vanish => self.state.weather.send_modify(|weather| weather.vanishings += 1),
            Fault::Silence(_) | Fault::BlackHole | Fault::Dark => self.state.change(fault),
        }
    }

    /// Puts a fault in at the next moment at which `event` comes about, once. [`Fault::Cut`], [`Fault::Reset`] and
    /// [`Fault::Vanish`] are then about the connection on which it did, the others about every connection.
    ///
    /// # Panics
    /// When the event is about no bytes, or about more than 256 of them.
    pub fn when(&self, event: Event, fault: Fault) -> Trap {
        self.state.traps.lock().unwrap_or_else(PoisonError::into_inner).set(event, fault)
    }

    /// Ends every fault and delay and takes back what was to come. What was held back arrives.
    pub fn heal(&self) {
        self.state.traps.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.state.weather.send_modify(|weather| {
            let Weather { cuts, resets, vanishings, .. } = *weather;
            *weather = Weather { cuts, resets, vanishings, ..Weather::default() }
        });
    }
}

impl State {
    /// Puts in a fault that stays until the network heals.
    fn change(&self, fault: Fault) {
        self.weather.send_modify(|weather| match fault {
            Fault::Silence(direction) => weather.silent[direction as usize] = true,
            Fault::BlackHole => weather.silent = [true; 2],
            Fault::Dark => weather.dark = true,
            Fault::Cut | Fault::Reset | Fault::Vanish => {}
        });
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        // A runtime that waits for its thread must not be dropped in a task of another, where most of these are.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn listen(listener: TcpListener, server: u16, state: Arc<State>) {
    let listener = tokio::net::TcpListener::from_std(listener).expect("the socket is non-blocking");
    let server = SocketAddr::from((Ipv4Addr::LOCALHOST, server));
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let place = Arc::clone(&places).acquire_owned().await.expect("nobody closes the semaphore");
        let Ok((client, _)) = listener.accept().await else {
            sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let state = Arc::clone(&state);
        tokio::spawn(async move {
            connection::carry(client, server, &state).await;
            drop(place);
        });
    }
}
