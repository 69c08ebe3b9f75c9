//! The program itself: what it says, and when it refuses.

use proto::goods::v1::ListGoodsRequest;
use proto::goods::v1::goods_service_client::GoodsServiceClient;
use srv_config::{GoodsConfig, LogFormat, Revision};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::time::Duration;
use testkit::MariaDb;

const READY: &str = "goods.v1 serves on ";

/// Far longer than a start takes; a test that reaches it has failed.
const PATIENCE: Duration = Duration::from_secs(20);

fn program(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_goods-srv"));
    command.current_dir(folder).args(arguments).stdout(Stdio::null()).stderr(Stdio::piped());
    // What the machine's own environment says must not matter.
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("SHOPKEEPER_")) {
        command.env_remove(name);
    }
    command
}

/// A process that is ended with the test.
struct Serving {
    child: Child,
    line: String,
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Serving {
    /// Starts the program and waits for its start line; a program that does not say it is a failure with what it said.
    fn start(folder: &Path, arguments: &[&str]) -> Self {
        let mut child = program(folder, arguments).spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let (tell, told) = mpsc::channel();
        // Reads on after the start line: a process must not wait for someone to read its log.
        std::thread::spawn(move || {
            lines.map_while(Result::ok).for_each(|line| drop(tell.send(line)))
        });
        let mut serving = Self { child, line: String::new() };
        let mut words = Vec::new();
        while let Ok(line) = told.recv_timeout(PATIENCE) {
            if line.contains(READY) {
                serving.line = line;
                return serving;
            }
            words.push(line);
        }
        panic!("it did not say that it serves: {}", words.join("\n"));
    }

    fn url(&self) -> String {
        let (_, rest) = self.line.split_once(READY).unwrap();
        format!("http://{}", rest.split(' ').next().unwrap())
    }
}

async fn serves(serving: &Serving) {
    let mut client = GoodsServiceClient::connect(serving.url()).await.unwrap();
    let listed = client.list_goods(ListGoodsRequest::default()).await.unwrap().into_inner();
    assert!(listed.goods.is_empty());
}

fn last_words(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1));
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(words.lines().count(), 1, "{words}");
    words
}

#[tokio::test]
async fn without_anything_it_serves_from_a_file_and_says_so_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let serving = Serving::start(folder.path(), &["--grpc-port=0", "--admin-port=0"]);
    assert!(serving.line.contains("(SQLite goods.db), admin on 127.0.0.1:"), "{}", serving.line);
    serves(&serving).await;
    assert!(folder.path().join("goods.db").exists());
}

#[tokio::test]
async fn a_server_without_the_schema_is_refused_until_it_is_migrated() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("--database-url={}", MariaDb::shared().fresh_database());
    let serve = ["serve", &url, "--grpc-port=0", "--admin-port=0", "--allow-weak-durability"];
    let words = last_words(&program(folder.path(), &serve).output().unwrap());
    assert!(words.contains("run `goods-srv migrate` first"), "{words}");
    let migrate = ["migrate", &url, "--allow-weak-durability"];
    for _ in 0..2 {
        let migrated = program(folder.path(), &migrate).output().unwrap();
        assert!(migrated.status.success(), "{migrated:?}");
    }
    serves(&Serving::start(folder.path(), &serve)).await;
    assert!(!folder.path().join("goods.db").exists());
}

#[test]
fn a_database_that_is_none_is_refused_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["serve", "--database-url=postgres://x", "--grpc-port=0", "--admin-port=0"];
    let words = last_words(&program(folder.path(), &arguments).output().unwrap());
    assert!(words.contains("mysql://user:password@host:3306/name or sqlite://file"), "{words}");
}

/// The start line of a process whose configuration directory asks for log lines like this.
fn start_line(format: LogFormat) -> String {
    let folder = tempfile::tempdir().unwrap();
    let mut config = GoodsConfig::default();
    config.restart.log_format = format;
    let text = srv_config::render(&config);
    let revision = Revision { number: 1, hash: srv_config::hash_of(&text) };
    std::fs::write(folder.path().join(srv_config::REVISION_FILE), revision.to_string()).unwrap();
    std::fs::write(folder.path().join(srv_config::CONFIG_FILE), text).unwrap();
    let arguments = [
        "serve",
        "--config-dir=.",
        "--database-url=sqlite://goods.db",
        "--grpc-port=0",
        "--admin-port=0",
    ];
    Serving::start(folder.path(), &arguments).line.clone()
}

#[test]
fn log_lines_are_written_as_the_configuration_says() {
    let line: serde_json::Value = serde_json::from_str(&start_line(LogFormat::Json)).unwrap();
    assert_eq!(line["level"], "INFO");
    assert!(line["message"].as_str().unwrap().starts_with(READY), "{line}");
    for field in ["timestamp", "target"] {
        assert!(line[field].is_string(), "no {field} in {line}");
    }
    let line = start_line(LogFormat::Text);
    assert!(line.contains("INFO") && line.contains(READY) && !line.starts_with('{'), "{line}");
}
