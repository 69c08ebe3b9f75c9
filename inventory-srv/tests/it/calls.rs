//! The calls of a shop that are about reservations, partial returns, stocks, batches and lists.

use crate::shop::{Shop, request};
use prost::Message;
use proto::inventory::v1::{
    AdjustStockRequest, AdjustStockResponse, BatchSellRequest, BatchSellResponse, CancelRequest,
    CancelResponse, ConfirmRequest, ConfirmResponse, ExtendRequest, ExtendResponse, LedgerEntry,
    Line, ListLedgerRequest, ListOrdersRequest, Order, OrderState, RebackRequest, RebackResponse,
    SellRequest, SellResponse, SetSafetyStockRequest, SetSafetyStockResponse,
};
use std::time::Duration;
use tokio::time::{Instant, sleep};
use tonic::Status;

/// How long a hold of a second may take to be seen dead, on a busy machine.
const EXPIRY_MAX: Duration = Duration::from_secs(10);
/// The most pages of any list of a test.
const PAGES_MAX: usize = 100;

/// A ttl of so many seconds.
pub(crate) fn seconds(seconds: i64) -> Option<prost_types::Duration> {
    Some(prost_types::Duration { seconds, nanos: 0 })
}

/// The status of an entry of a batch, as the call of its own would have ended.
pub(crate) fn status(entry: &tonic_types::pb::Status) -> Status {
    Status::with_details(entry.code.into(), &*entry.message, entry.encode_to_vec().into())
}

impl Shop {
    /// Sells with a ttl of so many seconds.
    pub(crate) async fn hold(
        &self,
        order_sn: &str,
        lines: &[(i64, i64)],
        ttl: i64,
    ) -> Result<SellResponse, Status> {
        let request = SellRequest { ttl: seconds(ttl), ..request(order_sn, lines) };
        Ok(self.client().sell(request).await?.into_inner())
    }

    pub(crate) async fn confirm(&self, order_sn: &str) -> Result<ConfirmResponse, Status> {
        let request = ConfirmRequest { order_sn: order_sn.to_owned(), reacquire: false };
        Ok(self.client().confirm(request).await?.into_inner())
    }

    pub(crate) async fn reacquire(&self, order_sn: &str) -> Result<ConfirmResponse, Status> {
        let request = ConfirmRequest { order_sn: order_sn.to_owned(), reacquire: true };
        Ok(self.client().confirm(request).await?.into_inner())
    }

    pub(crate) async fn cancel(&self, order_sn: &str) -> Result<CancelResponse, Status> {
        let request = CancelRequest { order_sn: order_sn.to_owned() };
        Ok(self.client().cancel(request).await?.into_inner())
    }

    pub(crate) async fn extend(&self, order_sn: &str, ttl: i64) -> Result<ExtendResponse, Status> {
        let request = ExtendRequest { order_sn: order_sn.to_owned(), ttl: seconds(ttl) };
        Ok(self.client().extend(request).await?.into_inner())
    }

    /// Gives some lines of an order back.
    pub(crate) async fn reback_lines(
        &self,
        order_sn: &str,
        lines: &[(i64, i64)],
        request_id: &str,
    ) -> Result<RebackResponse, Status> {
        let lines = lines.iter().map(|&(goods_id, quantity)| Line { goods_id, quantity }).collect();
        let (order_sn, request_id) = (order_sn.to_owned(), request_id.to_owned());
        let request = RebackRequest { order_sn, lines, request_id };
        Ok(self.client().reback(request).await?.into_inner())
    }

    pub(crate) async fn adjust(
        &self,
        goods_id: i64,
        delta: i64,
        request_id: &str,
    ) -> Result<AdjustStockResponse, Status> {
        let request = AdjustStockRequest {
            goods_id,
            delta,
            reason: "counted".to_owned(),
            request_id: request_id.to_owned(),
            ..Default::default()
        };
        Ok(self.client().adjust_stock(request).await?.into_inner())
    }

    pub(crate) async fn set_safety(
        &self,
        goods_id: i64,
        safety: i64,
    ) -> Result<SetSafetyStockResponse, Status> {
        let request = SetSafetyStockRequest { goods_id, safety, ..Default::default() };
        Ok(self.client().set_safety_stock(request).await?.into_inner())
    }

    pub(crate) async fn batch_sell(
        &self,
        orders: Vec<SellRequest>,
    ) -> Result<BatchSellResponse, Status> {
        Ok(self.client().batch_sell(BatchSellRequest { orders }).await?.into_inner())
    }

    /// Waits until the hold of an order is dead by the database's clock.
    pub(crate) async fn expire(&self, order_sn: &str) {
        let begun = Instant::now();
        while self.order(order_sn).await.unwrap().state() != OrderState::Expired {
            assert!(begun.elapsed() < EXPIRY_MAX, "the hold of {order_sn} does not die");
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Every order of a list, page by page.
    pub(crate) async fn orders(&self, mut request: ListOrdersRequest) -> Vec<Order> {
        let mut orders = Vec::new();
        for _ in 0..PAGES_MAX {
            let page = self.client().list_orders(request.clone()).await.unwrap().into_inner();
            orders.extend(page.orders);
            if page.next_page_token.is_empty() {
                return orders;
            }
            request.page_token = page.next_page_token;
        }
        panic!("the list has no end");
    }

    /// Every row of a part of the ledger, page by page.
    pub(crate) async fn ledger(&self, mut request: ListLedgerRequest) -> Vec<LedgerEntry> {
        let mut entries = Vec::new();
        for _ in 0..PAGES_MAX {
            let page = self.client().list_ledger(request.clone()).await.unwrap().into_inner();
            entries.extend(page.entries);
            if page.next_page_token.is_empty() {
                return entries;
            }
            request.page_token = page.next_page_token;
        }
        panic!("the list has no end");
    }
}
