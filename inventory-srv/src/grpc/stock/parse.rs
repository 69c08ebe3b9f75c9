//! What is asked for about stocks, checked.

use crate::act::{Expected, StockAct, StockChange};
use crate::order::{GoodsId, Key, QUANTITY_MAX};
use crate::read::GOODS_MAX;
use crate::violations::{Reason, Violations};
use proto::inventory::v1::{AdjustStockRequest, SetSafetyStockRequest, SetStockRequest};
use std::collections::{HashMap, HashSet};

/// The most characters of the reason of an adjustment: a sentence, which the ledger keeps for ever.
const REASON_CHARACTERS_MAX: usize = 200;
/// A version that no stock has: what an etag stands for that we never gave out.
const NO_VERSION: i64 = -1;

pub(super) fn set(request: SetStockRequest) -> Result<StockAct, Violations> {
    let SetStockRequest { goods_id: id, on_hand, expected_on_hand, etag, request_id } = request;
    let mut violations = Violations::default();
    let goods = goods_id(id, "goods_id", &mut violations);
    pieces(on_hand, "on_hand", &mut violations);
    let request = optional_key(request_id, &mut violations);
    let expected = Expected { on_hand: expected_on_hand, version: version_of(&etag) };
    act(goods, StockChange::SetOnHand(on_hand), expected, request, violations)
}

pub(super) fn adjust(request: AdjustStockRequest) -> Result<StockAct, Violations> {
    let AdjustStockRequest { goods_id: id, delta, reason, request_id, expected_on_hand, etag } =
        request;
    let mut violations = Violations::default();
    let goods = goods_id(id, "goods_id", &mut violations);
    let complaint = format!("must be 1 to {QUANTITY_MAX}, or as much with a minus, is {delta}");
    match delta.unsigned_abs() {
        0 => violations.add("delta", Reason::InvalidQuantity, complaint),
        size if size > QUANTITY_MAX.unsigned_abs() => {
            violations.add("delta", Reason::QuantityTooHigh, complaint);
        }
        _ => {}
    }
    reasoned(&reason, &mut violations);
    let request = Key::parse(request_id, "request_id", Reason::InvalidRequestId, &mut violations);
    let expected = Expected { on_hand: expected_on_hand, version: version_of(&etag) };
    act(goods, StockChange::Adjust { delta, reason }, expected, request, violations)
}

pub(super) fn safety(request: SetSafetyStockRequest) -> Result<StockAct, Violations> {
    let SetSafetyStockRequest { goods_id: id, safety, etag, request_id } = request;
    let mut violations = Violations::default();
    let goods = goods_id(id, "goods_id", &mut violations);
    pieces(safety, "safety", &mut violations);
    let request = optional_key(request_id, &mut violations);
    let expected = Expected { on_hand: None, version: version_of(&etag) };
    act(goods, StockChange::SetSafety(safety), expected, request, violations)
}

fn act(
    goods: Option<GoodsId>,
    change: StockChange,
    expected: Expected,
    request: Option<Key>,
    violations: Violations,
) -> Result<StockAct, Violations> {
    match goods {
        Some(goods) if violations.is_empty() => Ok(StockAct { goods, change, expected, request }),
        _ => Err(violations),
    }
}

/// Checks what makes a batch no batch; what is wrong with one stock of it is that stock's answer.
pub(super) fn can_be_a_batch(stocks: &[SetStockRequest]) -> Result<(), Violations> {
    let mut violations = Violations::default();
    not_too_many(stocks.len(), "stocks", &mut violations);
    let mut first = HashMap::new();
    for (index, stock) in stocks.iter().enumerate() {
        let id = stock.goods_id;
        let before = *first.entry(id).or_insert(index);
        // An id that is none is named as such, as often as it stands there.
        if before != index && GoodsId::new(id).is_some() {
            let complaint = format!("must stand once, is in stocks[{before}] as well: {id}");
            let field = format!("stocks[{index}].goods_id");
            violations.add(field, Reason::DuplicateGoodsId, complaint);
        }
    }
    violations.none()
}

/// The goods of these `goods_ids`, each once, in the order asked for.
pub(in crate::grpc) fn several(ids: Vec<i64>) -> Result<Vec<GoodsId>, Violations> {
    let mut violations = Violations::default();
    not_too_many(ids.len(), "goods_ids", &mut violations);
    let mut seen = HashSet::new();
    let mut asked = Vec::with_capacity(ids.len());
    for (index, id) in ids.into_iter().enumerate() {
        if let Some(goods) = goods_id(id, &format!("goods_ids[{index}]"), &mut violations)
            && seen.insert(goods)
        {
            asked.push(goods);
        }
    }
    violations.none().map(|()| asked)
}

fn not_too_many(count: usize, field: &str, violations: &mut Violations) {
    if count > GOODS_MAX {
        let complaint = format!("must name at most {GOODS_MAX} goods, names {count}");
        violations.add(field, Reason::TooManyGoods, complaint);
    }
}

/// Parses a goods id; one that is none is noted in `violations`.
pub(in crate::grpc) fn goods_id(
    id: i64,
    field: &str,
    violations: &mut Violations,
) -> Option<GoodsId> {
    let goods = GoodsId::new(id);
    if goods.is_none() {
        violations.add(field, Reason::InvalidGoodsId, format!("must be above 0, is {id}"));
    }
    goods
}

fn pieces(pieces: i64, field: &str, violations: &mut Violations) {
    let complaint = format!("must be 0 to {QUANTITY_MAX}, is {pieces}");
    match pieces {
        ..0 => violations.add(field, Reason::InvalidQuantity, complaint),
        0..=QUANTITY_MAX => {}
        _ => violations.add(field, Reason::QuantityTooHigh, complaint),
    }
}

fn reasoned(reason: &str, violations: &mut Violations) {
    let complaint = if reason.is_empty() {
        "must not be empty".to_owned()
    } else if reason.chars().count() > REASON_CHARACTERS_MAX {
        format!("must have at most {REASON_CHARACTERS_MAX} characters")
    } else if reason.chars().any(char::is_control) {
        "must not hold control characters".to_owned()
    } else {
        return;
    };
    violations.add("reason", Reason::InvalidReason, complaint);
}

fn optional_key(request_id: String, violations: &mut Violations) -> Option<Key> {
    if request_id.is_empty() {
        return None;
    }
    Key::parse(request_id, "request_id", Reason::InvalidRequestId, violations)
}

/// The etag of a version of a stock.
pub(super) fn etag(version: i64) -> String {
    format!("v{version}")
}

/// The version that this etag stands for; none if none is given.
fn version_of(text: &str) -> Option<i64> {
    let version: Option<i64> = text.strip_prefix('v').and_then(|version| version.parse().ok());
    let ours = version.filter(|version| etag(*version) == text);
    (!text.is_empty()).then(|| ours.unwrap_or(NO_VERSION))
}

#[cfg(test)]
mod tests;
