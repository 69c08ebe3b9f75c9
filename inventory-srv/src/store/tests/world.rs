//! A store of its own for each test, on either database, and hand-made changes to write into it.

use super::super::*;
use crate::decide::Changes;
use crate::order::{GoodsId, Key, Order, OrderSn, Quantity, Ttl};
use crate::record::{Entry, Kind, KnownLine, KnownOrder, Milliseconds, OrderState, Stock};
use std::collections::BTreeSet;

/// Runs each test on both databases, in modules of their names.
macro_rules! on_both {
    ($($test:ident),* $(,)?) => {
        mod mariadb {
            $(#[tokio::test]
            async fn $test() {
                super::$test(crate::store::tests::world::World::mariadb().await).await;
            })*
        }
        mod sqlite {
            $(#[tokio::test]
            async fn $test() {
                super::$test(crate::store::tests::world::World::sqlite().await).await;
            })*
        }
    };
}
pub(super) use on_both;

pub(super) struct World {
    pub(super) store: Store,
    pub(super) database: Database,
    /// Removed with the world.
    _folder: Option<tempfile::TempDir>,
}

impl World {
    pub(super) async fn mariadb() -> Self {
        let database = super::mysql().await;
        migrate(&database).await.unwrap();
        Self { store: Store::new(database.clone()), database, _folder: None }
    }

    pub(super) async fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = super::sqlite(&folder).await;
        migrate(&database).await.unwrap();
        Self { store: Store::new(database.clone()), database, _folder: Some(folder) }
    }

    /// Writes and commits, or rolls back.
    pub(super) async fn write(&self, changes: &Changes) -> Result<(), StoreError> {
        self.write_fenced(changes, 0).await
    }

    pub(super) async fn write_fenced(
        &self,
        changes: &Changes,
        fence: i64,
    ) -> Result<(), StoreError> {
        let mut transaction = self.store.begin().await?;
        match transaction.on().write(changes, fence).await {
            Ok(()) => transaction.commit(changes).await,
            Err(error) => {
                transaction.rollback().await;
                Err(error)
            }
        }
    }

    pub(super) async fn reader(&self) -> Reader {
        self.store.read().await.unwrap()
    }

    pub(super) async fn stock(&self, goods: i64) -> Stock {
        let goods = BTreeSet::from([goods_id(goods)]);
        *self.reader().await.on().look_at_shelf(&goods).await.unwrap().0.values().next().unwrap()
    }

    pub(super) async fn known(&self, number: usize) -> KnownOrder {
        self.reader().await.on().order(&sn(number)).await.unwrap().1.unwrap()
    }

    pub(super) async fn clock(&self) -> Milliseconds {
        self.reader().await.on().clock().await.unwrap()
    }

    pub(super) async fn number(&self, query: &'static str) -> i64 {
        match &self.database {
            Database::MySql(pool) => sqlx::query_scalar(query).fetch_one(pool).await.unwrap(),
            Database::Sqlite(pools) => {
                sqlx::query_scalar(query).fetch_one(&pools.read).await.unwrap()
            }
        }
    }

    /// The invariant of the table `hold`.
    pub(super) async fn assert_reserved_is_what_is_held(&self) {
        let drift = self
            .number(
                "SELECT COUNT(*) FROM stock s WHERE s.reserved <> COALESCE((SELECT SUM(h.quantity) FROM hold h \
                 WHERE h.goods_id = s.goods_id), 0)",
            )
            .await;
        assert_eq!(drift, 0, "stocks whose reserved is not the sum of their holds");
    }

    pub(super) async fn stocked(self, goods: i64, on_hand: i64) -> Self {
        self.write(&new_stock(goods, on_hand)).await.unwrap();
        self
    }
}

pub(super) fn goods_id(id: i64) -> GoodsId {
    GoodsId::new(id).unwrap()
}

pub(super) fn sn(number: usize) -> OrderSn {
    Key::from_record(format!("order-{number:06}"))
}

pub(super) fn new_stock(goods: i64, on_hand: i64) -> Changes {
    let stock = Stock { on_hand, reserved: 0, safety: 0, version: 1, update_time: 1 };
    Changes { new_stocks: vec![(goods_id(goods), stock)], now: 1, ..Changes::default() }
}

pub(super) fn order_of(number: usize, lines: &[(i64, i64)], ttl: Option<i64>) -> Order {
    let ttl = ttl.map(|milliseconds| Ttl::new(milliseconds).unwrap());
    Order::parse(sn(number).to_string(), lines, ttl).unwrap()
}

/// The stock with so many pieces sold.
pub(super) fn sold(before: Stock, pieces: i64) -> Stock {
    Stock { on_hand: before.on_hand - pieces, version: before.version + 1, ..before }
}

/// The stock with so many pieces reserved.
pub(super) fn reserved(before: Stock, pieces: i64) -> Stock {
    Stock { reserved: before.reserved + pieces, version: before.version + 1, ..before }
}

pub(super) fn changed(goods: i64, before: Stock, after: Stock) -> Changes {
    Changes { stocks: vec![(goods_id(goods), before, after)], now: 1, ..Changes::default() }
}

pub(super) fn entry(goods: i64, number: usize, delta: i64, balance: i64) -> Entry {
    Entry {
        goods: goods_id(goods),
        order: Some(sn(number)),
        kind: Kind::Sell,
        delta,
        balance,
        reason: None,
    }
}

/// The record of an order of one line.
pub(super) fn order_on_record(
    number: usize,
    goods: i64,
    create_time: Milliseconds,
    state: OrderState,
    expire_time: Option<Milliseconds>,
) -> KnownOrder {
    let held = state == OrderState::Reserved;
    let quantity = Quantity::new(1).unwrap();
    KnownOrder {
        sn: sn(number),
        payload: Some(order_of(number, &[(goods, 1)], None).payload()),
        state,
        lines: vec![KnownLine { goods: goods_id(goods), quantity, returned: 0, held }],
        create_time,
        update_time: create_time,
        expire_time,
    }
}
