//! `GetOrder`, `ListOrders`, and orders as the wire has them.

use super::page::{self, After, List};
use super::stock::goods_id;
use super::time::{bound, timestamp};
use crate::Inventory;
use crate::decide::Receipt;
use crate::error::Error;
use crate::order::{Key, OrderSn};
use crate::record::{KnownOrder, OrderCursor, OrderFilter, OrderState};
use crate::violations::{Reason, Violations};
use proto::inventory::v1::{
    self as wire, GetOrderRequest, GetOrderResponse, ListOrdersRequest, ListOrdersResponse,
};

pub(super) async fn get(
    inventory: &Inventory,
    request: GetOrderRequest,
) -> Result<GetOrderResponse, Error> {
    let (now, order) = inventory.find_order(&number(request.order_sn)?).await?;
    Ok(GetOrderResponse { order: Some(message(&order, order.state_at(now))) })
}

pub(super) async fn list(
    inventory: &Inventory,
    request: ListOrdersRequest,
) -> Result<ListOrdersResponse, Error> {
    let list = List::new(
        "orders",
        &ListOrdersRequest { page_size: 0, page_token: String::new(), ..request.clone() },
    );
    let Listing { filter, after, size } = parse(request, &list)?;
    let page = inventory.orders(&filter, after.as_ref(), size).await?;
    let orders = page.orders.iter().map(|order| message(order, order.state_at(page.now)));
    let next = page.next.map(|OrderCursor { create_time, sn }| {
        list.token(&After { number: create_time, text: sn.as_str().to_owned() })
    });
    Ok(ListOrdersResponse { orders: orders.collect(), next_page_token: next.unwrap_or_default() })
}

/// What `ListOrders` asks for.
struct Listing {
    filter: OrderFilter,
    after: Option<OrderCursor>,
    size: u32,
}

fn parse(request: ListOrdersRequest, list: &List) -> Result<Listing, Violations> {
    let ListOrdersRequest {
        state,
        goods_id: id,
        create_time_from,
        create_time_until,
        page_size,
        page_token,
    } = request;
    let mut violations = Violations::default();
    let known = OrderState::from_number(state.into());
    if known.is_none() && state != 0 {
        violations.add("state", Reason::InvalidState, format!("must be a state, is {state}"));
    }
    let goods = if id == 0 { None } else { goods_id(id, "goods_id", &mut violations) };
    let from = bound(create_time_from, "create_time_from", &mut violations);
    let until = bound(create_time_until, "create_time_until", &mut violations);
    if let (Some(from), Some(until)) = (from, until)
        && until < from
    {
        let complaint = "must not be before create_time_from";
        violations.add("create_time_until", Reason::InvalidTime, complaint);
    }
    let size = page::size(page_size, &mut violations);
    let after = list.after(&page_token, &mut violations).and_then(|After { number, text }| {
        let reason = Reason::InvalidPageToken;
        let sn = Key::parse(text, "page_token", reason, &mut violations)?;
        Some(OrderCursor { create_time: number, sn })
    });
    violations.none()?;
    Ok(Listing { filter: OrderFilter { state: known, goods, from, until }, after, size })
}

/// Parses an order number that stands alone in a request.
pub(super) fn number(order_sn: String) -> Result<OrderSn, Violations> {
    let mut violations = Violations::default();
    Key::parse(order_sn, "order_sn", Reason::InvalidOrderSn, &mut violations).ok_or(violations)
}

/// The order of a receipt, in the state that it had when it was decided about.
pub(super) fn decided(receipt: &Receipt) -> wire::Order {
    message(&receipt.order, receipt.state)
}

fn message(order: &KnownOrder, state: OrderState) -> wire::Order {
    let KnownOrder {
        sn,
        payload: _,
        // What is stored does not know what time it is.
        state: _,
        lines,
        create_time,
        update_time,
        expire_time,
    } = order;
    wire::Order {
        order_sn: sn.as_str().to_owned(),
        state: match state {
            OrderState::Reserved => wire::OrderState::Reserved,
            OrderState::Confirmed => wire::OrderState::Confirmed,
            OrderState::PartlyReturned => wire::OrderState::PartlyReturned,
            OrderState::Returned => wire::OrderState::Returned,
            OrderState::Cancelled => wire::OrderState::Cancelled,
            OrderState::Expired => wire::OrderState::Expired,
        }
        .into(),
        lines: lines
            .iter()
            .map(|line| wire::OrderLine {
                goods_id: line.goods.get(),
                quantity: line.quantity.get(),
                returned: line.returned,
            })
            .collect(),
        create_time: Some(timestamp(*create_time)),
        update_time: Some(timestamp(*update_time)),
        expire_time: expire_time.map(timestamp),
    }
}

#[cfg(test)]
mod tests;
