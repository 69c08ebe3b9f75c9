//! Finds dead holds.

use super::StoreError;
use super::read::no_clock;
use super::rows::{goods_of, key_of};
use super::session::{Session, Value, padded};
use super::statements::LIST_MAX;
use crate::decide::Expired;
use crate::order::GoodsId;
use crate::record::Milliseconds;
use std::collections::BTreeSet;

/// How many dead holds one transaction looks at and releases: it stays short, whatever has piled up.
pub(super) const EXPIRED_MAX: usize = 500;

/// Goods id, order number, pieces.
type HoldRow = (i64, Vec<u8>, i64);

impl Session<'_> {
    /// Dead holds on these goods, whose rows are held: at most [`EXPIRED_MAX`]. Where there are more, each goods that
    /// has any gets its share, so that a goods with many does not hide those of another that falls short.
    pub async fn expired(
        &mut self,
        goods: &BTreeSet<GoodsId>,
        now: Milliseconds,
    ) -> Result<Expired, StoreError> {
        let goods: Vec<GoodsId> = goods.iter().copied().collect();
        let mut rows = Vec::new();
        for part in goods.chunks(LIST_MAX) {
            let room = EXPIRED_MAX + 1 - rows.len();
            rows.extend(self.dead_holds(part, now, room).await?);
            if rows.len() > EXPIRED_MAX {
                break;
            }
        }
        let more = rows.len() > EXPIRED_MAX;
        if more {
            rows = self.share_of_each(&goods, now).await?;
        }
        let mut expired = Expired { more, ..Expired::default() };
        for (goods, sn, pieces) in rows {
            expired.holds.entry(goods_of(goods)?).or_default().insert(key_of(sn)?, pieces);
        }
        Ok(expired)
    }

    async fn share_of_each(
        &mut self,
        goods: &[GoodsId],
        now: Milliseconds,
    ) -> Result<Vec<HoldRow>, StoreError> {
        let share = (EXPIRED_MAX / goods.len()).max(1);
        let mut rows = Vec::new();
        for goods in goods {
            let room = share.min(EXPIRED_MAX - rows.len());
            if room == 0 {
                break;
            }
            rows.extend(self.dead_holds(std::slice::from_ref(goods), now, room).await?);
        }
        Ok(rows)
    }

    /// At most `limit` dead holds on at most [`LIST_MAX`] goods.
    async fn dead_holds(
        &mut self,
        goods: &[GoodsId],
        now: Milliseconds,
        limit: usize,
    ) -> Result<Vec<HoldRow>, StoreError> {
        let mut values: Vec<Value<'_>> = padded(goods).map(Value::from).collect();
        let length = values.len();
        values.extend([Value::from(now), Value::from(limit as i64)]);
        self.fetch(|statements| &statements.expired, length, &values).await
    }

    /// Reads the clock, and at most `limit` goods that have dead holds: those of the [`EXPIRED_MAX`] holds that have
    /// been dead for longest. Whoever releases those finds the others.
    pub async fn goods_with_expired(
        &mut self,
        limit: u32,
    ) -> Result<(Milliseconds, BTreeSet<GoodsId>), StoreError> {
        let rows: Vec<(Milliseconds, Option<i64>)> =
            self.fetch(|statements| &statements.goods_with_expired, 1, &[]).await?;
        let now = rows.first().ok_or_else(no_clock)?.0;
        let mut goods = BTreeSet::new();
        for id in rows.into_iter().filter_map(|row| row.1) {
            if goods.len() < limit as usize {
                goods.insert(goods_of(id)?);
            }
        }
        Ok((now, goods))
    }
}
