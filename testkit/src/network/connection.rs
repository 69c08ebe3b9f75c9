//! Carries one connection.

use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tokio::{select, try_join};

use super::trap::Memory;
use super::{Direction, Fault, State, Weather};

/// How much is read at once.
const PIECE_BYTES: usize = 16 * 1024;
/// How many pieces wait in one direction; then no more is read, and the sender's own buffers fill, as before any slow
/// network.
const PIECES_MAX: usize = 64;

/// How a connection ends.
#[derive(Clone, Copy)]
enum End {
    Closed,
    Reset,
    /// The server's side is reset, and the client's side stays open and silent.
    Vanished,
}

/// What was read from one side.
enum Taken {
    Bytes(Vec<u8>),
    End(End),
}

/// Carries a connection until both sides have closed it, or a fault ends it.
pub(super) async fn carry(mut client: TcpStream, server: SocketAddr, state: &State) {
    let born = *state.weather.borrow();
    let end = select! {
        biased;
        end = ended_by_weather(state, born) => end,
        server = reach(server, state) => match server {
            Some(server) => return carry_to(client, server, state, born).await,
            None => End::Reset,
        },
    };
    finish(end, &mut client).await;
}

/// Connects, once the network carries anything to the server. `None` where nobody listens.
async fn reach(server: SocketAddr, state: &State) -> Option<TcpStream> {
    ready(&mut state.weather.subscribe(), Direction::ToServer, Instant::now()).await;
    TcpStream::connect(server).await.ok()
}

async fn carry_to(mut client: TcpStream, mut server: TcpStream, state: &State, born: Weather) {
    for side in [&client, &server] {
        // Otherwise the kernel would add delays of its own; a socket that is gone already is found out below.
        let _ = side.set_nodelay(true);
    }
    let line = Line { state, memory: Mutex::default() };
    let end = {
        let ((from_client, to_client), (from_server, to_server)) = (client.split(), server.split());
        let both = async {
            try_join!(
                line.pass(Direction::ToServer, from_client, to_server),
                line.pass(Direction::ToClient, from_server, to_client),
            )
        };
        select! {
            biased;
            end = ended_by_weather(state, born) => end,
            passed = both => passed.err().unwrap_or(End::Closed),
        }
    };
    // Where the server's host is gone, so is what it had begun for this client.
    let end_of_server = if let End::Vanished = end { End::Reset } else { end };
    finish(end_of_server, &mut server).await;
    drop(server);
    finish(end, &mut client).await;
}

async fn finish(end: End, side: &mut TcpStream) {
    // Fails only for a socket that has ended already.
    let _ = match end {
        End::Closed => side.shutdown().await,
        End::Reset => side.set_zero_linger(),
        End::Vanished => swallow(side).await,
    };
}

/// Takes what comes, until its sender gives up.
async fn swallow(side: &mut TcpStream) -> io::Result<()> {
    let mut piece = vec![0; PIECE_BYTES];
    while side.read(&mut piece).await? > 0 {}
    Ok(())
}

/// Waits until a fault ends all connections that, as this one, were `born` before it.
async fn ended_by_weather(state: &State, born: Weather) -> End {
    let vanished = |now: &Weather| now.vanishings > born.vanishings;
    let ended = |now: &Weather| {
        now.dark || now.cuts > born.cuts || now.resets > born.resets || vanished(now)
    };
    match state.weather.subscribe().wait_for(ended).await {
        Ok(now) if vanished(&now) => End::Vanished,
        Ok(now) if born.dark || now.resets > born.resets => End::Reset,
        // The network itself is gone.
        Ok(_) | Err(_) => End::Closed,
    }
}

/// Waits until what was taken at this moment may be given.
async fn ready(weather: &mut watch::Receiver<Weather>, direction: Direction, taken: Instant) {
    loop {
        let now = *weather.borrow_and_update();
        let due = taken + now.delays[direction as usize];
        if now.silent[direction as usize] {
            if weather.changed().await.is_err() {
                return;
            }
        } else if due <= Instant::now() {
            return;
        } else {
            select! {
                () = sleep_until(due) => {}
                _ = weather.changed() => {}
            }
        }
    }
}

/// One connection, as its two directions share it.
struct Line<'s> {
    state: &'s State,
    memory: Mutex<Memory>,
}

impl Line<'_> {
    /// Carries one direction to its end. An error is the end of both.
    async fn pass(
        &self,
        direction: Direction,
        from: ReadHalf<'_>,
        to: WriteHalf<'_>,
    ) -> Result<(), End> {
        let (queue, taken) = mpsc::channel(PIECES_MAX);
        let taking = async {
            take(from, queue).await;
            pending().await
        };
        // It ends with what is given, and not with what is read: a fault comes while nothing more is sent.
        select! {
            given = self.give(direction, taken, to) => given,
            never = taking => never,
        }
    }

    async fn give(
        &self,
        direction: Direction,
        mut queue: Receiver<(Instant, Taken)>,
        mut to: WriteHalf<'_>,
    ) -> Result<(), End> {
        let mut weather = self.state.weather.subscribe();
        while let Some((at, taken)) = queue.recv().await {
            ready(&mut weather, direction, at).await;
            let bytes = match taken {
                Taken::Bytes(bytes) => bytes,
                Taken::End(End::Reset) => return Err(End::Reset),
                Taken::End(_) => {
                    // Fails only when that side is gone, too.
                    let _ = to.shutdown().await;
                    return Ok(());
                }
            };
            let mut rest = &bytes[..];
            while !rest.is_empty() {
                let (passes, fault) = self.examine(direction, rest);
                if to.write_all(&rest[..passes]).await.is_err() {
                    // That side is gone; its own direction tells the other.
                    return Ok(());
                }
                self.state.passed[direction as usize].fetch_add(passes as u64, Ordering::SeqCst);
                rest = &rest[passes..];
                if let Some(fault) = fault {
                    self.suffer(fault)?;
                    ready(&mut weather, direction, at).await;
                }
            }
        }
        Ok(())
    }

    fn examine(&self, direction: Direction, bytes: &[u8]) -> (usize, Option<Fault>) {
        let mut traps = self.state.traps.lock().unwrap_or_else(PoisonError::into_inner);
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        traps.pass(&mut memory, direction, bytes)
    }

    /// A trap has sprung on this connection.
    fn suffer(&self, fault: Fault) -> Result<(), End> {
        self.state.change(fault);
        match fault {
            Fault::Cut | Fault::Dark => Err(End::Closed),
            Fault::Reset => Err(End::Reset),
            Fault::Vanish => Err(End::Vanished),
            Fault::Silence(_) | Fault::BlackHole => Ok(()),
        }
    }
}

/// Reads one side to its end.
async fn take(mut from: ReadHalf<'_>, queue: Sender<(Instant, Taken)>) {
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        let taken = match from.read(&mut piece).await {
            Ok(0) => Taken::End(End::Closed),
            Ok(length) => Taken::Bytes(piece[..length].to_vec()),
            Err(_) => Taken::End(End::Reset),
        };
        let was_last = matches!(taken, Taken::End(_));
        if queue.send((Instant::now(), taken)).await.is_err() || was_last {
            return;
        }
    }
}
