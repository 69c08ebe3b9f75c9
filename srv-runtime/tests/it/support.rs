//! What several tests need: a process to start, a call to make, a thing to wait for.

use futures::future::BoxFuture;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use srv_config::{Revision, ServiceConfig, hash_of, render};
use srv_runtime::{DatabaseArguments, Local, ServeArguments, Serving};
use std::{
    convert::Infallible,
    fs,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinHandle,
    time::{Instant, sleep},
};
use tonic::{
    Request, Response, Status,
    body::Body,
    client::GrpcService,
    codegen::{Service, StdError},
    server::{NamedService, UnaryService},
    transport::Channel,
};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
use tonic_prost::ProstCodec;

/// Far longer than anything takes; a test that reaches it has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) const SERVICE: &str = "test.v1.TestService";

pub(crate) fn local() -> Local {
    Local { process: "test-srv", grpc_port: 0, admin_port: 0, database_file: "unused.db" }
}

/// A process of its own on free ports.
pub(crate) fn arguments() -> ServeArguments {
    ServeArguments {
        config_dir: None,
        config_map: None,
        pod_name: None,
        pod_namespace: None,
        database: DatabaseArguments::default(),
        listen: IpAddr::V4(Ipv4Addr::LOCALHOST),
        grpc_port: Some(0),
        admin_port: Some(0),
    }
}

/// Asks until the answer is `Some`.
///
/// # Panics
/// When it is not within [`PATIENCE`].
pub(crate) async fn eventually<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(Instant::now() < until, "within {PATIENCE:?} it did not come true that {what}");
        sleep(Duration::from_millis(5)).await;
    }
}

/// GET over HTTP/1.1: the status and the body.
pub(crate) async fn get(address: SocketAddr, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: admin\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    (status, body.to_owned())
}

pub(crate) async fn ready(serving: &Serving) {
    eventually("the process is ready", async || {
        (get(serving.admin, "/readyz").await.0 == 200).then_some(())
    })
    .await;
}

/// A configuration directory as the kubelet keeps one: every change swaps all files at once.
pub(crate) struct MountedDirectory {
    folder: tempfile::TempDir,
    swaps: u32,
}

impl MountedDirectory {
    pub(crate) fn new<C: ServiceConfig>(number: i64, config: &C) -> Self {
        let mut new = Self { folder: tempfile::tempdir().unwrap(), swaps: 0 };
        new.swap(&rendered(number, &render(config)));
        new
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    /// What the kubelet's `AtomicWriter` does: a new folder beside the old, one rename of the link, the old removed.
    pub(crate) fn swap(&mut self, files: &[(&str, String)]) {
        let root = self.folder.path();
        self.swaps += 1;
        let (old, new) = (format!("..{}", self.swaps - 1), format!("..{}", self.swaps));
        write_all(&root.join(&new), files);
        std::os::unix::fs::symlink(&new, root.join("..data_tmp")).unwrap();
        fs::rename(root.join("..data_tmp"), root.join("..data")).unwrap();
        for (name, _) in files {
            // The links of the first swap stay valid.
            let _ = std::os::unix::fs::symlink(format!("..data/{name}"), root.join(name));
        }
        let _ = fs::remove_dir_all(root.join(old));
    }

    pub(crate) fn publish<C: ServiceConfig>(&mut self, number: i64, config: &C) {
        self.swap(&rendered(number, &render(config)));
    }
}

/// The three files of a revision.
pub(crate) fn rendered(number: i64, text: &str) -> [(&'static str, String); 3] {
    [
        (srv_config::CONFIG_FILE, text.to_owned()),
        (srv_config::REVISION_FILE, revision(number, text)),
        (srv_config::SHARDS_FILE, "1".to_owned()),
    ]
}

pub(crate) fn revision(number: i64, text: &str) -> String {
    Revision { number, hash: hash_of(text) }.to_string()
}

pub(crate) fn write_all(folder: &Path, files: &[(&str, String)]) {
    fs::create_dir_all(folder).unwrap();
    for (name, value) in files {
        fs::write(folder.join(name), value).unwrap();
    }
}

type Answer = BoxFuture<'static, Result<Response<HealthCheckResponse>, Status>>;

/// A gRPC service of one method whose behaviour a test chooses.
#[derive(Clone)]
pub(crate) struct TestService(Arc<dyn Fn(Request<HealthCheckRequest>) -> Answer + Send + Sync>);

impl TestService {
    pub(crate) fn new<F>(
        handler: impl Fn(Request<HealthCheckRequest>) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<(), Status>> + Send + 'static,
    {
        Self(Arc::new(move |request| {
            let answer = handler(request);
            Box::pin(
                async move { answer.await.map(|()| Response::new(HealthCheckResponse::default())) },
            )
        }))
    }
}

impl NamedService for TestService {
    const NAME: &'static str = SERVICE;
}

impl Service<http::Request<Body>> for TestService {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<http::Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let method = Method(self.clone());
        Box::pin(async move {
            let codec = ProstCodec::<HealthCheckResponse, HealthCheckRequest>::default();
            Ok(tonic::server::Grpc::new(codec).unary(method, request).await)
        })
    }
}

struct Method(TestService);

impl UnaryService<HealthCheckRequest> for Method {
    type Response = HealthCheckResponse;
    type Future = Answer;

    fn call(&mut self, request: Request<HealthCheckRequest>) -> Answer {
        (self.0.0)(request)
    }
}

pub(crate) async fn connect(address: SocketAddr) -> Channel {
    Channel::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap()
}

/// A connection without timers of its own: tonic's channel would end a call at its `grpc-timeout` by itself.
/// The handle ends with the connection.
pub(crate) async fn connect_without_timers(
    address: SocketAddr,
) -> (SendRequest<Body>, JoinHandle<hyper::Result<()>>) {
    let stream = TokioIo::new(TcpStream::connect(address).await.unwrap());
    let (sender, connection) = http2::handshake(TokioExecutor::new(), stream).await.unwrap();
    (sender, tokio::spawn(connection))
}

/// Calls the test service over it.
pub(crate) async fn call_without_timers(
    sender: &SendRequest<Body>,
    address: SocketAddr,
    request: Request<HealthCheckRequest>,
) -> Result<(), Status> {
    let mut sender = sender.clone();
    let transport = tower::service_fn(move |request| sender.send_request(request));
    let origin = format!("http://{address}").parse().unwrap();
    unary(tonic::client::Grpc::with_origin(transport, origin), request).await
}

/// Calls the test service.
pub(crate) async fn call(
    channel: Channel,
    request: Request<HealthCheckRequest>,
) -> Result<(), Status> {
    unary(tonic::client::Grpc::new(channel), request).await
}

async fn unary<T>(
    mut client: tonic::client::Grpc<T>,
    request: Request<HealthCheckRequest>,
) -> Result<(), Status>
where
    T: GrpcService<Body>,
    T::ResponseBody: http_body::Body + Send + 'static,
    <T::ResponseBody as http_body::Body>::Error: Into<StdError>,
    T::Error: std::fmt::Display,
{
    client.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
    let codec = ProstCodec::<HealthCheckRequest, HealthCheckResponse>::default();
    let path = http::uri::PathAndQuery::from_static("/test.v1.TestService/Call");
    client.unary(request, path, codec).await.map(drop)
}

pub(crate) fn request() -> Request<HealthCheckRequest> {
    Request::new(HealthCheckRequest { service: String::new() })
}
