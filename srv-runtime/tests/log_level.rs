//! The log level of a running process. A test binary of its own, because a process has one level.
#![expect(clippy::unwrap_used, reason = "a failed step of a test is a failed test")]

use srv_config::{
    CONFIG_FILE, InventoryConfig, LogLevel, REVISION_FILE, Revision, hash_of, render,
};
use srv_runtime::{DatabaseArguments, Local, Process, ServeArguments};
use std::{fs, net::Ipv4Addr, path::Path, time::Duration};
use tokio::time::{sleep, timeout};
use tonic::service::Routes;

fn publish(directory: &Path, number: i64, level: LogLevel) {
    let mut config = InventoryConfig::default();
    config.hot.log_level = level;
    config.restart.drain_delay_seconds = 0;
    let text = render(&config);
    fs::write(directory.join(REVISION_FILE), Revision { number, hash: hash_of(&text) }.to_string())
        .unwrap();
    fs::write(directory.join(CONFIG_FILE), text).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_log_level_is_in_force_without_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    publish(folder.path(), 1, LogLevel::Info);
    let arguments = ServeArguments {
        config_dir: Some(folder.path().to_owned()),
        config_map: None,
        pod_name: None,
        pod_namespace: None,
        database: DatabaseArguments::default(),
        listen: Ipv4Addr::LOCALHOST.into(),
        grpc_port: Some(0),
        admin_port: Some(0),
    };
    let local =
        Local { process: "test-srv", grpc_port: 0, admin_port: 0, database_file: "unused.db" };
    let process = Process::<InventoryConfig>::start(arguments, local).await.unwrap();
    let serving = process.listen(Routes::default(), &["test.v1.TestService"], &[]).await.unwrap();
    assert!(!tracing::enabled!(tracing::Level::DEBUG), "debug is on from the start");
    publish(folder.path(), 2, LogLevel::Debug);
    let in_force = async {
        while !tracing::enabled!(tracing::Level::DEBUG) {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(10), in_force).await.expect("debug never came on");
    serving.stop().await.unwrap();
}
