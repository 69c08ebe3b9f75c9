//! MariaDB, TiDB and Redis as guards: fresh, durable where promised, and gone with their process.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use testkit::{Clock, MariaDb, Process, Redis, TiDb};

/// Long enough for a loaded machine, short enough that a hang fails the test and not the whole run.
const WITHIN: Duration = Duration::from_secs(20);

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + WITHIN;
    while !holds() {
        assert!(Instant::now() < deadline, "not within {WITHIN:?}: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Runs SQL over TCP as a client elsewhere would: with a URL only.
fn over_tcp(url: &str, sql: &str) -> Result<String, String> {
    let (login, place) = url.strip_prefix("mysql://").unwrap().split_once('@').unwrap();
    let (user, password) = login.split_once(':').unwrap_or((login, ""));
    let (address, database) = place.split_once('/').unwrap();
    let (host, port) = address.split_once(':').unwrap();
    let mut client = Command::new("mariadb");
    client.args([
        "--no-defaults",
        "--protocol=tcp",
        "-N",
        "-B",
        "-h",
        host,
        "-P",
        port,
        "-u",
        user,
        "-D",
        database,
    ]);
    let output = client.env("MYSQL_PWD", password).args(["-e", sql]).output().unwrap();
    match output.status.success() {
        true => Ok(String::from_utf8(output.stdout).unwrap().trim().to_owned()),
        false => Err(String::from_utf8(output.stderr).unwrap()),
    }
}

fn ping(port: u16) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_millis(200)))?;
    stream.write_all(b"PING\r\n")?;
    let mut answer = [0; 7];
    stream.read_exact(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).trim().to_owned())
}

#[test]
fn a_server_may_have_variables_of_its_own_and_its_data_in_another_place() {
    let place = tempfile::tempdir().unwrap();
    let server = MariaDb::options()
        .environment("SHOPKEEPER_TEST", "of its own")
        .data_below(place.path())
        .start()
        .unwrap();
    let process = Path::new("/proc").join(server.process_id().unwrap().to_string());
    let environment = fs::read_to_string(process.join("environ")).unwrap();
    assert!(environment.split('\0').any(|entry| entry == "SHOPKEEPER_TEST=of its own"));
    assert!(fs::read_link(process.join("exe")).unwrap().ends_with("mariadbd"));
    let folder = fs::canonicalize(place.path()).unwrap();
    assert!(server.sql("SELECT @@datadir").starts_with(folder.to_str().unwrap()));
    server.kill();
    assert_eq!(server.process_id(), None);
}

#[test]
fn a_fresh_database_is_empty_and_nobody_elses() {
    empty_and_nobody_elses(|| MariaDb::shared().fresh_database());
    empty_and_nobody_elses(|| TiDb::shared().fresh_database());
}

fn empty_and_nobody_elses(fresh_database: fn() -> String) {
    let (one, other) = (fresh_database(), fresh_database());
    assert_ne!(one, other);
    assert_eq!(over_tcp(&one, "SHOW TABLES").unwrap(), "");
    over_tcp(&one, "CREATE TABLE stock (n INT)").unwrap();
    assert_eq!(over_tcp(&one, "SHOW TABLES").unwrap(), "stock");
    assert_eq!(over_tcp(&other, "SHOW TABLES").unwrap(), "");
}

#[test]
fn mariadb_keeps_every_commit_and_reads_committed_rows() {
    let settings =
        "SELECT @@innodb_flush_log_at_trx_commit, @@sync_binlog, @@log_bin, @@tx_isolation";
    assert_eq!(MariaDb::shared().sql(settings).trim(), "1\t1\t1\tREAD-COMMITTED");
}

#[test]
fn tidb_enforces_checks_locks_rows_at_once_and_reads_committed_rows() {
    let url = TiDb::shared().fresh_database();
    over_tcp(&url, "CREATE TABLE stock (n INT, CHECK (n >= 0))").unwrap();
    let refused = over_tcp(&url, "INSERT INTO stock VALUES (-1)").unwrap_err();
    assert!(refused.contains("3819"), "{refused}");
    let settings = over_tcp(&url, "SELECT @@transaction_isolation, @@tidb_txn_mode, VERSION()");
    assert_eq!(settings.unwrap(), "READ-COMMITTED\tpessimistic\t8.0.11-TiDB-v8.5.4");
}

#[test]
fn a_commit_survives_a_killed_mariadb_and_the_url_stays() {
    let mariadb = MariaDb::start();
    let url = mariadb.fresh_database();
    over_tcp(&url, "CREATE TABLE stock (n INT); INSERT INTO stock VALUES (7)").unwrap();
    mariadb.kill();
    assert!(over_tcp(&url, "SELECT n FROM stock").is_err(), "a killed server answers");
    mariadb.restart();
    assert_eq!(over_tcp(&url, "SELECT n FROM stock").unwrap(), "7");
}

#[test]
fn an_account_reaches_its_database_at_a_bound_address_and_no_other() {
    let mariadb = MariaDb::options()
        .bind("127.0.0.2")
        .setting("innodb-lock-wait-timeout", "3")
        .start()
        .unwrap();
    mariadb.sql("CREATE DATABASE shop; CREATE DATABASE other");
    let account = mariadb.account("shop");
    assert_eq!(
        over_tcp(&account.url("127.0.0.2"), "SELECT @@innodb_lock_wait_timeout").unwrap(),
        "3"
    );
    over_tcp(&account.url("127.0.0.2").replace("/shop", "/other"), "SELECT 1").unwrap_err();
    let root = format!("mysql://root@127.0.0.2:{}/shop", mariadb.port());
    let said = over_tcp(&root, "SELECT CURRENT_USER()");
    // Linux gives connections to 127.0.0.2 the source address 127.0.0.1, from which root may log in; never elsewhere.
    assert!(said.is_ok_and(|user| user == "root@127.0.0.1"));
}

#[test]
fn a_server_listens_on_the_loopback_only() {
    let ports = [MariaDb::shared().port(), TiDb::shared().port(), Redis::shared().port()];
    let listening = fs::read_to_string("/proc/net/tcp").unwrap();
    for port in ports {
        let of_port: Vec<_> = listening
            .lines()
            .filter(|line| line.contains(&format!(":{port:04X} 00000000:")))
            .collect();
        assert!(!of_port.is_empty());
        assert!(of_port.iter().all(|line| line.contains("0100007F:")), "{of_port:?}");
    }
}

#[test]
fn a_paused_redis_answers_nothing_until_it_is_resumed() {
    let redis = Redis::start();
    assert_eq!(ping(redis.port()).unwrap(), "+PONG");
    redis.pause();
    ping(redis.port()).unwrap_err();
    redis.resume();
    until("a resumed Redis answers", || ping(redis.port()).is_ok());
}

#[test]
fn a_restarted_redis_has_forgotten_everything() {
    let redis = Redis::start();
    assert_eq!(redis.cli(&["SET", "a", "1"]), "OK");
    redis.restart();
    assert_eq!(redis.cli(&["EXISTS", "a"]), "0");
}

#[test]
fn a_redis_with_a_password_refuses_others() {
    let redis = Redis::options().password().start().unwrap();
    assert!(ping(redis.port()).unwrap().starts_with("-NOAUTH"));
    assert_eq!(redis.cli(&["PING"]), "PONG");
    assert!(redis.url().starts_with("redis://:"));
}

#[test]
fn a_setting_that_a_server_does_not_know_is_an_error_with_its_words() {
    let error = Redis::options().setting("colour", "red").start().err().unwrap().to_string();
    assert!(error.contains("colour"), "{error}");
}

/// Runs itself a second time as the process that is killed.
#[test]
fn a_program_is_ready_by_its_words_and_is_killed_and_started_again() {
    let script = "echo $GREETING; exec sleep 600";
    let program = Process::options("program", Path::new("/bin/sh"), "ready")
        .arguments(["-c", script])
        .environment("GREETING", "ready now")
        .start()
        .unwrap();
    assert_eq!(program.output(), "ready now\n");
    let (first, folder) = (program.process_id().unwrap(), program.folder().to_owned());
    program.kill();
    assert_eq!(program.process_id(), None);
    program.restart().unwrap();
    assert_ne!(program.process_id().unwrap(), first);
    assert_eq!(program.output(), "ready now\n");
    drop(program);
    assert!(!folder.exists());
}

#[test]
fn a_clock_jumps_for_those_who_run_with_it_and_for_nobody_else() {
    let hour = Duration::from_secs(3600);
    let clock = Clock::new().unwrap();
    let told = || {
        let mut date = Command::new("date");
        let output = date.arg("+%s").envs(clock.environment()).output().unwrap();
        let told: u64 = String::from_utf8(output.stdout).unwrap().trim().parse().unwrap();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        told.cast_signed() - now.cast_signed()
    };
    for (move_it, off) in
        [(Clock::ahead as fn(&Clock, Duration) -> anyhow::Result<()>, 3600), (Clock::behind, -3600)]
    {
        move_it(&clock, hour).unwrap();
        assert!((told() - off).abs() <= 2, "{} s", told());
    }
}

#[test]
fn a_killed_process_leaves_no_server_and_no_folder_behind() {
    const HOLDS: &str = "TESTKIT_HOLDS_SERVERS";
    if std::env::var_os(HOLDS).is_some() {
        let paused = Redis::start();
        paused.pause();
        let (mariadb, tidb, redis) = (MariaDb::shared(), TiDb::shared(), Redis::shared());
        let ports = [mariadb.port(), tidb.port(), redis.port(), paused.port()];
        println!("\nports {}", ports.map(|port| port.to_string()).join(" "));
        loop {
            std::thread::park();
        }
    }
    let temporary = tempfile::tempdir().unwrap();
    let mut holder = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_killed_process_leaves_no_server_and_no_folder_behind", "--nocapture"])
        .env(HOLDS, "1")
        .env("TMPDIR", temporary.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(holder.stdout.take().unwrap()).lines().map(Result::unwrap);
    let ports = lines.find_map(|line| line.strip_prefix("ports ").map(str::to_owned)).unwrap();
    let ports: Vec<u16> = ports.split(' ').map(|port| port.parse().unwrap()).collect();
    for port in &ports {
        TcpStream::connect(("127.0.0.1", *port)).unwrap();
    }
    assert_eq!(count(temporary.path()), 4);

    holder.kill().unwrap();
    holder.wait().unwrap();
    for port in ports {
        until("the port is closed", || TcpStream::connect(("127.0.0.1", port)).is_err());
    }
    until("the folders are gone", || count(temporary.path()) == 0);
}

fn count(folder: &Path) -> usize {
    fs::read_dir(folder).unwrap().count()
}
