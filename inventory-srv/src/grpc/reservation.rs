//! `Confirm`, `Cancel`, `Extend`: what becomes of orders with a ttl.

use super::{order, time};
use crate::Inventory;
use crate::act::OrderAct;
use crate::error::Error;
use crate::order::Key;
use crate::violations::{Reason, Violations};
use proto::inventory::v1::{
    CancelRequest, CancelResponse, ConfirmRequest, ConfirmResponse, ExtendRequest, ExtendResponse,
};
use srv_runtime::Deadline;
use tonic::Request;

pub(super) async fn confirm(
    inventory: &Inventory,
    request: Request<ConfirmRequest>,
) -> Result<ConfirmResponse, Error> {
    let until = Deadline::of(&request);
    let ConfirmRequest { order_sn, reacquire } = request.into_inner();
    let act = OrderAct::Confirm { sn: order::number(order_sn)?, reacquire };
    let receipt = inventory.order(act, until).await?;
    Ok(ConfirmResponse {
        order: Some(order::decided(&receipt)),
        replayed: receipt.replayed,
        reacquired: receipt.reacquired,
    })
}

pub(super) async fn cancel(
    inventory: &Inventory,
    request: Request<CancelRequest>,
) -> Result<CancelResponse, Error> {
    let until = Deadline::of(&request);
    let act = OrderAct::Cancel(order::number(request.into_inner().order_sn)?);
    let receipt = inventory.order(act, until).await?;
    Ok(CancelResponse {
        order: Some(order::decided(&receipt)),
        existed: !receipt.order.lines.is_empty(),
        replayed: receipt.replayed,
    })
}

pub(super) async fn extend(
    inventory: &Inventory,
    request: Request<ExtendRequest>,
) -> Result<ExtendResponse, Error> {
    let until = Deadline::of(&request);
    let receipt = inventory.order(extension(request.into_inner())?, until).await?;
    Ok(ExtendResponse { order: Some(order::decided(&receipt)), replayed: receipt.replayed })
}

fn extension(request: ExtendRequest) -> Result<OrderAct, Violations> {
    let ExtendRequest { order_sn, ttl } = request;
    let mut violations = Violations::default();
    let sn = Key::parse(order_sn, "order_sn", Reason::InvalidOrderSn, &mut violations);
    let ttl = time::ttl(ttl, &mut violations);
    match (sn, ttl) {
        (Some(sn), Some(ttl)) => Ok(OrderAct::Extend { sn, ttl }),
        _ => Err(violations),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::order::Ttl;

    #[test]
    fn an_extension_names_its_order_and_its_ttl_or_everything_that_is_wrong() {
        let ttl = prost_types::Duration { seconds: 60, nanos: 0 };
        let good = extension(ExtendRequest { order_sn: "o-1".into(), ttl: Some(ttl) });
        let sn = Key::from_record("o-1".into());
        let ttl = Ttl::new(60_000).unwrap();
        assert_eq!(good, Ok(OrderAct::Extend { sn, ttl }));
        let violations = extension(ExtendRequest::default()).unwrap_err();
        let reasons: Vec<_> = violations.shown().iter().map(|violation| violation.reason).collect();
        assert_eq!(reasons, [Reason::InvalidOrderSn, Reason::InvalidTtl]);
    }
}
