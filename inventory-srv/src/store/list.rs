//! Lists orders and the ledger, page by page. What is inserted meanwhile is newer than any page, so no page shows a row
//! twice or leaves one out.

use super::StoreError;
use super::rows::{LedgerRowRead, key_of, ledger_row_of};
use super::session::{Session, Value};
use super::statements::LIST_MAX;
use crate::order::OrderSn;
use crate::record::{
    LedgerFilter, LedgerPage, Milliseconds, OrderCursor, OrderFilter, OrderPage, OrderState,
};

/// The most orders of a page: they are read by one statement, as of one moment.
pub const PAGE_MAX: u32 = LIST_MAX as u32;

/// How many orders are looked at for a page of one state only; a page ends there, however few it found.
pub const SCANNED_MAX: usize = 2_000;

/// When the order was first seen, its number, its state as the clock says it.
type ListedRow = (Milliseconds, Vec<u8>, Option<i64>);

impl Session<'_> {
    /// Orders that the filter lets through, the newest first, going on after `after`: at most `limit` and at most
    /// [`PAGE_MAX`]. All of a page are as they were at one moment.
    pub async fn orders(
        &mut self,
        filter: &OrderFilter,
        after: Option<&OrderCursor>,
        limit: u32,
    ) -> Result<OrderPage, StoreError> {
        let limit = limit.clamp(1, PAGE_MAX) as usize;
        let scanned_max = if filter.state.is_some() { SCANNED_MAX } else { limit + 1 };
        let rows = self.listed(filter, after, scanned_max).await?;
        let is_wanted =
            |row: &&ListedRow| filter.state.is_none_or(|state| row.2 == Some(state as i64));
        let wanted: Vec<_> = rows.iter().filter(is_wanted).take(limit + 1).collect();
        let last = if wanted.len() > limit {
            Some(wanted[limit - 1])
        } else {
            rows.last().filter(|_| rows.len() == scanned_max)
        };
        let cursor = |row: &ListedRow| {
            Ok::<_, StoreError>(OrderCursor { create_time: row.0, sn: key_of(row.1.clone())? })
        };
        let next = last.map(cursor).transpose()?;
        let sns = wanted.iter().take(limit).map(|row| key_of(row.1.clone()));
        let sns: Vec<OrderSn> = sns.collect::<Result<_, _>>()?;
        self.page(&sns, filter.state, next).await
    }

    async fn listed(
        &mut self,
        filter: &OrderFilter,
        after: Option<&OrderCursor>,
        scanned_max: usize,
    ) -> Result<Vec<ListedRow>, StoreError> {
        // The end of the filter is a cursor, too: no key sorts before none.
        let end = (filter.until.unwrap_or(Milliseconds::MAX), &b""[..]);
        let (time, sn) = match after {
            Some(OrderCursor { create_time, sn }) => {
                end.min((*create_time, sn.as_str().as_bytes()))
            }
            None => end,
        };
        let from = filter.from.unwrap_or(Milliseconds::MIN);
        let mut values: Vec<Value<'_>> = vec![from.into(), time.into(), time.into(), sn.into()];
        values.extend(filter.goods.map(Value::from));
        values.push((scanned_max as i64).into());
        if filter.goods.is_some() {
            self.fetch(|statements| &statements.orders_by_goods, 1, &values).await
        } else {
            self.fetch(|statements| &statements.orders_by_time, 1, &values).await
        }
    }

    /// Reads the orders that were listed. One whose state changed since the list was read is left out.
    async fn page(
        &mut self,
        sns: &[OrderSn],
        state: Option<OrderState>,
        next: Option<OrderCursor>,
    ) -> Result<OrderPage, StoreError> {
        let listed: Vec<&OrderSn> = sns.iter().collect();
        let (now, mut orders) = self.orders_of(&listed).await?;
        let now = match now {
            Some(now) => now,
            None => self.clock().await?,
        };
        let orders = sns.iter().filter_map(|sn| orders.remove(sn));
        let orders =
            orders.filter(|order| state.is_none_or(|state| order.state_at(now) == state)).collect();
        Ok(OrderPage { now, orders, next })
    }

    /// Rows of the ledger, the newest first, going on after the id `after`: at most `limit` and at most [`PAGE_MAX`].
    pub async fn ledger(
        &mut self,
        filter: &LedgerFilter,
        after: Option<i64>,
        limit: u32,
    ) -> Result<LedgerPage, StoreError> {
        let limit = limit.clamp(1, PAGE_MAX) as usize;
        let rest = [after.unwrap_or(i64::MAX), limit as i64 + 1].map(Value::from);
        let rows: Vec<LedgerRowRead> = match filter {
            LedgerFilter::Goods(goods) => {
                let values = [&[(*goods).into()], &rest[..]].concat();
                self.fetch(|statements| &statements.ledger_of_goods, 1, &values).await?
            }
            LedgerFilter::Order(sn) => {
                let values = [&[sn.into()], &rest[..]].concat();
                self.fetch(|statements| &statements.ledger_of_order, 1, &values).await?
            }
        };
        let is_more = rows.len() > limit;
        let rows =
            rows.into_iter().take(limit).map(ledger_row_of).collect::<Result<Vec<_>, _>>()?;
        let next = rows.last().map(|row| row.id).filter(|_| is_more);
        Ok(LedgerPage { rows, next })
    }
}
