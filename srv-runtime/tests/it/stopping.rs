//! The stop of a served port: no call is cut off, and nobody holds it up.

use crate::serving::{Inventory, gated, serve};
use crate::support::{
    MountedDirectory, PATIENCE, SERVICE, TestService, arguments, call, connect, eventually, get,
    local, request,
};
use srv_config::InventoryConfig;
use srv_runtime::{Stopping, detached};
use std::{sync::Arc, time::Duration};
use tokio::{
    net::TcpStream,
    sync::{Semaphore, mpsc},
};
use tonic::{Request, service::Routes};
use tonic_health::pb::HealthCheckRequest;

#[tokio::test(flavor = "multi_thread")]
async fn a_call_in_flight_at_the_stop_finishes() {
    let (service, mut begun, gate) = gated();
    let (serving, _) = serve(service).await;
    let channel = connect(serving.grpc).await;
    let (admin, waiting) = (serving.admin, tokio::spawn(call(channel, request())));
    begun.recv().await.unwrap();
    let mut stopping = tokio::spawn(serving.stop());
    eventually("the process says that it stops", async || {
        (get(admin, "/readyz").await.0 == 503).then_some(())
    })
    .await;
    let waits = tokio::time::timeout(Duration::from_millis(500), &mut stopping).await.is_err();
    assert!(waits, "the process stopped with a call in flight");
    gate.add_permits(1);
    waiting.await.unwrap().expect("the call was cut off");
    stopping.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_would_last_learns_of_the_stop_when_clients_were_told_to_go() {
    let mut config = InventoryConfig::default();
    config.restart.drain_delay_seconds = 1;
    config.restart.drain_seconds = 60;
    config.hot.limits.deadline_milliseconds = 60_000;
    let directory = MountedDirectory::new(1, &config);
    let mut arguments = arguments();
    arguments.config_dir = Some(directory.path());
    let process = Inventory::start(arguments, local()).await.unwrap();
    let (began, mut begun) = mpsc::unbounded_channel();
    let service = TestService::new(move |request: Request<HealthCheckRequest>| {
        let (began, stopping) = (began.clone(), Stopping::of(&request));
        async move {
            began.send(()).unwrap();
            stopping.begun().await;
            Ok(())
        }
    });
    let serving = process.listen(Routes::new(service), &[SERVICE], &[]).await.unwrap();
    let channel = connect(serving.grpc).await;
    let (admin, lasting) = (serving.admin, tokio::spawn(call(channel, request())));
    begun.recv().await.unwrap();
    let stopping = tokio::spawn(serving.stop());
    eventually("the process says that it stops", async || {
        (get(admin, "/readyz").await.0 == 503).then_some(())
    })
    .await;
    assert!(!lasting.is_finished(), "it ended while clients were still sent here");
    let stopped = tokio::time::timeout(PATIENCE, stopping).await;
    stopped.expect("it held the stop up").unwrap().unwrap();
    lasting.await.unwrap().expect("it was cut off");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_never_closes_does_not_hold_up_the_exit() {
    let mut config = InventoryConfig::default();
    config.restart.drain_seconds = 1;
    config.restart.drain_delay_seconds = 0;
    let directory = MountedDirectory::new(1, &config);
    let mut arguments = arguments();
    arguments.config_dir = Some(directory.path());
    let process = Inventory::start(arguments, local()).await.unwrap();
    let service = TestService::new(|_| async { Ok(()) });
    let serving = process.listen(Routes::new(service), &[SERVICE], &[]).await.unwrap();
    // It never even speaks, so it never hears GOAWAY.
    let silent = TcpStream::connect(serving.grpc).await.unwrap();
    // Accepted in order: when this one is answered, the silent one is a connection of the server.
    call(connect(serving.grpc).await, request()).await.unwrap();
    let stopped = tokio::time::timeout(PATIENCE, serving.stop()).await;
    stopped.expect("a silent client held up the exit").unwrap();
    drop(silent);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_whose_caller_went_away_is_waited_for_at_the_stop() {
    let (written, mut writes) = mpsc::unbounded_channel();
    let (began, mut begun) = mpsc::unbounded_channel();
    let gate = Arc::new(Semaphore::new(0));
    let service = {
        let gate = Arc::clone(&gate);
        TestService::new(move |_| {
            let (written, began, gate) = (written.clone(), began.clone(), Arc::clone(&gate));
            detached(async move {
                began.send(()).unwrap();
                gate.acquire().await.unwrap().forget();
                written.send(()).unwrap();
                Ok(())
            })
        })
    };
    let (serving, _) = serve(service).await;
    let caller = tokio::spawn(call(connect(serving.grpc).await, request()));
    begun.recv().await.unwrap();
    caller.abort();
    let _ = caller.await;
    let admin = serving.admin;
    let mut stopping = tokio::spawn(serving.stop());
    eventually("the process says that it stops", async || {
        (get(admin, "/readyz").await.0 == 503).then_some(())
    })
    .await;
    let waits = tokio::time::timeout(Duration::from_millis(500), &mut stopping).await.is_err();
    assert!(waits, "the process stopped before its write was done");
    gate.add_permits(1);
    stopping.await.unwrap().unwrap();
    writes.try_recv().expect("the write was cut off");
}
