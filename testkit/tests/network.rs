//! A network does to clients and servers what a test asks of it, and nothing else.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use testkit::Network;
use testkit::network::Direction::{ToClient, ToServer};
use testkit::network::{Event, Fault};

/// Long enough for a loaded machine, short enough that a hang fails the test and not the whole run.
const WITHIN: Duration = Duration::from_secs(20);
/// For how long a silence is listened to: in this time an unhindered answer would be there hundreds of times.
const SILENCE: Duration = Duration::from_millis(150);

/// A server that sends everything back, and keeps what it got.
#[derive(Clone)]
struct Echo {
    port: u16,
    got: Arc<Mutex<Got>>,
}

#[derive(Default)]
struct Got {
    connections: usize,
    bytes: Vec<u8>,
    resets: usize,
    ends: usize,
}

impl Echo {
    fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let echo = Self { port: listener.local_addr().unwrap().port(), got: Arc::default() };
        let server = echo.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                server.got.lock().unwrap().connections += 1;
                let server = server.clone();
                std::thread::spawn(move || server.answer(stream.unwrap()));
            }
        });
        echo
    }

    fn answer(&self, mut stream: TcpStream) {
        let mut piece = [0; 1024];
        loop {
            match stream.read(&mut piece) {
                Ok(0) => return self.got.lock().unwrap().ends += 1,
                Ok(length) => {
                    self.got.lock().unwrap().bytes.extend(&piece[..length]);
                    // A client that is gone is noticed by the next read.
                    let _ = stream.write_all(&piece[..length]);
                }
                Err(_) => return self.got.lock().unwrap().resets += 1,
            }
        }
    }

    fn bytes(&self) -> Vec<u8> {
        self.got.lock().unwrap().bytes.clone()
    }
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + WITHIN;
    while !holds() {
        assert!(Instant::now() < deadline, "not within {WITHIN:?}: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn connect(network: &Network) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", network.port())).unwrap();
    stream.set_read_timeout(Some(WITHIN)).unwrap();
    stream
}

/// Sends words and waits for them to come back.
fn ask(stream: &mut TcpStream, words: &[u8]) -> std::io::Result<Vec<u8>> {
    stream.write_all(words)?;
    answer(stream, words.len())
}

fn answer(stream: &mut TcpStream, length: usize) -> std::io::Result<Vec<u8>> {
    let mut back = vec![0; length];
    stream.read_exact(&mut back)?;
    Ok(back)
}

#[track_caller]
fn assert_silent(stream: &mut TcpStream) {
    stream.set_read_timeout(Some(SILENCE)).unwrap();
    let heard = stream.read(&mut [0]).map_err(|error| error.kind());
    assert!(matches!(heard, Err(ErrorKind::WouldBlock | ErrorKind::TimedOut)), "{heard:?}");
    stream.set_read_timeout(Some(WITHIN)).unwrap();
}

/// A connection that ended, in whichever way.
#[track_caller]
fn assert_ended(stream: &mut TcpStream) {
    let heard = stream.read(&mut [0]).map_err(|error| error.kind());
    assert!(matches!(heard, Ok(0) | Err(ErrorKind::ConnectionReset)), "{heard:?}");
}

#[test]
fn a_network_without_faults_carries_everything_and_the_end_of_it() {
    let echo = Echo::start();
    let network = Network::before(echo.port);
    let mut stream = connect(&network);
    let sent: Vec<u8> =
        (0..1_000_000_u32).map(|number| number.to_le_bytes()[number as usize % 3]).collect();
    let mut writing = stream.try_clone().unwrap();
    let (all, back) = std::thread::scope(|scope| {
        scope.spawn(|| {
            writing.write_all(&sent).unwrap();
            writing.shutdown(Shutdown::Write).unwrap();
        });
        let mut back = Vec::new();
        stream.read_to_end(&mut back).unwrap();
        (echo.bytes(), back)
    });
    assert!(all == sent && back == sent, "{} and {} bytes", all.len(), back.len());
    assert_eq!((network.passed(ToServer), network.passed(ToClient)), (1_000_000, 1_000_000));
    assert_eq!(echo.got.lock().unwrap().ends, 1);
}

#[test]
fn a_delay_holds_each_way_up_by_its_own_time_and_does_not_make_it_narrower() {
    const LONG: Duration = Duration::from_millis(200);
    let echo = Echo::start();
    let network = Network::before(echo.port);
    let mut stream = connect(&network);
    ask(&mut stream, b"before").unwrap();
    network.delay(ToServer, LONG);
    let asked = Instant::now();
    ask(&mut stream, b"one way").unwrap();
    assert!(asked.elapsed() >= LONG);
    network.delay(ToClient, 2 * LONG);
    let asked = Instant::now();
    ask(&mut stream, b"both ways").unwrap();
    assert!(asked.elapsed() >= 3 * LONG);
    let asked = Instant::now();
    for _ in 0..30 {
        stream.write_all(b"piece").unwrap();
        std::thread::sleep(Duration::from_millis(2));
    }
    answer(&mut stream, 150).unwrap();
    assert!(asked.elapsed() < 30 * LONG, "one piece waits for another: {:?}", asked.elapsed());
    network.delay(ToClient, WITHIN);
    stream.write_all(b"late").unwrap();
    network.heal();
    assert_eq!(answer(&mut stream, 4).unwrap(), b"late", "healing ends a delay that has begun");
}

#[test]
fn one_way_loss_lets_requests_through_and_no_answer() {
    let echo = Echo::start();
    let network = Network::before(echo.port);
    let mut stream = connect(&network);
    network.suffer(Fault::Silence(ToClient));
    stream.write_all(b"request").unwrap();
    until("the request is there", || echo.bytes() == b"request");
    assert_silent(&mut stream);
    network.heal();
    assert_eq!(answer(&mut stream, 7).unwrap(), b"request");
}

#[test]
fn a_black_hole_accepts_and_carries_nothing() {
    let echo = Echo::start();
    let network = Network::before(echo.port);
    let mut old = connect(&network);
    ask(&mut old, b"before").unwrap();
    network.suffer(Fault::BlackHole);
    let mut new = connect(&network);
    for stream in [&mut old, &mut new] {
        stream.write_all(b"lost?").unwrap();
        assert_silent(stream);
    }
    assert_eq!((echo.bytes(), echo.got.lock().unwrap().connections), (b"before".into(), 1));
    network.heal();
    assert_eq!(answer(&mut old, 5).unwrap(), b"lost?");
    assert_eq!(answer(&mut new, 5).unwrap(), b"lost?");
}

#[test]
fn what_went_into_a_black_hole_arrives_after_its_sender_has_gone() {
    let echo = Echo::start();
    let network = Network::before(echo.port);
    let mut stream = connect(&network);
    ask(&mut stream, b"before").unwrap();
    network.suffer(Fault::BlackHole);
    stream.write_all(b", late").unwrap();
    drop(stream);
    std::thread::sleep(SILENCE);
    let got = |echo: &Echo| {
        let got = echo.got.lock().unwrap();
        (got.bytes.clone(), got.ends + got.resets)
    };
    assert_eq!(got(&echo), (b"before".to_vec(), 0), "the server knows of it too early");
    network.heal();
    until("it arrives, and the end", || got(&echo) == (b"before, late".to_vec(), 1));
}

#[test]
fn a_reset_is_seen_by_both_sides_and_later_connections_live() {
    let echo = Echo::start();
    let network = Network::before(echo.port);
    let mut stream = connect(&network);
    ask(&mut stream, b"before").unwrap();
    network.suffer(Fault::Reset);
    let heard = stream.read(&mut [0]).map_err(|error| error.kind());
    assert_eq!(heard, Err(ErrorKind::ConnectionReset));
    until("the server sees it", || echo.got.lock().unwrap().resets == 1);
    ask(&mut connect(&network), b"after").unwrap();
}

#[test]
fn a_cut_is_seen_as_an_end_by_both_sides() {
    let echo = Echo::start();
    let network = Network::before(echo.port);
    let mut stream = connect(&network);
    ask(&mut stream, b"before").unwrap();
    network.suffer(Fault::Cut);
    assert_eq!(stream.read(&mut [0]).unwrap(), 0);
    until("the server sees it", || echo.got.lock().unwrap().ends == 1);
    ask(&mut connect(&network), b"after").unwrap();
}

#[test]
fn a_reset_by_the_server_reaches_the_client() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let network = Network::before(listener.local_addr().unwrap().port());
    let mut stream = connect(&network);
    stream.write_all(b"never read").unwrap();
    let (accepted, _) = listener.accept().unwrap();
    until("the words are there", || network.passed(ToServer) == 10);
    accepted.peek(&mut [0]).unwrap();
    // A socket that is closed with something unread in it is reset.
    drop(accepted);
    let heard = stream.read(&mut [0]).map_err(|error| error.kind());
    assert_eq!(heard, Err(ErrorKind::ConnectionReset));
}

#[test]
fn a_connection_that_ends_after_so_many_bytes_has_carried_exactly_those() {
    let echo = Echo::start();
    let network = Network::before(echo.port);
    let mut stream = connect(&network);
    ask(&mut stream, b"before").unwrap();
    let trap = network.when(Event::Bytes(ToServer, 5), Fault::Cut);
    stream.write_all(b"half a request").unwrap();
    until("the end is there", || echo.got.lock().unwrap().ends == 1);
    assert_eq!(echo.bytes(), b"beforehalf ");
    assert!(trap.has_sprung());
    ask(&mut connect(&network), b"a trap springs once").unwrap();
}

#[test]
fn words_that_are_waited_for_never_reach_the_server() {
    let echo = Echo::start();
    let network = Network::before(echo.port);
    let (mut one, mut other) = (connect(&network), connect(&network));
    let trap = network.when(Event::Words(ToServer, b"COMMIT".into()), Fault::Reset);
    ask(&mut other, b"BEGIN;").unwrap();
    ask(&mut one, b"UPDATE;").unwrap();
    assert!(!trap.has_sprung());
    one.write_all(b"COMMIT;").unwrap();
    assert_ended(&mut one);
    assert!(trap.has_sprung());
    ask(&mut other, b"COMMIT;").unwrap();
    assert_eq!(echo.bytes(), b"BEGIN;UPDATE;COMMIT;");
}

#[test]
fn an_answer_that_is_lost_was_given() {
    let echo = Echo::start();
    let network = Network::before(echo.port);
    let mut stream = connect(&network);
    let trap = network.when(Event::AnswerTo(b"COMMIT".into()), Fault::Cut);
    ask(&mut stream, b"UPDATE").unwrap();
    stream.write_all(b"COMMIT").unwrap();
    assert_ended(&mut stream);
    assert!(trap.has_sprung());
    assert_eq!(echo.bytes(), b"UPDATECOMMIT");
    assert_eq!(network.passed(ToClient), 6);
}

#[test]
fn an_answer_that_a_black_hole_has_taken_arrives_when_it_heals() {
    let echo = Echo::start();
    let network = Network::before(echo.port);
    let mut stream = connect(&network);
    let trap = network.when(Event::AnswerTo(b"COMMIT".into()), Fault::BlackHole);
    stream.write_all(b"COMMIT").unwrap();
    until("the trap springs", || trap.has_sprung());
    assert_silent(&mut stream);
    network.heal();
    assert_eq!(answer(&mut stream, 6).unwrap(), b"COMMIT");
}

#[test]
fn a_dark_network_ends_every_connection_until_it_heals() {
    let echo = Echo::start();
    let network = Network::before(echo.port);
    let (mut one, mut other) = (connect(&network), connect(&network));
    ask(&mut other, b"other").unwrap();
    let trap = network.when(Event::Words(ToServer, b"COMMIT".into()), Fault::Dark);
    one.write_all(b"COMMIT").unwrap();
    assert_ended(&mut one);
    assert_ended(&mut other);
    assert!(trap.has_sprung());
    assert_ended(&mut connect(&network));
    network.heal();
    ask(&mut connect(&network), b"light").unwrap();
    assert_eq!(echo.bytes(), b"otherlight");
}

#[test]
fn a_host_that_vanishes_tells_its_clients_nothing_and_another_has_its_address() {
    let echo = Echo::start();
    let network = Network::before(echo.port);
    let mut old = connect(&network);
    ask(&mut old, b"before").unwrap();
    network.suffer(Fault::Vanish);
    // What was begun there ends with the host.
    until("the server has lost its client", || echo.got.lock().unwrap().resets == 1);
    old.write_all(b"into nothing").unwrap();
    assert_silent(&mut old);
    let mut new = connect(&network);
    assert_eq!(ask(&mut new, b"after").unwrap(), b"after");
    network.heal();
    assert_silent(&mut old);
    assert_eq!(echo.bytes(), b"beforeafter");
}

#[test]
fn healing_takes_back_what_was_to_come() {
    let echo = Echo::start();
    let network = Network::before(echo.port);
    let trap = network.when(Event::Words(ToServer, b"COMMIT".into()), Fault::Cut);
    network.heal();
    ask(&mut connect(&network), b"COMMIT").unwrap();
    assert!(!trap.has_sprung());
}

#[test]
fn a_server_that_does_not_run_is_a_reset_and_may_come_later() {
    let port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
    let network = Network::before(port);
    assert_ended(&mut connect(&network));
    let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    connect(&network).write_all(b"here").unwrap();
    let (mut accepted, _) = listener.accept().unwrap();
    assert_eq!(answer(&mut accepted, 4).unwrap(), b"here");
}

#[test]
fn a_url_leads_through_the_network() {
    let network = Network::before(3306);
    let port = network.port();
    assert_eq!(
        network.reroute("mysql://root@127.0.0.1:3306/t_1"),
        format!("mysql://root@127.0.0.1:{port}/t_1")
    );
}

#[tokio::test]
async fn a_network_can_be_dropped_in_a_task() {
    let echo = Echo::start();
    let network = Network::before(echo.port);
    ask(&mut connect(&network), b"still here").unwrap();
    drop(network);
}
