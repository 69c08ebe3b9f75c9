//! Reads what the stock says, and what the ledger and the holds say of it, for goods of a span of ids.

use super::StoreError;
use super::rows::{StockRow, goods_of, stock_of};
use super::session::{Session, Value};
use crate::order::GoodsId;
use crate::record::{Shelf, Span};
use std::collections::BTreeMap;

/// The most rows of the ledger that one statement adds up: some milliseconds of work, so that a check can stop, and be
/// seen to go on, in between.
pub const SUMMED_MAX: usize = 10_000;

/// Rows of the ledger of one goods that follow each other, added up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summed {
    /// Which goods.
    pub goods: GoodsId,
    /// What the deltas add up to.
    pub sum: i64,
    /// The id of the newest of them.
    pub newest: i64,
    /// The balance of that one.
    pub balance: i64,
    /// How many there are.
    pub rows: usize,
}

/// Goods id, sum, newest id, its balance, number of rows.
type SummedRow = (i64, i64, i64, i64, i64);

impl Session<'_> {
    /// Reads the stock of goods of this span, as it is stored: the first `limit` of them, in order of goods id.
    pub async fn shelf_of(&mut self, span: Span, limit: u32) -> Result<Shelf, StoreError> {
        let values = [span.after, span.through, i64::from(limit)].map(Value::from);
        let rows: Vec<StockRow> = self.fetch(|statements| &statements.shelf_of, 1, &values).await?;
        rows.into_iter().map(stock_of).collect::<Result<_, _>>().map(Shelf)
    }

    /// Adds up the ledger of goods up to the id `through`, goods by goods: the rows behind the row `newest` of the
    /// goods `goods`, by goods id and id, at most [`SUMMED_MAX`]. If there are as many, more may follow.
    pub async fn summed(
        &mut self,
        (goods, newest): (i64, i64),
        through: i64,
    ) -> Result<Vec<Summed>, StoreError> {
        let values = [through, goods, goods, newest, SUMMED_MAX as i64].map(Value::from);
        let rows: Vec<SummedRow> = self.fetch(|statements| &statements.summed, 1, &values).await?;
        let summed = |(goods, sum, newest, balance, rows)| {
            let rows = usize::try_from(rows).unwrap_or(0);
            Ok(Summed { goods: goods_of(goods)?, sum, newest, balance, rows })
        };
        rows.into_iter().map(summed).collect()
    }

    /// How many pieces holds have of goods of this span, dead ones counted.
    pub async fn held(&mut self, span: Span) -> Result<BTreeMap<GoodsId, i64>, StoreError> {
        let values = [span.after, span.through].map(Value::from);
        let rows: Vec<(i64, i64)> = self.fetch(|statements| &statements.held, 1, &values).await?;
        rows.into_iter().map(|(goods, pieces)| Ok((goods_of(goods)?, pieces))).collect()
    }
}
