//! A gRPC server that knows `Sell` alone and has nothing behind it: the ceiling that any stock service has on this
//! machine, and the server of known delay that the load generator is tested against.

use anyhow::{Context, Result};
use futures::future::BoxFuture;
use proto::codec::Codec;
use proto::inventory::v1::{SellRequest, SellResponse};
use std::{convert::Infallible, future::Future, task};
use tokio::net::TcpListener;
use tonic::{
    Request, Response, Status,
    body::Body,
    server::{Grpc, NamedService, UnaryService},
    transport::{Server, server::TcpIncoming},
};

/// What a `Sell` is answered.
pub(crate) trait Answer: Clone + Send + Sync + 'static {
    /// The answer to this request.
    fn answer(
        &self,
        request: SellRequest,
    ) -> impl Future<Output = Result<SellResponse, Status>> + Send;
}

/// The server, to be served as `inventory.v1.InventoryService`. It is written by hand because the generated one grows
/// with every method of the service, and these answer one.
#[derive(Clone)]
pub(crate) struct SellServer<A>(pub(crate) A);

impl<A: Answer> SellServer<A> {
    /// Serves on this listener until the future is dropped.
    pub(crate) async fn serve(self, listener: TcpListener) -> Result<()> {
        // Each answer is sent at once, as the service does.
        let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
        Server::builder()
            .add_service(self)
            .serve_with_incoming(incoming)
            .await
            .context("the server of Sell ended")
    }
}

impl<A: Answer> UnaryService<SellRequest> for SellServer<A> {
    type Response = SellResponse;
    type Future = BoxFuture<'static, Result<Response<SellResponse>, Status>>;

    fn call(&mut self, request: Request<SellRequest>) -> Self::Future {
        let Self(answer) = self.clone();
        Box::pin(async move { answer.answer(request.into_inner()).await.map(Response::new) })
    }
}

impl<A: Answer> tower::Service<http::Request<Body>> for SellServer<A> {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut task::Context<'_>) -> task::Poll<Result<(), Infallible>> {
        task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let service = self.clone();
        Box::pin(async move {
            let codec = Codec::<SellResponse, SellRequest>::default();
            Ok(Grpc::new(codec).unary(service, request).await)
        })
    }
}

impl<A> NamedService for SellServer<A> {
    const NAME: &'static str = "inventory.v1.InventoryService";
}
