//! Reads what acts are decided on, and what readers ask for.

use super::StoreError;
use super::rows::{
    OrderRow, ReadStockRow, RequestRow, ReturnRow, StockRow, add_order, request_of, return_of,
    stock_of,
};
use super::session::{Session, Value, Which, padded};
use super::statements::{LIST_MAX, PAIRS_MAX};
use crate::act::Needs;
use crate::order::{GoodsId, Key, OrderSn};
use crate::record::{FirstAnswer, KnownOrder, Milliseconds, ReturnKey, Shelf, Stock};
use std::collections::{BTreeMap, BTreeSet};

/// What is on record about acts, but for the stock.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Records {
    /// The moment at which the look began.
    pub now: Milliseconds,
    /// The orders that are on record.
    pub orders: BTreeMap<OrderSn, KnownOrder>,
    /// The first answers to request ids of changes of stock.
    pub requests: BTreeMap<Key, FirstAnswer>,
    /// The payloads of partial returns.
    pub returns: BTreeMap<ReturnKey, [u8; 32]>,
}

impl Records {
    /// Adds what was looked up later. The moment stays.
    pub fn add(&mut self, more: Self) {
        let Self { now: _, orders, requests, returns } = more;
        self.orders.extend(orders);
        self.requests.extend(requests);
        self.returns.extend(returns);
    }
}

impl Session<'_> {
    /// Reads the stock of those of `goods` that are stocked, as it is stored, and holds their rows still until the
    /// transaction ends; in order of goods id, so that no two transactions wait for each other.
    pub async fn lock_shelf(&mut self, goods: &BTreeSet<GoodsId>) -> Result<Shelf, StoreError> {
        self.shelf(|statements| &statements.lock_shelf, goods).await
    }

    /// Reads the stock of those of `goods` that are stocked, as it is stored, without waiting for anybody.
    pub async fn look_at_shelf(&mut self, goods: &BTreeSet<GoodsId>) -> Result<Shelf, StoreError> {
        self.shelf(|statements| &statements.look_at_shelf, goods).await
    }

    async fn shelf(
        &mut self,
        which: Which,
        goods: &BTreeSet<GoodsId>,
    ) -> Result<Shelf, StoreError> {
        let goods: Vec<GoodsId> = goods.iter().copied().collect();
        let mut shelf = Shelf::default();
        for part in goods.chunks(LIST_MAX) {
            let values: Vec<Value<'_>> = padded(part).map(Value::from).collect();
            let rows: Vec<StockRow> = self.fetch(which, values.len(), &values).await?;
            for row in rows {
                let (goods, stock) = stock_of(row)?;
                shelf.0.insert(goods, stock);
            }
        }
        Ok(shelf)
    }

    /// Reads the clock, and the orders, requests and returns of `needs` that are on record: one statement for each kind
    /// that is needed and each [`LIST_MAX`] of them. To be asked after the rows of the goods are held.
    pub async fn records(&mut self, needs: &Needs) -> Result<Records, StoreError> {
        let Needs { goods: _, orders, requests, returns } = needs;
        let orders: Vec<&OrderSn> = orders.iter().collect();
        let (seen, orders) = self.orders_of(&orders).await?;
        let (then_seen, requests) = self.requests_of(requests).await?;
        let (last_seen, returns) = self.returns_of(returns).await?;
        let now = match seen.or(then_seen).or(last_seen) {
            Some(now) => now,
            None => self.clock().await?,
        };
        Ok(Records { now, orders, requests, returns })
    }

    /// Reads the clock, and the order of this number if it is on record, as of one moment.
    pub async fn order(
        &mut self,
        sn: &OrderSn,
    ) -> Result<(Milliseconds, Option<KnownOrder>), StoreError> {
        let (now, mut orders) = self.orders_of(&[sn]).await?;
        Ok((now.ok_or_else(no_clock)?, orders.remove(sn)))
    }

    /// Reads the clock, and the stock of those of `goods` that are stocked, without the holds that are dead by then.
    /// As of one moment if there are at most [`LIST_MAX`] goods.
    pub async fn stocks(
        &mut self,
        goods: &[GoodsId],
    ) -> Result<(Milliseconds, BTreeMap<GoodsId, Stock>), StoreError> {
        let (mut now, mut stocks) = (None, BTreeMap::new());
        for part in goods.chunks(LIST_MAX) {
            let values: Vec<Value<'_>> = padded(part).map(Value::from).collect();
            let rows: Vec<ReadStockRow> =
                self.fetch(|statements| &statements.stocks, values.len(), &values).await?;
            now = now.or(Some(rows.first().ok_or_else(no_clock)?.0));
            for row in rows {
                if let (
                    _,
                    Some(goods),
                    Some(on_hand),
                    Some(reserved),
                    Some(safety),
                    Some(version),
                    Some(time),
                ) = row
                {
                    let (goods, stock) =
                        stock_of((goods, on_hand, reserved, safety, version, time))?;
                    stocks.insert(goods, stock);
                }
            }
        }
        let now = match now {
            Some(now) => now,
            None => self.clock().await?,
        };
        Ok((now, stocks))
    }

    /// Reads the clock.
    pub async fn clock(&mut self) -> Result<Milliseconds, StoreError> {
        let rows: Vec<(Milliseconds,)> = self.fetch(|statements| &statements.clock, 1, &[]).await?;
        Ok(rows.first().ok_or_else(no_clock)?.0)
    }

    /// Reads orders, and the clock unless there is nothing to read.
    pub(super) async fn orders_of(
        &mut self,
        sns: &[&OrderSn],
    ) -> Result<(Option<Milliseconds>, BTreeMap<OrderSn, KnownOrder>), StoreError> {
        let (mut now, mut orders) = (None, BTreeMap::new());
        for part in sns.chunks(LIST_MAX) {
            let values: Vec<Value<'_>> = padded(part).map(Value::from).collect();
            let rows: Vec<OrderRow> =
                self.fetch(|statements| &statements.orders, values.len(), &values).await?;
            now = now.or(Some(rows.first().ok_or_else(no_clock)?.0));
            rows.into_iter().try_for_each(|row| add_order(&mut orders, row))?;
        }
        orders.values_mut().for_each(KnownOrder::sort_lines);
        Ok((now, orders))
    }

    async fn requests_of(
        &mut self,
        ids: &BTreeSet<Key>,
    ) -> Result<(Option<Milliseconds>, BTreeMap<Key, FirstAnswer>), StoreError> {
        let (mut now, mut requests) = (None, BTreeMap::new());
        let ids: Vec<&Key> = ids.iter().collect();
        for part in ids.chunks(LIST_MAX) {
            let values: Vec<Value<'_>> = padded(part).map(Value::from).collect();
            let rows: Vec<RequestRow> =
                self.fetch(|statements| &statements.requests, values.len(), &values).await?;
            now = now.or(Some(rows.first().ok_or_else(no_clock)?.0));
            for row in rows {
                requests.extend(request_of(row)?);
            }
        }
        Ok((now, requests))
    }

    async fn returns_of(
        &mut self,
        keys: &BTreeSet<ReturnKey>,
    ) -> Result<(Option<Milliseconds>, BTreeMap<ReturnKey, [u8; 32]>), StoreError> {
        let (mut now, mut returns) = (None, BTreeMap::new());
        let keys: Vec<&ReturnKey> = keys.iter().collect();
        for part in keys.chunks(PAIRS_MAX) {
            let pairs = padded(part);
            let length = pairs.len();
            let values: Vec<Value<'_>> =
                pairs.flat_map(|(sn, id)| [Value::from(sn), Value::from(id)]).collect();
            let rows: Vec<ReturnRow> =
                self.fetch(|statements| &statements.returns, length, &values).await?;
            now = now.or(Some(rows.first().ok_or_else(no_clock)?.0));
            for row in rows {
                returns.extend(return_of(row)?);
            }
        }
        Ok((now, returns))
    }
}

pub(super) fn no_clock() -> StoreError {
    StoreError::Corrupt("the clock gave no time".to_owned())
}
