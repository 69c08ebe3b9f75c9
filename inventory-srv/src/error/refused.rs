//! Refusals as callers see them: code, reason and details of every rule that was not met.

use super::answer::{Answer, listed};
use crate::decide::{ExcessLine, Refusal, ShortLine, Shortage};
use crate::grpc::timestamp;
use crate::order::{GoodsId, OrderSn, QUANTITY_MAX};
use crate::violations::DETAILS_MAX;
use proto::inventory::v1::{StockLineError, StockLineErrors};
use std::fmt;
use tonic::Code;
use tonic_types::pb;

/// What was refused.
pub(super) enum Subject<'a> {
    /// An act on this order.
    Order(&'a OrderSn),
    /// An act on the stock of these goods.
    Goods(GoodsId),
}

impl Subject<'_> {
    /// Its name as a resource.
    fn resource(&self) -> String {
        match self {
            Self::Order(sn) => format!("orders/{sn}"),
            Self::Goods(goods) => format!("goods/{goods}"),
        }
    }
}

impl fmt::Display for Subject<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Order(sn) => write!(f, "order {sn}"),
            Self::Goods(goods) => write!(f, "goods {goods}"),
        }
    }
}

pub(super) fn answer(subject: &Subject<'_>, refusal: Refusal) -> Answer {
    let in_the_way = |reason: &str, message: String| {
        Answer::new(Code::FailedPrecondition, reason, message.clone())
            .preconditions(reason, [(subject.resource(), message)])
    };
    match refusal {
        Refusal::AlreadyClosed(state) => {
            let closed = state.as_str();
            let message = format!("{subject} was closed ({closed}): use a new order_sn");
            in_the_way("ORDER_ALREADY_CLOSED", message).with("state", closed)
        }
        Refusal::PayloadMismatch(stored) => {
            let message = format!("{subject} is on record with other lines, or other as to a ttl");
            Answer::new(Code::AlreadyExists, "ORDER_PAYLOAD_MISMATCH", message)
                .with("storedPayloadHash", stored)
        }
        Refusal::Unobtainable(shortage) => unobtainable(&shortage),
        Refusal::OrderNotFound => {
            Answer::new(Code::NotFound, "ORDER_NOT_FOUND", format!("{subject} is not on record"))
        }
        Refusal::ReservationExpired(moment) => {
            let end = timestamp(moment);
            let message = format!("the reservation of {subject} ended at {end}");
            in_the_way("RESERVATION_EXPIRED", message).with("expireTime", end)
        }
        Refusal::AlreadyConfirmed => {
            let message = format!("{subject} is sold: give it back with Reback");
            in_the_way("ALREADY_CONFIRMED", message)
        }
        Refusal::NotConfirmed => {
            let message = format!("{subject} is reserved and not sold: call it off with Cancel");
            in_the_way("NOT_CONFIRMED", message)
        }
        Refusal::ReturnExceedsSold(lines) => exceeds(&lines),
        Refusal::GoodsNotInOrder(goods) => foreign(&goods),
        Refusal::RequestMismatch(id) => {
            let message = format!("another request was made under request_id {id}");
            Answer::new(Code::AlreadyExists, "REQUEST_PAYLOAD_MISMATCH", message)
                .with("requestId", id)
        }
        Refusal::Overflows(goods) => overflow(&goods),
        Refusal::GoodsNotStocked => {
            let message = format!("{subject} is not stocked");
            let answer = Answer::new(Code::NotFound, "GOODS_NOT_STOCKED", message);
            match subject {
                Subject::Goods(goods) => answer.with("goodsId", goods),
                Subject::Order(_) => answer,
            }
        }
        Refusal::Stale(current) => {
            let message =
                format!("the stock of {subject} is not as expected: {current} are on hand");
            Answer::new(Code::Aborted, "STALE_QUANTITY", message).with("current", current)
        }
        Refusal::BelowReserved(reserved) => {
            let message =
                format!("{reserved} pieces of {subject} are reserved: on_hand cannot be less");
            in_the_way("BELOW_RESERVED", message).with("reserved", reserved)
        }
    }
}

/// Goods that are not stocked win over a shortage, and both are listed.
fn unobtainable(shortage: &Shortage) -> Answer {
    let (code, reason) = if shortage.not_stocked.is_empty() {
        (Code::FailedPrecondition, "INSUFFICIENT_STOCK")
    } else {
        (Code::NotFound, "GOODS_NOT_STOCKED")
    };
    let line = |reason: &'static str| {
        move |line: &ShortLine| StockLineError {
            goods_id: line.goods.get(),
            reason: reason.to_owned(),
            requested: line.requested,
            available: line.available,
        }
    };
    let not_stocked = shortage.not_stocked.iter().map(line("GOODS_NOT_STOCKED"));
    let short = shortage.short.iter().map(line("INSUFFICIENT_STOCK"));
    lines(code, reason, not_stocked.chain(short), |line| match line.reason.as_str() {
        "GOODS_NOT_STOCKED" => format!("goods {} is not stocked", line.goods_id),
        _ => format!(
            "goods {}: requested {}, available {}",
            line.goods_id, line.requested, line.available
        ),
    })
}

fn exceeds(excess: &[ExcessLine]) -> Answer {
    const REASON: &str = "RETURN_EXCEEDS_SOLD";
    let line = |line: &ExcessLine| StockLineError {
        goods_id: line.goods.get(),
        reason: REASON.to_owned(),
        requested: line.requested,
        available: line.returnable,
    };
    lines(Code::FailedPrecondition, REASON, excess.iter().map(line), |line| {
        format!(
            "goods {}: {} to be given back, {} sold and not given back yet",
            line.goods_id, line.requested, line.available
        )
    })
}

/// A refusal for the sake of these lines, each said in words as well.
fn lines(
    code: Code,
    reason: &str,
    lines: impl Iterator<Item = StockLineError>,
    words: impl Fn(&StockLineError) -> String,
) -> Answer {
    let lines: Vec<_> = lines.collect();
    let total = lines.len();
    let shown = &lines[..total.min(DETAILS_MAX)];
    let errors = StockLineErrors {
        lines: shown.to_vec(),
        total: i32::try_from(total).unwrap_or(i32::MAX),
        truncated: shown.len() < total,
    };
    let violations = shown.iter().map(|line| pb::precondition_failure::Violation {
        r#type: line.reason.clone(),
        subject: format!("goods/{}", line.goods_id),
        description: words(line),
    });
    let failure = pb::PreconditionFailure { violations: violations.collect() };
    Answer::new(code, reason, listed(shown.first().map(&words), total))
        .counting(shown.len(), total)
        .detail("google.rpc.PreconditionFailure", &failure)
        .detail("inventory.v1.StockLineErrors", &errors)
}

fn foreign(goods: &[GoodsId]) -> Answer {
    const REASON: &str = "GOODS_NOT_IN_ORDER";
    // Without the order's number, which may be long: twenty times it would burst the trailers.
    let words = |goods: &GoodsId| format!("goods {goods} is not in the order");
    let shown = &goods[..goods.len().min(DETAILS_MAX)];
    let fields = shown.iter().map(|goods| pb::bad_request::FieldViolation {
        field: "lines".to_owned(),
        description: words(goods),
        reason: REASON.to_owned(),
        localized_message: None,
    });
    let request = pb::BadRequest { field_violations: fields.collect() };
    let ids: Vec<_> = shown.iter().map(GoodsId::to_string).collect();
    Answer::new(Code::InvalidArgument, REASON, listed(shown.first().map(words), goods.len()))
        .with("goodsIds", ids.join(","))
        .counting(shown.len(), goods.len())
        .detail("google.rpc.BadRequest", &request)
}

fn overflow(goods: &[GoodsId]) -> Answer {
    const REASON: &str = "STOCK_OVERFLOW";
    let words = |goods: &GoodsId| {
        format!("goods {goods}: more than {QUANTITY_MAX} pieces would be on hand")
    };
    let shown = &goods[..goods.len().min(DETAILS_MAX)];
    Answer::new(Code::OutOfRange, REASON, listed(shown.first().map(words), goods.len()))
        .counting(shown.len(), goods.len())
        .preconditions(REASON, shown.iter().map(|goods| (format!("goods/{goods}"), words(goods))))
}
