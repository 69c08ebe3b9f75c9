//! `WatchStock`.

use super::stock::{message, several};
use crate::Inventory;
use crate::error::Error;
use crate::order::GoodsId;
use crate::record::Stock;
use crate::violations::{Reason, Violations};
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use proto::inventory::v1::{WatchStockRequest, WatchStockResponse};
use srv_runtime::Stopping;
use std::future::ready;
use tonic::{Request, Status};

/// The messages are made when they can be sent, so that who reads slowly is sent the newest stock.
pub(super) async fn watch(
    inventory: &Inventory,
    request: Request<WatchStockRequest>,
) -> Result<BoxStream<'static, Result<WatchStockResponse, Status>>, Error> {
    let stopping = Stopping::of(&request);
    let (seen, watch) = inventory.watch(parse(request.into_inner())?).await?;
    let first = stream::once(ready(Ok(initial(&seen))));
    let later = stream::try_unfold((watch, stopping), |(mut watch, stopping)| async move {
        let changes = tokio::select! {
            changes = watch.changes() => changes?,
            () = stopping.begun() => return Err(Error::Stopping),
        };
        Ok(Some((changed(&changes), (watch, stopping))))
    });
    Ok(first.chain(later.map_err(Status::from)).boxed())
}

fn parse(request: WatchStockRequest) -> Result<Vec<GoodsId>, Violations> {
    let goods = several(request.goods_ids)?;
    let mut violations = Violations::default();
    if goods.is_empty() {
        violations.add("goods_ids", Reason::NoGoods, "must name at least one goods");
    }
    violations.none().map(|()| goods)
}

fn initial(seen: &[(GoodsId, Option<Stock>)]) -> WatchStockResponse {
    let stocked = |(goods, stock): &(GoodsId, Option<Stock>)| {
        stock.as_ref().map(|stock| message(goods.get(), stock))
    };
    let missing = seen.iter().filter(|(_, stock)| stock.is_none());
    WatchStockResponse {
        stocks: seen.iter().filter_map(stocked).collect(),
        missing_goods_ids: missing.map(|(goods, _)| goods.get()).collect(),
        initial: true,
    }
}

fn changed(changes: &[(GoodsId, Stock)]) -> WatchStockResponse {
    let stocks = changes.iter().map(|(goods, stock)| message(goods.get(), stock)).collect();
    WatchStockResponse { stocks, missing_goods_ids: Vec::new(), initial: false }
}
