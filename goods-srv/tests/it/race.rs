//! Writers at the same time. All start at a barrier; what must hold is checked when all are done.

use crate::category::{get, move_to, tree};
use crate::shop::{Shop, hammer, mask, reason};
use proto::goods::v1::{
    Brand, CreateBrandRequest, DeleteBrandRequest, DeleteCategoryRequest, Goods, GoodsFilter,
    UpdateGoodsRequest,
};
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::Barrier;
use tonic::{Code, Status};

/// Runs all of `calls` at once.
async fn at_once<T>(calls: Vec<impl Future<Output = T>>) -> Vec<T> {
    let barrier = Arc::new(Barrier::new(calls.len()));
    let held = calls.into_iter().map(|call| {
        let barrier = Arc::clone(&barrier);
        async move {
            barrier.wait().await;
            call.await
        }
    });
    futures::future::join_all(held).await
}

/// Every category reaches the top by its parents, and its level is the number of steps.
async fn is_a_tree(shop: &Shop, ids: &[i64]) {
    let listed = tree(shop, 0, 0).await;
    assert_eq!(listed.len(), ids.len(), "a category that hangs on no top is not listed");
    let mut nodes = HashMap::new();
    for id in ids {
        nodes.insert(*id, get(shop, *id).await);
    }
    for node in nodes.values() {
        let (mut level, mut parent) = (1, node.parent_id);
        while parent != 0 {
            level += 1;
            assert!(level <= 8, "a circle through {}", node.id);
            parent = nodes[&parent].parent_id;
        }
        assert_eq!(node.level, level, "level of {}", node.id);
    }
}

fn refused_or_done<T>(answer: Result<T, Status>, reasons: &[&str]) -> bool {
    match answer {
        Ok(_) => true,
        Err(status) => {
            let reason = reason(&status);
            assert!(reasons.contains(&reason.as_str()), "{status}");
            false
        }
    }
}

contract! {
    /// a under b and b under a at once: each alone is right, both are a circle.
    async fn concurrent_moves_never_form_a_cycle(shop: &Shop) {
        let mut ids = Vec::new();
        for name in ["a", "b", "c", "d", "e", "f"] {
            ids.push(shop.category(name, 0).await);
        }
        for round in 0..6 {
            let moves = (0..ids.len())
                .map(|at| move_to(shop, ids[at], ids[(at + 1 + round) % ids.len()]))
                .collect();
            for answer in at_once(moves).await {
                refused_or_done(answer, &["CATEGORY_CYCLE", "CATEGORY_TOO_DEEP"]);
            }
            is_a_tree(shop, &ids).await;
        }
    }

    async fn a_category_is_not_deleted_under_goods_that_come_at_the_same_time(shop: &Shop) {
        let brand = shop.brand("Acme").await;
        for round in 0..8 {
            let category = shop.category(&format!("c{round}"), 0).await;
            let goods = Goods { goods_sn: round.to_string(), ..hammer(category, brand) };
            let mut client = shop.categories();
            let delete = client
                .delete_category(DeleteCategoryRequest { id: category, ..Default::default() });
            let barrier = Barrier::new(2);
            let (added, deleted) = tokio::join!(
                async {
                    barrier.wait().await;
                    shop.try_add(goods).await
                },
                async {
                    barrier.wait().await;
                    delete.await
                },
            );
            let added = refused_or_done(added, &["CATEGORY_NOT_FOUND"]);
            let deleted = refused_or_done(deleted, &["CATEGORY_NOT_EMPTY"]);
            assert_ne!(added, deleted, "one of the two, in round {round}");
        }
    }

    async fn a_brand_is_not_deleted_under_goods_that_come_at_the_same_time(shop: &Shop) {
        let category = shop.category("Tools", 0).await;
        for round in 0..8 {
            let brand = shop.brand(&format!("b{round}")).await;
            let goods = Goods { goods_sn: round.to_string(), ..hammer(category, brand) };
            let mut client = shop.brands();
            let delete =
                client.delete_brand(DeleteBrandRequest { id: brand, ..Default::default() });
            let barrier = Barrier::new(2);
            let (added, deleted) = tokio::join!(
                async {
                    barrier.wait().await;
                    shop.try_add(goods).await
                },
                async {
                    barrier.wait().await;
                    delete.await
                },
            );
            let added = refused_or_done(added, &["BRAND_NOT_FOUND"]);
            let deleted = refused_or_done(deleted, &["BRAND_IN_USE"]);
            assert_ne!(added, deleted, "one of the two, in round {round}");
        }
    }

    async fn one_of_many_gets_a_name(shop: &Shop) {
        let calls = (0..12).map(|_| async {
            let brand = Some(Brand { name: "Acme".into(), ..Default::default() });
            shop.brands().create_brand(CreateBrandRequest { brand, ..Default::default() }).await
        });
        let answers = at_once(calls.collect()).await;
        let won = answers.into_iter().filter(|answer| match answer {
            Ok(_) => true,
            Err(status) => {
                assert_eq!(
                    (status.code(), reason(status).as_str()),
                    (Code::AlreadyExists, "BRAND_NAME_TAKEN")
                );
                false
            }
        });
        assert_eq!(won.count(), 1);
    }

    /// Writers of different fields do not overwrite each other, and of those with the same etag one wins.
    async fn no_update_is_lost(shop: &Shop) {
        let goods = shop.add(shop.hammer().await).await;
        let id = goods.id;
        let write = |change: Goods, path: &'static str| async move {
            let request = UpdateGoodsRequest {
                goods: Some(Goods { id, ..change }),
                update_mask: mask(&[path]),
            };
            shop.goods().update_goods(request).await
        };
        let changes = [
            (Goods { name: "new".into(), ..Default::default() }, "name"),
            (Goods { brief: "new".into(), ..Default::default() }, "brief"),
            (Goods { on_sale: true, ..Default::default() }, "on_sale"),
            (Goods { is_hot: true, ..Default::default() }, "is_hot"),
        ];
        let calls = changes.into_iter().map(|(change, path)| write(change, path)).collect();
        for answer in at_once(calls).await {
            answer.unwrap();
        }
        let now = shop.get(id).await;
        assert_eq!(
            (now.name.as_str(), now.brief.as_str(), now.on_sale, now.is_hot),
            ("new", "new", true, true)
        );
        let calls = (0..8).map(|number| {
            let change =
                Goods { brief: number.to_string(), etag: now.etag.clone(), ..Default::default() };
            write(change, "brief")
        });
        let answers = at_once(calls.collect()).await;
        let won = answers.into_iter().filter(|answer| match answer {
            Ok(_) => true,
            Err(status) => {
                assert_eq!(reason(status), "ETAG_MISMATCH");
                false
            }
        });
        assert_eq!(won.count(), 1);
    }

    async fn goods_added_at_the_same_time_are_all_there(shop: &Shop) {
        let template = shop.hammer().await;
        let calls = (0..16)
            .map(|sn: i32| shop.try_add(Goods { goods_sn: sn.to_string(), ..template.clone() }));
        for answer in at_once(calls.collect()).await {
            answer.unwrap();
        }
        assert_eq!(shop.names(GoodsFilter::default()).await.len(), 16);
    }
}
