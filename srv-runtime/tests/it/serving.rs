//! Bounds, health, reflection and metrics of a served port.

use crate::support::{
    MountedDirectory, PATIENCE, SERVICE, TestService, arguments, call, call_without_timers,
    connect, connect_without_timers, eventually, get, local, ready, request,
};
use srv_config::InventoryConfig;
use srv_runtime::{Deadline, Process, Serving, Settings, detached};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::{Semaphore, mpsc};
use tonic::{Code, Request, Status, service::Routes, transport::Channel};
use tonic_health::{
    ServingStatus,
    pb::{HealthCheckRequest, health_client::HealthClient},
};
use tonic_reflection::pb::{v1, v1alpha};
use tonic_types::StatusExt;

pub(crate) type Inventory = Process<InventoryConfig>;

pub(crate) async fn serve(service: TestService) -> (Serving, Settings<srv_config::InventoryHot>) {
    let process = Inventory::start(arguments(), local()).await.unwrap();
    let settings = process.settings();
    let serving = process.listen(Routes::new(service), &[SERVICE], &[]).await.unwrap();
    ready(&serving).await;
    (serving, settings)
}

fn change(
    settings: &Settings<srv_config::InventoryHot>,
    change: impl FnOnce(&mut srv_config::InventoryHot),
) {
    let mut hot = (*settings.load()).clone();
    change(&mut hot);
    settings.replace(hot);
}

/// A service whose calls report that they began and then wait for a permit each.
pub(crate) fn gated() -> (TestService, mpsc::UnboundedReceiver<()>, Arc<Semaphore>) {
    let (began, begun) = mpsc::unbounded_channel();
    let gate = Arc::new(Semaphore::new(0));
    let service = {
        let gate = Arc::clone(&gate);
        TestService::new(move |_| {
            let (began, gate) = (began.clone(), Arc::clone(&gate));
            async move {
                began.send(()).unwrap();
                gate.acquire().await.unwrap().forget();
                Ok(())
            }
        })
    };
    (service, begun, gate)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_too_many_is_told_at_once_when_to_come_again_and_the_others_finish() {
    let (service, mut begun, gate) = gated();
    let (serving, settings) = serve(service).await;
    change(&settings, |hot| hot.limits.calls_in_flight = 2);
    let channel = connect(serving.grpc).await;
    let waiting = [
        tokio::spawn(call(channel.clone(), request())),
        tokio::spawn(call(channel.clone(), request())),
    ];
    begun.recv().await.unwrap();
    begun.recv().await.unwrap();
    let shed = call(channel.clone(), request()).await.expect_err("a third call was taken");
    assert_eq!(shed.code(), Code::Unavailable);
    let details = shed.get_error_details();
    let info = details.error_info().expect("an ErrorInfo");
    assert_eq!((info.reason.as_str(), info.domain.as_str()), ("OVERLOADED", "test.shopkeeper.dev"));
    let after = details.retry_info().and_then(|info| info.retry_delay).expect("a RetryInfo");
    assert!((Duration::from_millis(50)..=Duration::from_millis(150)).contains(&after), "{after:?}");
    let pushback =
        shed.metadata().get("grpc-retry-pushback-ms").expect("a pushback").to_str().unwrap();
    assert_eq!(pushback, after.as_millis().to_string());
    gate.add_permits(2);
    for call in waiting {
        call.await.unwrap().unwrap();
    }
    gate.add_permits(1);
    call(channel, request()).await.expect("a place is free again");
    serving.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_past_the_configured_deadline_is_told_so_while_its_write_goes_on() {
    let (written, mut writes) = mpsc::unbounded_channel();
    let gate = Arc::new(Semaphore::new(0));
    let service = {
        let gate = Arc::clone(&gate);
        TestService::new(move |_| {
            let (written, gate) = (written.clone(), Arc::clone(&gate));
            detached(async move {
                gate.acquire().await.unwrap().forget();
                written.send(()).unwrap();
                Ok(())
            })
        })
    };
    let (serving, settings) = serve(service).await;
    change(&settings, |hot| hot.limits.deadline_milliseconds = 50);
    let late = call(connect(serving.grpc).await, request()).await.expect_err("it was answered");
    assert_eq!(late.code(), Code::DeadlineExceeded);
    assert_eq!(late.get_error_details().error_info().unwrap().reason, "DEADLINE_EXCEEDED");
    assert!(writes.try_recv().is_err());
    gate.add_permits(1);
    let written = tokio::time::timeout(PATIENCE, writes.recv()).await;
    written.expect("the write was cancelled with its call");
    serving.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_callers_shorter_deadline_wins_and_reaches_the_handler() {
    let (seen, mut deadlines) = mpsc::unbounded_channel();
    let service = TestService::new(move |request: Request<HealthCheckRequest>| {
        seen.send(Deadline::of(&request).remaining()).unwrap();
        std::future::pending()
    });
    let (serving, _) = serve(service).await;
    let (connection, _) = connect_without_timers(serving.grpc).await;
    let mut reached = 0;
    for _ in 0..20 {
        let mut request = request();
        request.metadata_mut().insert("grpc-timeout", "60m".parse().unwrap());
        let began = Instant::now();
        let late = call_without_timers(&connection, serving.grpc, request)
            .await
            .expect_err("it was answered");
        assert_eq!(late.code(), Code::DeadlineExceeded, "tonic's own timer was first");
        assert!(began.elapsed() < Duration::from_secs(2));
        // A message that comes more than a deadline after its headers is never handed to the handler.
        if let Ok(remaining) = deadlines.try_recv() {
            assert!(remaining <= Duration::from_millis(60), "{remaining:?}");
            reached += 1;
        }
    }
    assert!(reached > 0, "no call reached the handler");
    serving.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn health_names_every_service_and_flips_when_the_process_stops() {
    let mut directory = MountedDirectory::new(1, &InventoryConfig::default());
    let mut config = InventoryConfig::default();
    config.restart.drain_delay_seconds = 1;
    directory.publish(2, &config);
    let mut arguments = arguments();
    arguments.config_dir = Some(directory.path());
    let process = Inventory::start(arguments, local()).await.unwrap();
    assert_eq!(get(process.admin_address(), "/livez").await.0, 200);
    let (status, missing) = get(process.admin_address(), "/readyz").await;
    assert_eq!(status, 503);
    assert!(missing.contains("serving: the process is starting"), "{missing}");
    let service = TestService::new(|_| async { Ok(()) });
    let serving = process.listen(Routes::new(service), &[SERVICE], &[]).await.unwrap();
    ready(&serving).await;
    let mut health = HealthClient::new(connect(serving.grpc).await);
    for service in [SERVICE, ""] {
        let answer = health.check(HealthCheckRequest { service: service.into() }).await.unwrap();
        assert_eq!(answer.into_inner().status, ServingStatus::Serving as i32, "{service:?}");
    }
    let mut watching =
        health.watch(HealthCheckRequest { service: SERVICE.into() }).await.unwrap().into_inner();
    assert_eq!(watching.message().await.unwrap().unwrap().status, ServingStatus::Serving as i32);
    let (admin, channel) = (serving.admin, connect(serving.grpc).await);
    let stopping = tokio::spawn(serving.stop());
    let told = tokio::time::timeout(PATIENCE, watching.message()).await;
    let told = told.expect("health did not flip").unwrap().unwrap();
    assert_eq!(told.status, ServingStatus::NotServing as i32);
    let (status, missing) = get(admin, "/readyz").await;
    assert_eq!((status, missing.as_str()), (503, "serving: the process is stopping\n"));
    call(channel, request()).await.expect("calls are still taken while clients learn of the stop");
    drop(watching);
    drop(health);
    stopping.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn reflection_answers_in_both_versions_and_can_be_turned_off_while_running() {
    let process = Inventory::start(arguments(), local()).await.unwrap();
    let settings = process.settings();
    let service = TestService::new(|_| async { Ok(()) });
    let serving = process.listen(Routes::new(service), &[SERVICE], &[]).await.unwrap();
    ready(&serving).await;
    let channel = connect(serving.grpc).await;
    assert!(
        services_v1(channel.clone()).await.unwrap().contains(&"grpc.health.v1.Health".to_owned())
    );
    assert!(
        services_v1alpha(channel.clone())
            .await
            .unwrap()
            .contains(&"grpc.health.v1.Health".to_owned())
    );
    change(&settings, |hot| hot.reflection = false);
    assert_eq!(services_v1(channel.clone()).await.unwrap_err().code(), Code::Unimplemented);
    assert_eq!(services_v1alpha(channel).await.unwrap_err().code(), Code::Unimplemented);
    serving.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn every_call_is_measured_by_method_and_code_and_callers_make_up_no_labels() {
    let service = TestService::new(|request: Request<HealthCheckRequest>| async move {
        match request.get_ref().service.as_str() {
            "" => Ok(()),
            _ => Err(Status::not_found("no such thing")),
        }
    });
    let (serving, _) = serve(service).await;
    let channel = connect(serving.grpc).await;
    call(channel.clone(), request()).await.unwrap();
    let wrong = Request::new(HealthCheckRequest { service: "wrong".into() });
    call(channel.clone(), wrong).await.unwrap_err();
    let mut client = tonic::client::Grpc::new(channel);
    client.ready().await.unwrap();
    let codec = tonic_prost::ProstCodec::<HealthCheckRequest, HealthCheckRequest>::default();
    let made_up = http::uri::PathAndQuery::from_static("/made.up.v1.Service/Call");
    let unknown = client.unary(request(), made_up, codec).await.unwrap_err();
    assert_eq!(unknown.code(), Code::Unimplemented);
    for (method, code) in [
        ("test.v1.TestService/Call", "OK"),
        ("test.v1.TestService/Call", "NOT_FOUND"),
        ("_OTHER", "UNIMPLEMENTED"),
    ] {
        eventually(&format!("one {code} of {method} is counted"), async || {
            let (_, metrics) = get(serving.admin, "/metrics").await;
            assert!(!metrics.contains("made.up"), "{metrics}");
            let counted = metrics.lines().any(|line| {
                line.starts_with("rpc_server_call_duration_seconds_count{")
                    && line.contains(&format!("rpc_method=\"{method}\""))
                    && line.contains(&format!("rpc_response_status_code=\"{code}\""))
                    && line.ends_with(" 1")
            });
            counted.then_some(())
        })
        .await;
    }
    serving.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_connection_is_told_to_go_away_and_its_call_in_flight_finishes() {
    let mut config = InventoryConfig::default();
    config.restart.drain_delay_seconds = 0;
    config.restart.connection_age_seconds = 10;
    config.hot.limits.deadline_milliseconds = 60_000;
    let directory = MountedDirectory::new(1, &config);
    let mut arguments = arguments();
    arguments.config_dir = Some(directory.path());
    let process = Inventory::start(arguments, local()).await.unwrap();
    let (service, mut begun, gate) = gated();
    let serving = process.listen(Routes::new(service), &[SERVICE], &[]).await.unwrap();
    let (connection, ended) = connect_without_timers(serving.grpc).await;
    let address = serving.grpc;
    let calling = {
        let connection = connection.clone();
        tokio::spawn(async move { call_without_timers(&connection, address, request()).await })
    };
    begun.recv().await.unwrap();
    // The connection is at most 11 s old when it is told, and must outlive that for the call's sake.
    tokio::time::sleep(Duration::from_secs(13)).await;
    gate.add_permits(1);
    calling.await.unwrap().expect("the call was cut off when its connection grew old");
    let ended = tokio::time::timeout(PATIENCE, ended).await.expect("it was not told to go away");
    ended.unwrap().expect("the connection did not end in good order");
    drop(connection);
    serving.stop().await.unwrap();
}

async fn services_v1(channel: Channel) -> Result<Vec<String>, Status> {
    use v1::{
        ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
        server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
    };
    let message_request = Some(MessageRequest::ListServices(String::new()));
    let asked = ServerReflectionRequest { host: String::new(), message_request };
    let mut client = ServerReflectionClient::new(channel);
    let mut answers =
        client.server_reflection_info(tokio_stream::iter([asked])).await?.into_inner();
    match answers.message().await?.and_then(|answer| answer.message_response) {
        Some(MessageResponse::ListServicesResponse(list)) => {
            Ok(list.service.into_iter().map(|service| service.name).collect())
        }
        other => panic!("not a list of services: {other:?}"),
    }
}

async fn services_v1alpha(channel: Channel) -> Result<Vec<String>, Status> {
    use v1alpha::{
        ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
        server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
    };
    let message_request = Some(MessageRequest::ListServices(String::new()));
    let asked = ServerReflectionRequest { host: String::new(), message_request };
    let mut client = ServerReflectionClient::new(channel);
    let mut answers =
        client.server_reflection_info(tokio_stream::iter([asked])).await?.into_inner();
    match answers.message().await?.and_then(|answer| answer.message_response) {
        Some(MessageResponse::ListServicesResponse(list)) => {
            Ok(list.service.into_iter().map(|service| service.name).collect())
        }
        other => panic!("not a list of services: {other:?}"),
    }
}
