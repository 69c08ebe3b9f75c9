//! `Reback`, of all or of some lines.

use super::order;
use crate::Inventory;
use crate::act::{OrderAct, PartialReback};
use crate::error::Error;
use crate::order::{Key, LINES_MAX, merge};
use crate::violations::{Reason, Violations};
use proto::inventory::v1::{RebackRequest, RebackResponse};
use srv_runtime::Deadline;
use tonic::Request;

pub(super) async fn reback(
    inventory: &Inventory,
    request: Request<RebackRequest>,
) -> Result<RebackResponse, Error> {
    let until = Deadline::of(&request);
    let receipt = inventory.order(parse(request.into_inner())?, until).await?;
    Ok(RebackResponse {
        order: Some(order::decided(&receipt)),
        existed: !receipt.order.lines.is_empty(),
        replayed: receipt.replayed,
    })
}

fn parse(request: RebackRequest) -> Result<OrderAct, Violations> {
    let RebackRequest { order_sn, lines, request_id } = request;
    if lines.is_empty() {
        // The request id belongs to partial returns; a whole order is known again by its number.
        return order::number(order_sn).map(OrderAct::Reback);
    }
    let mut violations = Violations::default();
    let sn = Key::parse(order_sn, "order_sn", Reason::InvalidOrderSn, &mut violations);
    if lines.len() > LINES_MAX {
        let complaint = format!("must have at most {LINES_MAX} lines, has {}", lines.len());
        violations.add("lines", Reason::TooManyLines, complaint);
    }
    let lines: Vec<_> = lines.into_iter().map(|line| (line.goods_id, line.quantity)).collect();
    let lines = merge(&lines, &mut violations);
    let request = Key::parse(request_id, "request_id", Reason::InvalidRequestId, &mut violations);
    match (sn, request) {
        (Some(sn), Some(request)) if violations.is_empty() => {
            Ok(OrderAct::PartialReback(PartialReback { sn, lines, request }))
        }
        _ => Err(violations),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::inventory::v1::Line;

    fn request(order_sn: &str, lines: &[(i64, i64)], request_id: &str) -> RebackRequest {
        let lines = lines.iter().map(|&(goods_id, quantity)| Line { goods_id, quantity }).collect();
        RebackRequest { order_sn: order_sn.into(), lines, request_id: request_id.into() }
    }

    fn wrong(request: RebackRequest) -> Vec<(String, Reason)> {
        let violations = parse(request).expect_err("a bad return");
        violations.shown().iter().map(|wrong| (wrong.field.clone(), wrong.reason)).collect()
    }

    #[test]
    fn without_lines_all_of_the_order_is_given_back_whatever_the_request_id() {
        let whole = OrderAct::Reback(Key::from_record("o-1".into()));
        assert_eq!(parse(request("o-1", &[], "")), Ok(whole.clone()));
        assert_eq!(parse(request("o-1", &[], "a\nb")), Ok(whole));
    }

    #[test]
    fn lines_of_the_same_goods_are_added_up_and_sorted() {
        let Ok(OrderAct::PartialReback(reback)) =
            parse(request("o-1", &[(7, 1), (3, 2), (7, 4)], "r-1"))
        else {
            panic!("a partial return");
        };
        let lines: Vec<_> =
            reback.lines.iter().map(|line| (line.goods.get(), line.quantity.get())).collect();
        assert_eq!(lines, [(3, 2), (7, 5)]);
        assert_eq!((reback.sn.as_str(), reback.request.as_str()), ("o-1", "r-1"));
    }

    #[test]
    fn everything_that_is_wrong_is_named_at_once() {
        let found = wrong(request("", &[(0, 1), (1, -1), (2, 1_000_000_001)], ""));
        let expected = [
            ("order_sn", Reason::InvalidOrderSn),
            ("lines[0].goods_id", Reason::InvalidGoodsId),
            ("lines[1].quantity", Reason::InvalidQuantity),
            ("lines[2].quantity", Reason::QuantityTooHigh),
            ("request_id", Reason::InvalidRequestId),
        ];
        assert_eq!(found, expected.map(|(field, reason)| (field.to_owned(), reason)));
        let many: Vec<_> = (1..=201).map(|id| (id, 1)).collect();
        let found = wrong(request("o-1", &many, "r-1"));
        assert_eq!(found, [("lines".to_owned(), Reason::TooManyLines)]);
    }
}
