//! Finds what is too old and deletes it. Whatever goes must be as it was found; otherwise it has moved.

use super::StoreError;
use super::rows::{LedgerRowRead, key_of, ledger_row_of};
use super::script::expect;
use super::session::{Session, Value, Which};
use super::statements::LIST_MAX;
use crate::order::{GoodsId, Key, OrderSn};
use crate::record::{LedgerRow, Milliseconds, OrderCursor};

/// The most orders, or answers to request ids, that one transaction deletes: with their lines some thousand rows.
pub const DELETED_MAX: usize = 64;

/// The most rows of a goods' ledger that one opening row comes to stand for at a time.
pub const OPENED_MAX: usize = LIST_MAX;

/// A row that stands for older ones of its goods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opening {
    /// The id of the last of them, in whose place it stands.
    pub id: i64,
    /// What their deltas add up to.
    pub delta: i64,
    /// How many they are.
    pub rows: usize,
}

impl Session<'_> {
    /// Orders first seen before this moment, the oldest first, going on after `after`; and of each whether it has not
    /// changed since this moment either and holds nothing.
    pub async fn old_orders(
        &mut self,
        after: Option<&OrderCursor>,
        bound: Milliseconds,
    ) -> Result<Vec<(OrderCursor, bool)>, StoreError> {
        let (time, sn) = after.map_or((Milliseconds::MIN, &b""[..]), |cursor| {
            (cursor.create_time, cursor.sn.as_str().as_bytes())
        });
        let values: [Value<'_>; 6] = [
            bound.into(),
            bound.into(),
            time.into(),
            time.into(),
            sn.into(),
            (LIST_MAX as i64).into(),
        ];
        let rows: Vec<(Milliseconds, Vec<u8>, Option<i64>)> =
            self.fetch(|statements| &statements.old_orders, 1, &values).await?;
        let order = |(create_time, sn, is_ended)| {
            Ok((OrderCursor { create_time, sn: key_of(sn)? }, is_ended == Some(1)))
        };
        rows.into_iter().map(order).collect()
    }

    /// Deletes orders that have not changed since this moment, at most [`DELETED_MAX`], with their lines and returns.
    pub async fn delete_orders(
        &mut self,
        sns: &[OrderSn],
        bound: Milliseconds,
    ) -> Result<(), StoreError> {
        let deleted =
            self.delete(|statements| &statements.delete_orders, &[bound.into()], sns).await?;
        expect(deleted, sns.len())?;
        self.delete(|statements| &statements.delete_lines, &[], sns).await?;
        self.delete(|statements| &statements.delete_returns, &[], sns).await?;
        Ok(())
    }

    /// Rows of the ledger, the oldest first, going on after this id.
    pub async fn oldest_entries(&mut self, after: i64) -> Result<Vec<LedgerRow>, StoreError> {
        self.entries(|statements| &statements.oldest_entries, after, LIST_MAX).await
    }

    /// The oldest rows of the ledger of these goods, at most [`OPENED_MAX`], held still until the transaction ends.
    pub async fn lock_oldest_entries(
        &mut self,
        goods: GoodsId,
    ) -> Result<Vec<LedgerRow>, StoreError> {
        self.entries(|statements| &statements.lock_oldest_entries, goods.get(), OPENED_MAX).await
    }

    async fn entries(
        &mut self,
        which: Which,
        of: i64,
        limit: usize,
    ) -> Result<Vec<LedgerRow>, StoreError> {
        let rows: Vec<LedgerRowRead> =
            self.fetch(which, 1, &[of, limit as i64].map(Value::from)).await?;
        rows.into_iter().map(ledger_row_of).collect()
    }

    /// Puts an opening row in the place of rows of these goods, which are held still.
    pub async fn open_ledger(
        &mut self,
        goods: GoodsId,
        opening: Opening,
    ) -> Result<(), StoreError> {
        let Opening { id, delta, rows } = opening;
        let values = [delta, id].map(Value::from);
        expect(self.execute(|statements| &statements.open_ledger, 1, &values).await?, 1)?;
        let older = [goods.into(), id.into()];
        expect(self.execute(|statements| &statements.delete_entries, 1, &older).await?, rows - 1)
    }

    /// Request ids that were answered before this moment, at most [`DELETED_MAX`].
    pub async fn old_requests(&mut self, bound: Milliseconds) -> Result<Vec<Key>, StoreError> {
        let values = [bound, DELETED_MAX as i64].map(Value::from);
        let rows: Vec<(Vec<u8>,)> =
            self.fetch(|statements| &statements.old_requests, 1, &values).await?;
        rows.into_iter().map(|(id,)| key_of(id)).collect()
    }

    /// Deletes the answers to these request ids, at most [`DELETED_MAX`], of before this moment; answers how many.
    pub async fn delete_requests(
        &mut self,
        ids: &[Key],
        bound: Milliseconds,
    ) -> Result<usize, StoreError> {
        let deleted =
            self.delete(|statements| &statements.delete_requests, &[bound.into()], ids).await?;
        Ok(usize::try_from(deleted).unwrap_or(usize::MAX))
    }

    async fn delete(
        &mut self,
        which: Which,
        leading: &[Value<'_>],
        keys: &[Key],
    ) -> Result<u64, StoreError> {
        let Some(last) = keys.last() else { return Ok(0) };
        // Always as many: then a statement has one text.
        let keys = keys.iter().chain(std::iter::repeat(last)).take(DELETED_MAX).map(Value::from);
        let values: Vec<Value<'_>> = leading.iter().copied().chain(keys).collect();
        self.execute(which, DELETED_MAX, &values).await
    }
}
