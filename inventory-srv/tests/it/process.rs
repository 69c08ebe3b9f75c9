//! The program as people and pods start it.

use crate::shop::{Client, client, reason, request};
use proto::inventory::v1::{GetStockRequest, SetStockRequest, WatchStockRequest};
use srv_config::LockStrategy;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};
use testkit::{MariaDb, Redis, TiDb};

/// The longest that a start, a change or an end may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running program and what it has written. It is killed when dropped.
struct Program {
    child: Child,
    written: Arc<(Mutex<String>, Condvar)>,
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Program {
    fn start(folder: &Path, options: &[&str]) -> Self {
        let mut child =
            command(folder, options).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let written = Arc::new((Mutex::new(String::new()), Condvar::new()));
        let streams: [Box<dyn Read + Send>; 2] =
            [Box::new(child.stdout.take().unwrap()), Box::new(child.stderr.take().unwrap())];
        for stream in streams {
            let written = Arc::clone(&written);
            std::thread::spawn(move || {
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    let (text, changed) = &*written;
                    text.lock().unwrap().push_str(&(line + "\n"));
                    changed.notify_all();
                }
            });
        }
        Self { child, written }
    }

    /// Waits until everything written so far gives something.
    #[track_caller]
    fn wait_for<T>(&self, what: &str, look: impl Fn(&str) -> Option<T>) -> T {
        let until = Instant::now() + PATIENCE;
        let (text, changed) = &*self.written;
        let mut text = text.lock().unwrap();
        loop {
            if let Some(found) = look(&text) {
                return found;
            }
            let left = until.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "never written: {what}; but:\n{text}");
            text = changed.wait_timeout(text, left).unwrap().0;
        }
    }

    #[track_caller]
    fn client(&self) -> Client {
        let address = self.wait_for("the start line", |text| {
            let after = text.split_once("inventory.v1 serves on ")?.1;
            after.split_once(' ')?.0.parse().ok()
        });
        client(address)
    }

    /// How many lines hold this text.
    #[track_caller]
    fn wait_for_line(&self, words: &str) {
        self.wait_for(words, |text| text.contains(words).then_some(()));
    }

    fn terminate(mut self) -> ExitStatus {
        Command::new("kill").arg(self.child.id().to_string()).status().unwrap();
        self.child.wait().unwrap()
    }
}

fn command(folder: &Path, options: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_inventory-srv"));
    command.current_dir(folder).args(options).env_clear();
    command
}

const FREE_PORTS: [&str; 4] = ["--grpc-port", "0", "--admin-port", "0"];

/// A mounted configuration, as the operator renders it.
fn mount(folder: &Path, revision: i64, config: &str) -> String {
    let revision = format!("{revision}-{}", srv_config::hash_of(config));
    std::fs::create_dir_all(folder).unwrap();
    std::fs::write(folder.join("acknowledgement-shards"), "1").unwrap();
    std::fs::write(folder.join("revision"), &revision).unwrap();
    // Renamed into place, so that nobody reads half of it.
    std::fs::write(folder.join("draft"), config).unwrap();
    std::fs::rename(folder.join("draft"), folder.join("config.yaml")).unwrap();
    revision
}

#[test]
fn its_allocator_was_built_to_give_free_memory_back() {
    let folder = tempfile::tempdir().unwrap();
    let mut program = command(folder.path(), &["--version"]);
    let output = program.env("_RJEM_MALLOC_CONF", "stats_print:true").output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    for setting in ["opt.narenas: 1\n", "opt.dirty_decay_ms: 1000 ", "opt.muzzy_decay_ms: 0 "] {
        assert!(
            told.contains(setting),
            "{setting:?} is not in force (.cargo/config.toml):\n{told}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_serves_without_any_server_and_keeps_the_stock() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(folder.path(), &FREE_PORTS);
    let mut client = program.client();
    program.wait_for_line("(SQLite inventory.db), admin on 127.0.0.1:");
    client
        .set_stock(SetStockRequest { goods_id: 1, on_hand: 5, ..Default::default() })
        .await
        .unwrap();
    client.sell(request("o-1", &[(1, 2)])).await.unwrap();
    assert!(program.terminate().success());
    let program = Program::start(folder.path(), &[&["serve"][..], &FREE_PORTS].concat());
    let mut client = program.client();
    let stock = client
        .get_stock(GetStockRequest { goods_id: 1 })
        .await
        .unwrap()
        .into_inner()
        .stock
        .unwrap();
    assert_eq!(stock.on_hand, 3);
    assert!(client.sell(request("o-1", &[(1, 2)])).await.unwrap().into_inner().replayed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_outlives_the_deadline_of_calls_and_ends_at_the_stop_without_holding_it_up() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("config");
    let restart = "restart: {drainDelaySeconds: 0, drainSeconds: 60}";
    mount(&config, 1, &format!("limits: {{deadlineMilliseconds: 1000}}\n{restart}\n"));
    let options = [&["--config-dir", config.to_str().unwrap()][..], &FREE_PORTS].concat();
    let program = Program::start(folder.path(), &options);
    let mut client = program.client();
    let set = |on_hand| SetStockRequest { goods_id: 1, on_hand, ..Default::default() };
    client.set_stock(set(5)).await.unwrap();
    let watching = client.watch_stock(WatchStockRequest { goods_ids: vec![1] }).await;
    let mut watched = watching.unwrap().into_inner();
    assert!(watched.message().await.unwrap().unwrap().initial);
    // Twice as long as a call may take.
    tokio::time::sleep(Duration::from_secs(2)).await;
    client.set_stock(set(6)).await.unwrap();
    assert_eq!(watched.message().await.unwrap().unwrap().stocks[0].on_hand, 6);
    let begun = Instant::now();
    let stopping = tokio::task::spawn_blocking(|| program.terminate());
    let end = watched.message().await.unwrap_err();
    assert_eq!((end.code(), reason(&end).as_str()), (tonic::Code::Unavailable, "STOPPING"));
    assert!(stopping.await.unwrap().success());
    assert!(begun.elapsed() < PATIENCE, "the watch held the stop up");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_while_the_database_hangs_ends_in_time_and_loses_nothing_that_was_acknowledged() {
    let server = MariaDb::start();
    for strategy in [LockStrategy::GroupCommit, LockStrategy::RowLock, LockStrategy::Conditional] {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("config");
        let restart = "restart: {drainDelaySeconds: 0, drainSeconds: 1}";
        mount(&config, 1, &format!("lockStrategy: {}\n{restart}\n", strategy.as_str()));
        let url = server.fresh_database();
        let options = ["--config-dir", config.to_str().unwrap(), "--database-url", &url];
        let migrate = ["migrate", "--database-url", &url];
        assert!(command(folder.path(), &migrate).status().unwrap().success());
        let program = Program::start(folder.path(), &[&options[..], &FREE_PORTS].concat());
        let mut client = program.client();
        let stock = SetStockRequest { goods_id: 1, on_hand: 5, ..Default::default() };
        client.set_stock(stock).await.unwrap();
        client.sell(request("o-1", &[(1, 2)])).await.unwrap();
        server.pause();
        let mut hanging = client.clone();
        let hanging = hanging.sell(request("o-2", &[(1, 1)]));
        tokio::pin!(hanging);
        assert!(futures::poll!(&mut hanging).is_pending());
        // Sent after it over the same connection, and answered: so it has come, too.
        client.sell(request("o-3", &[])).await.unwrap_err();
        let begun = Instant::now();
        let stopping = tokio::task::spawn_blocking(|| program.terminate());
        hanging.await.unwrap_err();
        assert!(stopping.await.unwrap().success());
        // A pod's grace is 15 seconds more than its drain; five of them must be left.
        assert!(
            begun.elapsed() < Duration::from_secs(1 + 10),
            "{strategy:?}: {:?}",
            begun.elapsed()
        );
        server.resume();
        let program = Program::start(folder.path(), &[&options[..], &FREE_PORTS].concat());
        let mut client = program.client();
        assert!(client.sell(request("o-1", &[(1, 2)])).await.unwrap().into_inner().replayed);
        client.sell(request("o-2", &[(1, 1)])).await.unwrap();
        let stock = client.get_stock(GetStockRequest { goods_id: 1 }).await.unwrap();
        assert_eq!(stock.into_inner().stock.unwrap().on_hand, 2, "{strategy:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_is_copied_by_one_command_and_served_from_there() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(folder.path(), &FREE_PORTS);
    let mut client = program.client();
    let stock = SetStockRequest { goods_id: 1, on_hand: 5, ..Default::default() };
    client.set_stock(stock).await.unwrap();
    client.sell(request("o-1", &[(1, 2)])).await.unwrap();
    assert!(program.terminate().success());
    let to = MariaDb::shared().fresh_database();
    let copy = || {
        let options = ["copy", "--from", "sqlite://inventory.db", "--to", &to];
        let output = command(folder.path(), &options).output().unwrap();
        let [told, words] =
            [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
        (output.status.code(), told, words)
    };
    let (code, told, words) = copy();
    assert_eq!((code, &*words), (Some(0), ""));
    assert!(told.contains("ledger: 2 of 2 rows\n"), "{told}");
    assert!(
        told.ends_with("copied 5 rows and found 0; all 1 goods agree with their ledger\n"),
        "{told}"
    );
    assert!(copy().1.ends_with("copied 0 rows and found 5; all 1 goods agree with their ledger\n"));
    let program =
        Program::start(folder.path(), &[&["--database-url", &*to][..], &FREE_PORTS].concat());
    let mut client = program.client();
    assert!(client.sell(request("o-1", &[(1, 2)])).await.unwrap().into_inner().replayed);
    client.sell(request("o-2", &[(1, 1)])).await.unwrap();
    assert!(program.terminate().success());
    let (code, _, words) = copy();
    assert_eq!(code, Some(1));
    assert!(
        words.contains("the target holds rows in ledger that are not those of the source"),
        "{words}"
    );
    let none = ["copy", "--from", "sqlite://other.db", "--to", &to];
    let refused = command(folder.path(), &none).output().unwrap();
    let words = String::from_utf8(refused.stderr).unwrap();
    assert!(
        refused.status.code() == Some(1)
            && words.contains("--from is not the database of a stock service"),
        "{words}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_schema_is_not_served_until_it_is_migrated_on_mariadb() {
    not_served_until_migrated(&["--database-url", &MariaDb::shared().fresh_database()]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_schema_is_not_served_until_it_is_migrated_on_tidb() {
    // Its embedded store keeps nothing.
    let url = TiDb::shared().fresh_database();
    not_served_until_migrated(&["--allow-weak-durability", "--database-url", &url]).await;
}

async fn not_served_until_migrated(database: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let refused = command(folder.path(), &[database, &FREE_PORTS].concat()).output().unwrap();
    assert_eq!(refused.status.code(), Some(1));
    let words = String::from_utf8(refused.stderr).unwrap();
    assert!(
        words.contains("1 version(s) behind") && words.contains("inventory-srv migrate"),
        "{words}"
    );
    let migrate = [&["migrate"][..], database].concat();
    // Pods of one Deployment start together; all of their init containers migrate.
    let mut migrating: Vec<_> =
        (0..3).map(|_| command(folder.path(), &migrate).spawn().unwrap()).collect();
    assert!(migrating.iter_mut().all(|child| child.wait().unwrap().success()));
    let program = Program::start(folder.path(), &[database, &FREE_PORTS].concat());
    program.client().get_stock(GetStockRequest { goods_id: 1 }).await.unwrap_err();
    program.wait_for_line("(MySQL 127.0.0.1:");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_to_redis_lock_is_refused_where_there_is_no_redis() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("config");
    mount(&config, 1, "lockStrategy: rowLock\n");
    let options = [&["--config-dir", config.to_str().unwrap()][..], &FREE_PORTS].concat();
    let program = Program::start(folder.path(), &options);
    let mut client = program.client();
    client
        .set_stock(SetStockRequest { goods_id: 1, on_hand: 5, ..Default::default() })
        .await
        .unwrap();
    mount(&config, 2, "lockStrategy: redisLock\n");
    program.wait_for_line("configuration rejected");
    program.wait_for_line("redisLock needs Redis: in a pod set spec.redis.urlSecretRef");
    client.sell(request("o-1", &[(1, 2)])).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_lock_is_refused_while_redis_refuses_the_credentials_and_taken_over_when_they_are_right()
 {
    let folder = tempfile::tempdir().unwrap();
    let (config, url) = (folder.path().join("config"), folder.path().join("redis-url"));
    let redis = Redis::options().password().start().unwrap();
    std::fs::write(&url, format!("redis://:wrong@127.0.0.1:{}/", redis.port())).unwrap();
    mount(&config, 1, "{}\n");
    let files =
        ["--config-dir", config.to_str().unwrap(), "--redis-url-file", url.to_str().unwrap()];
    let program = Program::start(folder.path(), &[&files[..], &FREE_PORTS].concat());
    let mut client = program.client();
    client
        .set_stock(SetStockRequest { goods_id: 1, on_hand: 5, ..Default::default() })
        .await
        .unwrap();
    let revision = mount(&config, 2, "lockStrategy: redisLock\n");
    program.wait_for_line("configuration rejected");
    program.wait_for_line("user and password are right");
    let written = program.written.0.lock().unwrap().clone();
    assert!(!written.contains(":wrong@"), "the password is told: {written}");
    client.sell(request("o-1", &[(1, 1)])).await.unwrap();
    let fence = ["EXISTS", "{shopkeeper-inventory:1}:f"];
    assert_eq!(redis.cli(&fence), "0", "the order was sold under a strategy that was refused");
    std::fs::write(&url, redis.url()).unwrap();
    program.wait_for("the second configuration in force", |text| {
        text.lines()
            .any(|line| line.contains("configuration in force") && line.contains(&revision))
            .then_some(())
    });
    client.sell(request("o-2", &[(1, 1)])).await.unwrap();
    assert_eq!(redis.cli(&fence), "1", "the order was sold without a lease");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotated_redis_password_is_taken_over_without_a_failed_order() {
    let folder = tempfile::tempdir().unwrap();
    let (config, url) = (folder.path().join("config"), folder.path().join("redis-url"));
    let redis = Redis::start();
    redis.cli(&["ACL", "SETUSER", "old", "on", ">first", "~*", "+@all"]);
    std::fs::write(&url, format!("redis://old:first@127.0.0.1:{}/", redis.port())).unwrap();
    mount(&config, 1, "lockStrategy: redisLock\n");
    let files =
        ["--config-dir", config.to_str().unwrap(), "--redis-url-file", url.to_str().unwrap()];
    let program = Program::start(folder.path(), &[&files[..], &FREE_PORTS].concat());
    let mut client = program.client();
    client
        .set_stock(SetStockRequest { goods_id: 1, on_hand: 500, ..Default::default() })
        .await
        .unwrap();
    client.sell(request("o-1", &[(1, 1)])).await.unwrap();
    redis.cli(&["ACL", "SETUSER", "new", "on", ">second", "~*", "+@all"]);
    std::fs::write(&url, format!("redis://new:second@127.0.0.1:{}/", redis.port())).unwrap();
    program.wait_for_line("the new Redis URL works and is taken over");
    // Deleting a user ends its connections.
    redis.cli(&["ACL", "DELUSER", "old"]);
    for number in 2..10 {
        client.sell(request(&format!("o-{number}"), &[(1, 1)])).await.unwrap();
    }
}
