//! What is purged, what is kept, and that no sum changes by it.

use crate::check::{checked, while_everybody_trades};
use crate::shop::{Backend, Shop, refusal};
use futures::future::join_all;
use inventory_srv::purge::Purged;
use proto::inventory::v1::{
    LedgerKind, ListLedgerRequest, OrderState, list_ledger_request::Filter,
};
use srv_config::{InventoryHot, LockStrategy};
use tonic::Code;

/// Makes everything on record 100 days older.
async fn age(shop: &Shop) {
    for statement in [
        "UPDATE orders SET create_time = create_time - 8640000000, update_time = update_time - 8640000000, \
         expire_time = expire_time - 8640000000",
        "UPDATE order_line SET create_time = create_time - 8640000000",
        "UPDATE hold SET expire_time = expire_time - 8640000000",
        "UPDATE ledger SET time = time - 8640000000",
        "UPDATE stock_request SET update_time = update_time - 8640000000",
        "UPDATE order_return SET time = time - 8640000000",
    ] {
        shop.tamper(statement).await;
    }
}

async fn purged(shop: &Shop) -> Purged {
    shop.inventory().purge_once().await.unwrap()
}

/// Kind, order number, delta and balance of a goods' rows, the newest first.
async fn rows(shop: &Shop, goods_id: i64) -> Vec<(LedgerKind, String, i64, i64)> {
    let filter = Some(Filter::GoodsId(goods_id));
    let rows = shop.ledger(ListLedgerRequest { filter, ..Default::default() }).await;
    rows.into_iter().map(|row| (row.kind(), row.order_sn, row.delta, row.balance)).collect()
}

fn opening(pieces: i64) -> (LedgerKind, String, i64, i64) {
    (LedgerKind::Opening, String::new(), pieces, pieces)
}

async fn is_known(shop: &Shop, order_sn: &str) -> bool {
    let found = shop.order(order_sn).await.map(drop);
    found.is_ok() || {
        assert_eq!(refusal(found), (Code::NotFound, "ORDER_NOT_FOUND".into()));
        false
    }
}

contract! {
    async fn what_is_old_is_purged_behind_opening_rows_and_every_sum_still_holds(shop: &Shop) {
        shop.stock(&[(1, 10), (2, 10), (3, 5)]).await;
        shop.sell("sold", &[(1, 3), (2, 1)]).await.unwrap();
        shop.sell("back", &[(1, 1)]).await.unwrap();
        shop.reback("back").await.unwrap();
        shop.sell("partly", &[(2, 4)]).await.unwrap();
        shop.reback_lines("partly", &[(2, 1)], "r-1").await.unwrap();
        shop.hold("called-off", &[(1, 1)], 60).await.unwrap();
        shop.cancel("called-off").await.unwrap();
        shop.cancel("never-seen").await.unwrap();
        shop.adjust(1, 4, "a-1").await.unwrap();
        assert_eq!(purged(shop).await, Purged::default(), "what is young was purged");
        age(shop).await;
        shop.sell("young", &[(1, 1)]).await.unwrap();
        shop.adjust(2, 1, "a-2").await.unwrap();
        assert_eq!(purged(shop).await, Purged { orders: 5, entries: 10, requests: 1 });
        for order_sn in ["sold", "back", "partly", "called-off", "never-seen"] {
            assert!(!is_known(shop, order_sn).await, "{order_sn} is on record still");
        }
        assert!(is_known(shop, "young").await);
        assert_eq!(rows(shop, 1).await, [(LedgerKind::Sell, "young".into(), -1, 10), opening(11)]);
        assert_eq!(rows(shop, 2).await, [(LedgerKind::Adjust, String::new(), 1, 7), opening(6)]);
        assert_eq!(rows(shop, 3).await, [opening(5)]);
        let on_hand = [shop.on_hand(1).await, shop.on_hand(2).await, shop.on_hand(3).await];
        assert_eq!(on_hand, [10, 7, 5]);
        assert_eq!(checked(shop, &[], false).await.figures(), (3, 0, 0));
        assert_eq!(purged(shop).await, Purged::default(), "purged twice");
    }

    async fn what_was_purged_is_as_if_it_had_never_been(shop: &Shop) {
        shop.stock(&[(1, 10)]).await;
        shop.sell("again", &[(1, 3)]).await.unwrap();
        shop.sell("back", &[(1, 1)]).await.unwrap();
        shop.adjust(1, 4, "a-1").await.unwrap();
        age(shop).await;
        purged(shop).await;
        assert!(!shop.sell("again", &[(1, 2)]).await.unwrap().replayed);
        let back = shop.reback("back").await.unwrap();
        assert_eq!((back.existed, back.order.unwrap().state()), (false, OrderState::Cancelled));
        assert!(!shop.adjust(1, 4, "a-1").await.unwrap().replayed);
        assert_eq!(shop.on_hand(1).await, 12);
        // And purged once more.
        age(shop).await;
        assert_eq!(purged(shop).await, Purged { orders: 2, entries: 3, requests: 1 });
        assert_eq!(rows(shop, 1).await, [opening(12)]);
    }

    async fn an_order_that_changed_lately_is_kept_with_its_rows_and_those_behind_them(shop: &Shop) {
        shop.stock(&[(1, 10), (2, 10)]).await;
        shop.sell("before", &[(1, 1), (2, 1)]).await.unwrap();
        shop.sell("kept", &[(1, 3)]).await.unwrap();
        shop.sell("behind", &[(1, 1), (2, 1)]).await.unwrap();
        age(shop).await;
        shop.reback_lines("kept", &[(1, 1)], "r-1").await.unwrap();
        assert_eq!(purged(shop).await.orders, 2);
        let expected = [
            (LedgerKind::Reback, "kept".into(), 1, 6),
            (LedgerKind::Sell, "behind".into(), -1, 5),
            (LedgerKind::Sell, "kept".into(), -3, 6),
            opening(9),
        ];
        assert_eq!(rows(shop, 1).await, expected);
        assert_eq!(rows(shop, 2).await, [opening(8)]);
        // Its return is known, and so is what is left of it.
        assert!(shop.reback_lines("kept", &[(1, 1)], "r-1").await.unwrap().replayed);
        shop.reback("kept").await.unwrap();
        assert_eq!(shop.on_hand(1).await, 8);
        age(shop).await;
        assert_eq!(purged(shop).await.orders, 1);
        assert_eq!(rows(shop, 1).await, [opening(8)]);
    }

    async fn an_order_is_kept_as_long_as_it_holds_pieces(shop: &Shop) {
        shop.stock(&[(1, 10)]).await;
        shop.hold("dead", &[(1, 3)], 60).await.unwrap();
        age(shop).await;
        assert_eq!(purged(shop).await.orders, 0);
        assert_eq!(shop.order("dead").await.unwrap().state(), OrderState::Expired);
        shop.inventory().sweep_once().await.unwrap();
        assert_eq!(purged(shop).await.orders, 1);
        assert!(!is_known(shop, "dead").await);
        assert_eq!(shop.get(1).await.available, 10);
    }

    async fn how_long_records_are_kept_is_configured(shop: &Shop) {
        shop.stock(&[(1, 10)]).await;
        shop.sell("o-1", &[(1, 1)]).await.unwrap();
        age(shop).await;
        let hot = InventoryHot::clone(&shop.settings().load());
        for (retention_days, orders) in [(101, 0), (99, 1)] {
            shop.settings().replace(InventoryHot { retention_days, ..hot.clone() });
            assert_eq!(purged(shop).await.orders, orders, "after {retention_days} days");
        }
    }

    async fn a_long_ledger_is_purged_part_by_part(shop: &Shop) {
        shop.stock(&[(1, 2_000), (2, 2_000)]).await;
        for n in 0..600 {
            shop.sell(&format!("o-{n}"), &[(1, 1), (2 - n % 2, 1)]).await.unwrap();
        }
        age(shop).await;
        shop.sell("young", &[(1, 1), (2, 1)]).await.unwrap();
        assert_eq!(purged(shop).await.orders, 600);
        for (goods_id, pieces) in [(1, 1_100), (2, 1_700)] {
            let young = (LedgerKind::Sell, "young".to_owned(), -1, pieces - 1);
            assert_eq!(rows(shop, goods_id).await, [young, opening(pieces)]);
        }
    }

    async fn replicas_that_purge_at_once_while_everybody_trades_do_no_harm(shop: &Shop) {
        shop.stock(&[(1, 100_000), (2, 100_000), (3, 100_000), (4, 100_000)]).await;
        for n in 0..300 {
            shop.sell(&format!("o-{n}"), &[(1, 1), (2 + n % 3, 1)]).await.unwrap();
        }
        age(shop).await;
        // SQLite has one replica.
        let others = if shop.backend == Backend::Sqlite {
            vec![]
        } else {
            vec![
                shop.another_replica(LockStrategy::RowLock).await,
                shop.another_replica(LockStrategy::GroupCommit).await,
            ]
        };
        let mut purgers = [shop.inventory(); 3];
        for (purger, other) in purgers.iter_mut().zip(&others) {
            *purger = &other.inventory;
        }
        let purging = async {
            for _ in 0..3 {
                for outcome in join_all(purgers.iter().map(|purger| purger.purge_once())).await {
                    outcome.unwrap();
                }
                assert_eq!(checked(shop, &[], false).await.figures(), (4, 0, 0));
            }
        };
        let kept = while_everybody_trades(shop, purging).await;
        // What rivals left to each other.
        purged(shop).await;
        let books = shop.books().await;
        assert!(!books.orders.keys().any(|sn| sn.starts_with(b"o-")), "an old order is on record still");
        assert_eq!(shop.on_hand(1).await, 100_000 - 300 - kept);
        for goods_id in 1..=4 {
            let openings = books.ledger.iter().filter(|row| row.1 == goods_id && row.3 == 6).count();
            assert_eq!(openings, 1, "goods {goods_id}");
        }
    }
}

/// An order in a state of a version to come.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_that_cannot_be_read_keeps_no_other_ledger_from_being_purged() {
    let shop = Shop::open(LockStrategy::GroupCommit, Backend::Sqlite).await;
    shop.stock(&[(1, 5), (2, 5)]).await;
    shop.sell("bad", &[(1, 1)]).await.unwrap();
    shop.sell("good", &[(2, 1)]).await.unwrap();
    age(&shop).await;
    shop.tamper("UPDATE orders SET state = 9, update_time = update_time + 8640000000 WHERE order_sn = x'626164'").await;
    assert_eq!(purged(&shop).await.entries, 2);
    assert_eq!(rows(&shop, 2).await, [opening(4)]);
    assert_eq!(rows(&shop, 1).await.len(), 2);
    // Among rows that stay for their age it is nothing to worry about.
    shop.tamper(
        "UPDATE ledger SET time = time + 8640000000 WHERE goods_id = 1 AND order_sn IS NOT NULL",
    )
    .await;
    assert_eq!(purged(&shop).await.entries, 1);
    shop.tamper("UPDATE orders SET state = 2 WHERE order_sn = x'626164'").await;
    shop.close().await;
}
