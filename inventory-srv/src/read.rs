//! Reads: what is committed, without the holds that have expired.

use crate::Inventory;
use crate::decide::Refusal;
use crate::error::Error;
use crate::order::{GoodsId, OrderSn};
use crate::record::{
    KnownOrder, LedgerFilter, LedgerPage, Milliseconds, OrderCursor, OrderFilter, OrderPage, Stock,
};
use std::collections::BTreeMap;

/// The most goods of one read: the length of one SQL list, and more than a page of a shop shows.
pub const GOODS_MAX: usize = 500;

impl Inventory {
    /// Reads the stock of those of `goods` that are stocked, all as of one moment.
    pub async fn stocks(&self, goods: &[GoodsId]) -> Result<BTreeMap<GoodsId, Stock>, Error> {
        let read = async { Ok(self.store.read().await?.on().stocks(goods).await?.1) };
        read.await.map_err(Error::from_reading)
    }

    /// Reads an order, and the moment as of which it was read.
    pub async fn find_order(&self, sn: &OrderSn) -> Result<(Milliseconds, KnownOrder), Error> {
        let read = async { self.store.read().await?.on().order(sn).await };
        let (now, known) = read.await.map_err(Error::from_reading)?;
        Ok((now, known.ok_or_else(|| Error::OrderRefused(sn.clone(), Refusal::OrderNotFound))?))
    }

    /// Reads a page of orders, newest first.
    pub async fn orders(
        &self,
        filter: &OrderFilter,
        after: Option<&OrderCursor>,
        limit: u32,
    ) -> Result<OrderPage, Error> {
        let read = async { self.store.read().await?.on().orders(filter, after, limit).await };
        read.await.map_err(Error::from_reading)
    }

    /// Reads a page of the ledger, newest first.
    pub async fn ledger(
        &self,
        filter: &LedgerFilter,
        after: Option<i64>,
        limit: u32,
    ) -> Result<LedgerPage, Error> {
        let read = async { self.store.read().await?.on().ledger(filter, after, limit).await };
        read.await.map_err(Error::from_reading)
    }
}
