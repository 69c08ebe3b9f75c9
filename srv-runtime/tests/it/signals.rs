//! The signals themselves: a process that serves until it is told to stop.

use crate::support::{PATIENCE, SERVICE, TestService, arguments, eventually, get, local};
use rustix::process::{Signal, getpid, kill_process};
use srv_config::InventoryConfig;
use srv_runtime::Process;
use tonic::service::Routes;

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_ends_a_process_that_serves() {
    let process = Process::<InventoryConfig>::start(arguments(), local()).await.unwrap();
    let admin = process.admin_address();
    let service = TestService::new(|_| async { Ok(()) });
    let serving = tokio::spawn(process.serve(Routes::new(service), &[SERVICE], &[]));
    eventually("the process is ready", async || {
        (get(admin, "/readyz").await.0 == 200).then_some(())
    })
    .await;
    kill_process(getpid(), Signal::TERM).unwrap();
    let served = tokio::time::timeout(PATIENCE, serving).await.expect("SIGTERM was not heard");
    served.unwrap().unwrap();
}
