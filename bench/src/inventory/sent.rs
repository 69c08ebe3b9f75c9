//! What is sent over gRPC. The messages of methods that the contract may not have yet are written here as they stand on
//! the wire, so that this tool is built with any version of the contract; an arm that the service lacks is not run.

use super::{arm::Sends, caller::order_number};
use crate::load::Outcome;
use anyhow::{Context, Result};
use e2e::unprocessed::until_processed;
use http::uri::PathAndQuery;
use prost::Message;
use prost_types::Duration as Ttl;
use proto::codec::Codec;
use proto::inventory::v1::{Line, Order, SellRequest, SellResponse};
use std::net::SocketAddr;
use tonic::{
    Code, Request, Status,
    client::Grpc as Client,
    transport::{Channel, Endpoint},
};

/// For how long an order is held until it is confirmed: longer than any run waits for an answer.
const HOLD: Ttl = Ttl { seconds: 60, nanos: 0 };
/// Spreads consecutive numbers over all goods: 2^64 divided by the golden ratio.
const SPREAD: u64 = 0x9E37_79B9_7F4A_7C15;

#[derive(Clone, PartialEq, Message)]
struct BatchSellRequest {
    #[prost(message, repeated, tag = "1")]
    orders: Vec<SellRequest>,
}

#[derive(Clone, PartialEq, Message)]
struct BatchSellResponse {
    #[prost(message, repeated, tag = "1")]
    results: Vec<BatchSellResult>,
}

/// On the wire, one of two is a field that is there and one that is not.
#[derive(Clone, PartialEq, Message)]
struct BatchSellResult {
    #[prost(message, optional, tag = "1")]
    sold: Option<SellResponse>,
    #[prost(message, optional, tag = "2")]
    error: Option<RpcStatus>,
}

/// `google.rpc.Status`, without its details.
#[derive(Clone, PartialEq, Message)]
struct RpcStatus {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
}

#[derive(Clone, PartialEq, Message)]
struct ConfirmRequest {
    #[prost(string, tag = "1")]
    order_sn: String,
}

#[derive(Clone, PartialEq, Message)]
struct ConfirmResponse {
    #[prost(message, optional, tag = "1")]
    order: Option<Order>,
}

/// A connection to the service, and what is sent over it.
#[derive(Clone)]
pub(crate) struct Grpc {
    channel: Channel,
    sends: Sends,
}

impl Grpc {
    /// Connects to this address.
    pub(crate) async fn connect(address: SocketAddr, sends: Sends) -> Result<Self> {
        let endpoint = Endpoint::from_shared(format!("http://{address}"))?;
        let channel = endpoint.connect().await.with_context(|| format!("connect to {address}"))?;
        Ok(Self { channel, sends })
    }

    pub(crate) async fn call(&self, number: u64) -> Outcome {
        let sent = match self.sends {
            Sends::Sell { .. } | Sends::SellSoldOut => self.sell(number, None).await,
            Sends::BatchSell { orders } => self.batch_sell(number, orders).await,
            Sends::HoldThenConfirm => self.hold_then_confirm(number).await,
        };
        match sent {
            Ok(()) => Outcome::Accepted(self.sends.orders_per_call()),
            Err(status) => outcome_of(&status),
        }
    }

    /// Sends order `number`; with a ttl it holds only.
    pub(crate) async fn sell(&self, number: u64, ttl: Option<Ttl>) -> Result<(), Status> {
        let request = || SellRequest { ttl, ..self.order(number) };
        let _: SellResponse = self.unary("/inventory.v1.InventoryService/Sell", request).await?;
        Ok(())
    }

    async fn batch_sell(&self, number: u64, orders: u32) -> Result<(), Status> {
        let first = number * u64::from(orders);
        let numbers = first..first + u64::from(orders);
        let request = || BatchSellRequest {
            orders: numbers.clone().map(|number| self.order(number)).collect(),
        };
        let answer: BatchSellResponse =
            self.unary("/inventory.v1.InventoryService/BatchSell", request).await?;
        if let Some(error) = answer.results.iter().find_map(|result| result.error.as_ref()) {
            return Err(Status::new(Code::from(error.code), error.message.clone()));
        }
        let sold = answer.results.iter().filter(|result| result.sold.is_some()).count();
        if sold == orders as usize {
            Ok(())
        } else {
            Err(Status::internal(format!("{sold} of {orders} orders of a batch have a result")))
        }
    }

    async fn hold_then_confirm(&self, number: u64) -> Result<(), Status> {
        self.sell(number, Some(HOLD)).await?;
        let request = || ConfirmRequest { order_sn: order_number(number) };
        let _: ConfirmResponse =
            self.unary("/inventory.v1.InventoryService/Confirm", request).await?;
        Ok(())
    }

    fn order(&self, number: u64) -> SellRequest {
        let line = Line { goods_id: goods_of(number, self.sends.goods()), quantity: 1 };
        SellRequest { order_sn: order_number(number), lines: vec![line], ttl: None }
    }

    /// Calls with what `message` makes, which is asked again if the end of a connection caught the call.
    async fn unary<Q, A>(&self, method: &'static str, message: impl Fn() -> Q) -> Result<A, Status>
    where
        Q: Message + 'static,
        A: Message + Default + 'static,
    {
        until_processed(|| {
            let (mut client, request) = (Client::new(self.channel.clone()), message());
            async move {
                client.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
                let (path, codec) = (PathAndQuery::from_static(method), Codec::default());
                Ok(client.unary(Request::new(request), path, codec).await?.into_inner())
            }
        })
        .await
    }
}

/// Which goods order `number` is for.
pub(crate) fn goods_of(number: u64, goods: u32) -> i64 {
    // The upper half of the product is spread evenly over all numbers.
    let spread = number.wrapping_mul(SPREAD) >> 32;
    1 + ((spread * u64::from(goods)) >> 32).cast_signed()
}

/// What a status says of the call.
pub(crate) fn outcome_of(status: &Status) -> Outcome {
    match status.code() {
        Code::FailedPrecondition => Outcome::Refused,
        Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled => Outcome::Unavailable,
        code => Outcome::Failed(format!("{code:?}: {}", status.message())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn consecutive_orders_are_spread_evenly_over_the_goods() {
        assert!((0..1000).all(|number| goods_of(number, 1) == 1));
        let mut sold: BTreeMap<i64, u32> = BTreeMap::new();
        (0..20_000).for_each(|number| *sold.entry(goods_of(number, 2000)).or_default() += 1);
        assert_eq!(sold.keys().copied().collect::<Vec<_>>(), (1..=2000).collect::<Vec<_>>());
        assert!(sold.values().all(|count| (5..=15).contains(count)));
    }
}
