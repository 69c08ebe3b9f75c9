//! `SetStock`, `AdjustStock`, `SetSafetyStock`, `BatchSetStock`, `GetStock`, `BatchGetStock`.

mod parse;

pub(super) use parse::{goods_id, several};

use super::batch;
use super::time::timestamp;
use crate::Inventory;
use crate::act::StockAct;
use crate::decide::{Refusal, Setting};
use crate::error::Error;
use crate::order::GoodsId;
use crate::record::Stock;
use crate::violations::Violations;
use proto::inventory::v1::{
    self as wire, AdjustStockRequest, AdjustStockResponse, BatchGetStockRequest,
    BatchGetStockResponse, BatchSetStockRequest, BatchSetStockResponse, BatchSetStockResult,
    GetStockRequest, GetStockResponse, SetSafetyStockRequest, SetSafetyStockResponse,
    SetStockRequest, SetStockResponse, batch_set_stock_result::Result as Outcome,
};
use srv_runtime::Deadline;
use tonic::Request;

pub(super) async fn set(
    inventory: &Inventory,
    request: Request<SetStockRequest>,
) -> Result<SetStockResponse, Error> {
    let until = Deadline::of(&request);
    let (stock, replayed) = change(inventory, parse::set(request.into_inner())?, until).await?;
    Ok(SetStockResponse { stock: Some(stock), replayed })
}

pub(super) async fn adjust(
    inventory: &Inventory,
    request: Request<AdjustStockRequest>,
) -> Result<AdjustStockResponse, Error> {
    let until = Deadline::of(&request);
    let (stock, replayed) = change(inventory, parse::adjust(request.into_inner())?, until).await?;
    Ok(AdjustStockResponse { stock: Some(stock), replayed })
}

pub(super) async fn set_safety(
    inventory: &Inventory,
    request: Request<SetSafetyStockRequest>,
) -> Result<SetSafetyStockResponse, Error> {
    let until = Deadline::of(&request);
    let (stock, replayed) = change(inventory, parse::safety(request.into_inner())?, until).await?;
    Ok(SetSafetyStockResponse { stock: Some(stock), replayed })
}

async fn change(
    inventory: &Inventory,
    act: StockAct,
    until: Deadline,
) -> Result<(wire::Stock, bool), Error> {
    let goods = act.goods;
    let setting = inventory.stock(act, until).await?;
    Ok((message(goods.get(), &setting.stock), setting.replayed))
}

pub(super) async fn batch_set(
    inventory: &Inventory,
    request: Request<BatchSetStockRequest>,
) -> Result<BatchSetStockResponse, Error> {
    let until = Deadline::of(&request);
    let BatchSetStockRequest { stocks } = request.into_inner();
    parse::can_be_a_batch(&stocks)?;
    let ids: Vec<_> = stocks.iter().map(|stock| stock.goods_id).collect();
    let (acts, places) = batch::sort_out(stocks.into_iter().map(parse::set).collect());
    let settings = places.answers(inventory.batch_stock(acts, until).await);
    let result = |(id, setting): (i64, Result<Setting, Error>)| BatchSetStockResult {
        result: Some(match setting {
            Ok(Setting { stock, replayed }) => {
                Outcome::Set(SetStockResponse { stock: Some(message(id, &stock)), replayed })
            }
            Err(error) => Outcome::Error(error.into()),
        }),
    };
    Ok(BatchSetStockResponse { results: ids.into_iter().zip(settings).map(result).collect() })
}

pub(super) async fn get(
    inventory: &Inventory,
    request: GetStockRequest,
) -> Result<GetStockResponse, Error> {
    let mut violations = Violations::default();
    let goods = goods_id(request.goods_id, "goods_id", &mut violations).ok_or(violations)?;
    let stock = inventory.stocks(&[goods]).await?.remove(&goods);
    let stock = stock.ok_or(Error::StockRefused(goods, Refusal::GoodsNotStocked))?;
    Ok(GetStockResponse { stock: Some(message(goods.get(), &stock)) })
}

pub(super) async fn batch_get(
    inventory: &Inventory,
    request: BatchGetStockRequest,
) -> Result<BatchGetStockResponse, Error> {
    let asked = several(request.goods_ids)?;
    let stocks = inventory.stocks(&asked).await?;
    let (stocked, missing): (Vec<_>, Vec<_>) =
        asked.into_iter().partition(|goods| stocks.contains_key(goods));
    Ok(BatchGetStockResponse {
        stocks: stocked.into_iter().map(|goods| message(goods.get(), &stocks[&goods])).collect(),
        missing_goods_ids: missing.into_iter().map(GoodsId::get).collect(),
    })
}

pub(super) fn message(goods_id: i64, stock: &Stock) -> wire::Stock {
    let Stock { on_hand, reserved, safety, version, update_time } = *stock;
    wire::Stock {
        goods_id,
        on_hand,
        reserved,
        safety,
        available: stock.available(),
        etag: parse::etag(version),
        update_time: Some(timestamp(update_time)),
    }
}
