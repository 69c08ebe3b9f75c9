//! `Sell` and `BatchSell`.

use super::{batch, order, time};
use crate::Inventory;
use crate::act::OrderAct;
use crate::decide::Receipt;
use crate::error::Error;
use crate::order::Order;
use crate::violations::{Reason, Violations};
use prost::Message;
use proto::inventory::v1::{
    BatchSellRequest, BatchSellResponse, BatchSellResult, SellRequest, SellResponse,
    batch_sell_result::Result as Outcome,
};
use srv_runtime::Deadline;
use tonic::Request;

/// The most orders of a batch: about what one commit of a lane carries.
const ORDERS_MAX: usize = 1_000;
/// The most lines of a batch: as many as one commit of a lane carries. The answers to as many stay below 4 MiB.
const BATCH_LINES_MAX: usize = 4_096;
/// The most bytes of a batch: a quarter of what a message may have, and more than good orders of that number need.
const BATCH_BYTES_MAX: usize = 1024 * 1024;

pub(super) async fn sell(
    inventory: &Inventory,
    request: Request<SellRequest>,
) -> Result<SellResponse, Error> {
    let until = Deadline::of(&request);
    let order = parse(request.into_inner())?;
    Ok(message(&inventory.order(OrderAct::Sell(order), until).await?))
}

pub(super) async fn batch(
    inventory: &Inventory,
    request: Request<BatchSellRequest>,
) -> Result<BatchSellResponse, Error> {
    let until = Deadline::of(&request);
    let request = request.into_inner();
    within_bounds(&request)?;
    let (orders, places) = batch::sort_out(request.orders.into_iter().map(parse).collect());
    let receipts = places.answers(inventory.batch_sell(orders, until).await);
    let result = |receipt: Result<Receipt, Error>| BatchSellResult {
        result: Some(match receipt {
            Ok(receipt) => Outcome::Sold(message(&receipt)),
            Err(error) => Outcome::Error(error.into()),
        }),
    };
    Ok(BatchSellResponse { results: receipts.into_iter().map(result).collect() })
}

fn within_bounds(request: &BatchSellRequest) -> Result<(), Violations> {
    let mut violations = Violations::default();
    let orders = request.orders.len();
    if orders > ORDERS_MAX {
        let complaint = format!("must have at most {ORDERS_MAX} orders, has {orders}");
        violations.add("orders", Reason::TooManyOrders, complaint);
    }
    let lines: usize = request.orders.iter().map(|order| order.lines.len()).sum();
    if lines > BATCH_LINES_MAX {
        let complaint = format!("must have at most {BATCH_LINES_MAX} lines in all, has {lines}");
        violations.add("orders", Reason::TooManyLines, complaint);
    }
    let bytes = request.encoded_len();
    if bytes > BATCH_BYTES_MAX {
        let complaint = format!("must have at most {BATCH_BYTES_MAX} bytes, has {bytes}");
        violations.add("orders", Reason::BatchTooLarge, complaint);
    }
    violations.none()
}

fn parse(request: SellRequest) -> Result<Order, Violations> {
    let SellRequest { order_sn, lines, ttl } = request;
    let mut violations = Violations::default();
    let ttl = match ttl {
        Some(ttl) => time::ttl(Some(ttl), &mut violations),
        None => None,
    };
    let lines: Vec<_> = lines.into_iter().map(|line| (line.goods_id, line.quantity)).collect();
    match Order::parse(order_sn, &lines, ttl) {
        Ok(order) => violations.none().map(|()| order),
        Err(mut wrong) => {
            wrong.append(violations);
            Err(wrong)
        }
    }
}

fn message(receipt: &Receipt) -> SellResponse {
    SellResponse { order: Some(order::decided(receipt)), replayed: receipt.replayed }
}

#[cfg(test)]
mod tests;
