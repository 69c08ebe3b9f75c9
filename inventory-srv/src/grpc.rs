//! The service as callers see it: a table of contents. Each call is checked, made and converted in the file of its
//! noun.

mod batch;
mod check;
mod ledger;
mod order;
mod page;
mod reback;
mod reservation;
mod sell;
mod stock;
mod time;
mod watch;

pub(crate) use time::timestamp;

use crate::Inventory;
use futures::stream::BoxStream;
use proto::inventory::v1::inventory_service_server::{InventoryService, InventoryServiceServer};
use proto::inventory::v1::{
    AdjustStockRequest, AdjustStockResponse, BatchGetStockRequest, BatchGetStockResponse,
    BatchSellRequest, BatchSellResponse, BatchSetStockRequest, BatchSetStockResponse,
    CancelRequest, CancelResponse, CheckLedgerRequest, ConfirmRequest, ConfirmResponse,
    ExtendRequest, ExtendResponse, GetOrderRequest, GetOrderResponse, GetStockRequest,
    GetStockResponse, ListLedgerRequest, ListLedgerResponse, ListOrdersRequest, ListOrdersResponse,
    RebackRequest, RebackResponse, SellRequest, SellResponse, SetSafetyStockRequest,
    SetSafetyStockResponse, SetStockRequest, SetStockResponse, WatchStockRequest,
    WatchStockResponse,
};
use tonic::{Request, Response, Status};

/// `inventory.v1.InventoryService`.
struct Server {
    inventory: Inventory,
}

/// The service over this stock, to be served.
pub fn service(inventory: Inventory) -> InventoryServiceServer<impl InventoryService> {
    InventoryServiceServer::new(Server { inventory })
}

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl InventoryService for Server {
    async fn set_stock(&self, request: Request<SetStockRequest>) -> Answer<SetStockResponse> {
        Ok(Response::new(stock::set(&self.inventory, request).await?))
    }

    async fn adjust_stock(
        &self,
        request: Request<AdjustStockRequest>,
    ) -> Answer<AdjustStockResponse> {
        Ok(Response::new(stock::adjust(&self.inventory, request).await?))
    }

    async fn set_safety_stock(
        &self,
        request: Request<SetSafetyStockRequest>,
    ) -> Answer<SetSafetyStockResponse> {
        Ok(Response::new(stock::set_safety(&self.inventory, request).await?))
    }

    async fn batch_set_stock(
        &self,
        request: Request<BatchSetStockRequest>,
    ) -> Answer<BatchSetStockResponse> {
        Ok(Response::new(stock::batch_set(&self.inventory, request).await?))
    }

    async fn get_stock(&self, request: Request<GetStockRequest>) -> Answer<GetStockResponse> {
        Ok(Response::new(stock::get(&self.inventory, request.into_inner()).await?))
    }

    async fn batch_get_stock(
        &self,
        request: Request<BatchGetStockRequest>,
    ) -> Answer<BatchGetStockResponse> {
        Ok(Response::new(stock::batch_get(&self.inventory, request.into_inner()).await?))
    }

    type WatchStockStream = BoxStream<'static, Result<WatchStockResponse, Status>>;

    async fn watch_stock(
        &self,
        request: Request<WatchStockRequest>,
    ) -> Answer<Self::WatchStockStream> {
        Ok(Response::new(watch::watch(&self.inventory, request).await?))
    }

    async fn sell(&self, request: Request<SellRequest>) -> Answer<SellResponse> {
        Ok(Response::new(sell::sell(&self.inventory, request).await?))
    }

    async fn confirm(&self, request: Request<ConfirmRequest>) -> Answer<ConfirmResponse> {
        Ok(Response::new(reservation::confirm(&self.inventory, request).await?))
    }

    async fn cancel(&self, request: Request<CancelRequest>) -> Answer<CancelResponse> {
        Ok(Response::new(reservation::cancel(&self.inventory, request).await?))
    }

    async fn extend(&self, request: Request<ExtendRequest>) -> Answer<ExtendResponse> {
        Ok(Response::new(reservation::extend(&self.inventory, request).await?))
    }

    async fn reback(&self, request: Request<RebackRequest>) -> Answer<RebackResponse> {
        Ok(Response::new(reback::reback(&self.inventory, request).await?))
    }

    async fn batch_sell(&self, request: Request<BatchSellRequest>) -> Answer<BatchSellResponse> {
        Ok(Response::new(sell::batch(&self.inventory, request).await?))
    }

    async fn get_order(&self, request: Request<GetOrderRequest>) -> Answer<GetOrderResponse> {
        Ok(Response::new(order::get(&self.inventory, request.into_inner()).await?))
    }

    async fn list_orders(&self, request: Request<ListOrdersRequest>) -> Answer<ListOrdersResponse> {
        Ok(Response::new(order::list(&self.inventory, request.into_inner()).await?))
    }

    async fn list_ledger(&self, request: Request<ListLedgerRequest>) -> Answer<ListLedgerResponse> {
        Ok(Response::new(ledger::list(&self.inventory, request.into_inner()).await?))
    }

    type CheckLedgerStream = check::Events;

    async fn check_ledger(
        &self,
        request: Request<CheckLedgerRequest>,
    ) -> Answer<Self::CheckLedgerStream> {
        Ok(Response::new(check::check(&self.inventory, request.into_inner()).await?))
    }
}
