//! What rows say, as plain values. A row that no version of this service could have written is an error.

use super::StoreError;
use crate::order::{GoodsId, Key, PayloadHash, Quantity};
use crate::record::{
    Entry, FirstAnswer, Kind, KnownLine, KnownOrder, LedgerRow, Milliseconds, OrderState,
    ReturnKey, Stock,
};
use std::collections::BTreeMap;

/// Goods id, pieces on hand, reserved, kept back, version, time of the last change.
pub(super) type StockRow = (i64, i64, i64, i64, i64, Milliseconds);

/// The clock, then as [`StockRow`].
pub(super) type ReadStockRow = (
    Milliseconds,
    Option<i64>,
    Option<i64>,
    Option<i64>,
    Option<i64>,
    Option<i64>,
    Option<Milliseconds>,
);

/// The clock; order number, payload hash, state, times of creation, change and expiry; goods id, quantity, pieces
/// returned, pieces held.
pub(super) type OrderRow = (
    Milliseconds,
    Option<Vec<u8>>,
    Option<Vec<u8>>,
    Option<i64>,
    Option<Milliseconds>,
    Option<Milliseconds>,
    Option<Milliseconds>,
    Option<i64>,
    Option<i64>,
    Option<i64>,
    Option<i64>,
);

/// The clock; request id, payload hash; then as [`StockRow`].
pub(super) type RequestRow = (
    Milliseconds,
    Option<Vec<u8>>,
    Option<Vec<u8>>,
    Option<i64>,
    Option<i64>,
    Option<i64>,
    Option<i64>,
    Option<i64>,
    Option<Milliseconds>,
);

/// The clock; order number, request id, payload hash.
pub(super) type ReturnRow = (Milliseconds, Option<Vec<u8>>, Option<Vec<u8>>, Option<Vec<u8>>);

/// Id, goods id, order number, kind, delta, balance, time, reason.
pub(super) type LedgerRowRead =
    (i64, i64, Option<Vec<u8>>, i64, i64, i64, Milliseconds, Option<Vec<u8>>);

pub(super) fn stock_of(row: StockRow) -> Result<(GoodsId, Stock), StoreError> {
    let (goods, on_hand, reserved, safety, version, update_time) = row;
    Ok((goods_of(goods)?, Stock { on_hand, reserved, safety, version, update_time }))
}

/// Adds one line of an order, or an order without lines, to the orders read so far.
pub(super) fn add_order(
    orders: &mut BTreeMap<Key, KnownOrder>,
    row: OrderRow,
) -> Result<(), StoreError> {
    let (_, sn, payload, state, created, updated, expires, goods, quantity, returned, held) = row;
    let (Some(sn), Some(state), Some(create_time), Some(update_time)) =
        (sn, state, created, updated)
    else {
        return Ok(());
    };
    let sn = key_of(sn)?;
    let corrupt = |what: &str| {
        StoreError::Corrupt(format!("{what} of order {sn} is not known to this version"))
    };
    if !orders.contains_key(&sn) {
        let payload = payload.map(|bytes| {
            PayloadHash::from_bytes(&bytes).ok_or_else(|| corrupt("the payload hash"))
        });
        let state = OrderState::from_number(state).filter(|state| *state != OrderState::Expired);
        let order = KnownOrder {
            sn: sn.clone(),
            payload: payload.transpose()?,
            state: state.ok_or_else(|| corrupt("the state"))?,
            lines: Vec::new(),
            create_time,
            update_time,
            expire_time: expires,
        };
        orders.insert(sn.clone(), order);
    }
    let Some(goods) = goods else { return Ok(()) };
    let line = match (GoodsId::new(goods), quantity.map(Quantity::new), returned) {
        (Some(goods), Some(Ok(quantity)), Some(returned))
            if held.is_none_or(|held| held == quantity.get()) =>
        {
            KnownLine { goods, quantity, returned, held: held.is_some() }
        }
        _ => return Err(corrupt("a line")),
    };
    let order = orders.get_mut(&sn).expect("an order is put in before its lines");
    order.lines.push(line);
    Ok(())
}

pub(super) fn request_of(row: RequestRow) -> Result<Option<(Key, FirstAnswer)>, StoreError> {
    let (
        _,
        Some(id),
        Some(payload),
        Some(goods),
        Some(on_hand),
        Some(reserved),
        Some(safety),
        Some(version),
        Some(time),
    ) = row
    else {
        return Ok(None);
    };
    let id = key_of(id)?;
    let payload = hash_of(payload, "request", &id)?;
    let (goods, stock) = stock_of((goods, on_hand, reserved, safety, version, time))?;
    Ok(Some((id, FirstAnswer { payload, goods, stock })))
}

pub(super) fn return_of(row: ReturnRow) -> Result<Option<(ReturnKey, [u8; 32])>, StoreError> {
    let (_, Some(sn), Some(id), Some(payload)) = row else { return Ok(None) };
    let id = key_of(id)?;
    let payload = hash_of(payload, "return", &id)?;
    Ok(Some(((key_of(sn)?, id), payload)))
}

pub(super) fn ledger_row_of(row: LedgerRowRead) -> Result<LedgerRow, StoreError> {
    let (id, goods, order, kind, delta, balance, time, reason) = row;
    let corrupt = |what| {
        StoreError::Corrupt(format!(
            "{what} of row {id} of the ledger is not known to this version"
        ))
    };
    let entry = Entry {
        goods: goods_of(goods)?,
        order: order.map(key_of).transpose()?,
        kind: Kind::from_number(kind).ok_or_else(|| corrupt("the kind"))?,
        delta,
        balance,
        reason: reason.map(String::from_utf8).transpose().map_err(|_| corrupt("the reason"))?,
    };
    Ok(LedgerRow { id, time, entry })
}

pub(super) fn goods_of(id: i64) -> Result<GoodsId, StoreError> {
    GoodsId::new(id).ok_or_else(|| StoreError::Corrupt(format!("there are goods of id {id}")))
}

pub(super) fn key_of(bytes: Vec<u8>) -> Result<Key, StoreError> {
    let not_text = |error: std::string::FromUtf8Error| {
        StoreError::Corrupt(format!("the key {:?} is not text", error.as_bytes()))
    };
    String::from_utf8(bytes).map(Key::from_record).map_err(not_text)
}

fn hash_of(bytes: Vec<u8>, what: &str, id: &Key) -> Result<[u8; 32], StoreError> {
    let corrupt =
        |_| StoreError::Corrupt(format!("the payload hash of {what} {id} is not readable"));
    bytes.try_into().map_err(corrupt)
}
