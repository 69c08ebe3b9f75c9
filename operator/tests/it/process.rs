//! The binary itself, as its pod starts it: what its probes, its metrics and its log say.

use crate::world::{GOODS_IMAGE, INVENTORY_IMAGE, World, mysql, operators_kubeconfig};
use k8s_openapi::api::apps::v1::Deployment;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::{
    net::SocketAddr,
    process::{ExitStatus, Stdio},
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    process::{Child, Command},
    time::timeout,
};

/// How long a process may take to start or to end.
const PATIENCE: Duration = Duration::from_secs(60);

struct Operator {
    process: Child,
    admin: SocketAddr,
}

impl Operator {
    /// Starts one for this world's namespace, and reads from its log where its admin port is.
    async fn start(world: &World) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_operator"));
        command.args(["--goods-image", GOODS_IMAGE, "--inventory-image", INVENTORY_IMAGE]);
        command.args(["--watch-namespaces", &world.namespace, "--admin-listen", "127.0.0.1:0"]);
        command.env("KUBECONFIG", operators_kubeconfig());
        let mut process = command.stderr(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let said = timeout(PATIENCE, lines.next_line()).await.expect("it says nothing");
        let said: Value = serde_json::from_str(&said.unwrap().unwrap()).unwrap();
        for field in ["timestamp", "level", "target"] {
            assert!(said[field].is_string(), "no {field} in {said}");
        }
        assert_eq!(said["level"], "INFO");
        let (_, admin) = said["message"].as_str().unwrap().split_once("admin on ").unwrap();
        let admin = admin.parse().unwrap();
        // A full pipe would hold it up.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Self { process, admin }
    }

    /// GET on the admin port: the status and the body.
    async fn get(&self, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.admin).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: admin\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    async fn terminate(mut self) -> ExitStatus {
        let pid = Pid::from_raw(self.process.id().unwrap().try_into().unwrap()).unwrap();
        kill_process(pid, Signal::TERM).unwrap();
        timeout(PATIENCE, self.process.wait()).await.expect("it does not end").unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_binary_says_that_it_lives_that_it_is_ready_and_what_it_wrote() {
    let world = World::without_operator("process").await;
    let operator = Operator::start(&world).await;
    assert_eq!(operator.get("/livez").await.0, 200);
    world
        .until("/readyz is 200", || async {
            (operator.get("/readyz").await.0 == 200).then_some(())
        })
        .await;
    world.inventory("inventory", mysql(2)).await;
    world.until_there::<Deployment>("inventory").await;
    world.until_quiet().await;
    let (status, metrics) = operator.get("/metrics").await;
    assert_eq!(status, 200);
    let one_deployment = metrics.lines().any(|line| {
        line.starts_with("shopkeeper_writes_total{")
            && line.contains("kind=\"Deployment\"")
            && line.ends_with(" 1")
    });
    assert!(one_deployment, "{metrics}");
    assert!(metrics.contains("shopkeeper_reconcile_duration_seconds_count{"), "{metrics}");
    assert!(operator.terminate().await.success(), "SIGTERM is no failure");
}
