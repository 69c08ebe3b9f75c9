//! Rules of the category tree.

use crate::shop::{Shop, bad_fields, fields, hammer, mask, metadata, reason, refusal};
use proto::goods::v1::{
    BatchGetCategoriesRequest, Category, CreateCategoryRequest, DeleteCategoryRequest,
    DeleteGoodsRequest, GetCategoryRequest, ListCategoriesRequest, UpdateCategoryRequest,
};
use tonic::{Code, Status};

pub(crate) async fn get(shop: &Shop, id: i64) -> Category {
    let got = shop.categories().get_category(GetCategoryRequest { id }).await.unwrap();
    got.into_inner().category.unwrap()
}

pub(crate) async fn move_to(shop: &Shop, id: i64, parent_id: i64) -> Result<Category, Status> {
    let category = Some(Category { id, parent_id, ..Default::default() });
    let request = UpdateCategoryRequest { category, update_mask: mask(&["parent_id"]) };
    Ok(shop.categories().update_category(request).await?.into_inner().category.unwrap())
}

/// Ids and levels of what is listed under a parent.
pub(crate) async fn tree(shop: &Shop, parent_id: i64, depth: i32) -> Vec<(i64, i32)> {
    let request = ListCategoriesRequest { parent_id, depth };
    let got = shop.categories().list_categories(request).await.unwrap().into_inner();
    got.categories.iter().map(|category| (category.id, category.level)).collect()
}

async fn create(shop: &Shop, category: Category) -> Result<Category, Status> {
    let request = CreateCategoryRequest { category: Some(category), ..Default::default() };
    Ok(shop.categories().create_category(request).await?.into_inner().category.unwrap())
}

fn delete(id: i64) -> DeleteCategoryRequest {
    DeleteCategoryRequest { id, ..Default::default() }
}

contract! {
    async fn a_category_is_read_as_it_was_created(shop: &Shop) {
        let top =
            create(shop, Category { name: "Tools".into(), is_tab: true, ..Default::default() })
                .await
                .unwrap();
        assert_eq!(
            (top.parent_id, top.level, top.is_tab, top.name.as_str()),
            (0, 1, true, "Tools")
        );
        let child = create(
            shop,
            Category { name: "Hammers".into(), parent_id: top.id, ..Default::default() },
        )
        .await
        .unwrap();
        assert_eq!((child.parent_id, child.level, child.is_tab), (top.id, 2, false));
        assert_eq!(get(shop, child.id).await, child);
    }

    async fn a_bad_category_is_refused_with_its_fields(shop: &Shop) {
        let status =
            create(shop, Category { parent_id: -1, ..Default::default() }).await.unwrap_err();
        let expected =
            fields([("category.name", "INVALID_NAME"), ("category.parent_id", "INVALID_ID")]);
        assert_eq!(bad_fields(&status), expected);
        let orphan = Category { name: "x".into(), parent_id: 7, ..Default::default() };
        let status = create(shop, orphan).await.unwrap_err();
        assert_eq!(bad_fields(&status), fields([("category.parent_id", "CATEGORY_NOT_FOUND")]));
        let missing = shop.categories().get_category(GetCategoryRequest { id: 7 }).await;
        assert_eq!(refusal(missing), (Code::NotFound, "CATEGORY_NOT_FOUND".into()));
    }

    async fn the_tree_is_listed_parents_first(shop: &Shop) {
        let a = shop.category("a", 0).await;
        let b = shop.category("b", 0).await;
        let a1 = shop.category("a1", a).await;
        let b1 = shop.category("b1", b).await;
        let a11 = shop.category("a11", a1).await;
        let a2 = shop.category("a2", a).await;
        assert_eq!(tree(shop, 0, 0).await, [(a, 1), (a1, 2), (a11, 3), (a2, 2), (b, 1), (b1, 2)]);
        assert_eq!(tree(shop, 0, 1).await, [(a, 1), (b, 1)]);
        assert_eq!(tree(shop, a, 0).await, [(a1, 2), (a11, 3), (a2, 2)]);
        assert_eq!(tree(shop, a, 1).await, [(a1, 2), (a2, 2)]);
        assert_eq!(tree(shop, a11, 0).await, []);
        let status = shop
            .categories()
            .list_categories(ListCategoriesRequest { parent_id: 99, depth: 0 })
            .await
            .unwrap_err();
        assert_eq!(bad_fields(&status), fields([("parent_id", "CATEGORY_NOT_FOUND")]));
        let status = shop
            .categories()
            .list_categories(ListCategoriesRequest { parent_id: -1, depth: -1 })
            .await
            .unwrap_err();
        assert_eq!(
            bad_fields(&status),
            fields([("parent_id", "INVALID_ID"), ("depth", "INVALID_DEPTH")])
        );
    }

    async fn a_move_takes_along_what_is_under_it(shop: &Shop) {
        let a = shop.category("a", 0).await;
        let b = shop.category("b", a).await;
        let c = shop.category("c", b).await;
        let d = shop.category("d", 0).await;
        let moved = move_to(shop, b, d).await.unwrap();
        assert_eq!((moved.parent_id, moved.level), (d, 2));
        assert_eq!(tree(shop, 0, 0).await, [(a, 1), (d, 1), (b, 2), (c, 3)]);
        move_to(shop, d, a).await.unwrap();
        assert_eq!(tree(shop, 0, 0).await, [(a, 1), (d, 2), (b, 3), (c, 4)]);
        move_to(shop, b, 0).await.unwrap();
        assert_eq!(tree(shop, 0, 0).await, [(a, 1), (d, 2), (b, 1), (c, 2)]);
    }

    async fn a_category_never_stands_under_itself(shop: &Shop) {
        let a = shop.category("a", 0).await;
        let b = shop.category("b", a).await;
        let c = shop.category("c", b).await;
        for (category, parent) in [(a, a), (a, b), (a, c), (b, c)] {
            let status = move_to(shop, category, parent).await.unwrap_err();
            assert_eq!(bad_fields(&status), fields([("category.parent_id", "CATEGORY_CYCLE")]));
        }
        assert_eq!(tree(shop, 0, 0).await, [(a, 1), (b, 2), (c, 3)]);
        assert!(move_to(shop, c, b).await.is_ok(), "to where it stands already");
    }

    async fn the_tree_has_at_most_eight_levels(shop: &Shop) {
        let mut chain = vec![shop.category("1", 0).await];
        for level in 2..=8 {
            chain.push(shop.category(&level.to_string(), *chain.last().unwrap()).await);
        }
        let ninth = Category { name: "9".into(), parent_id: chain[7], ..Default::default() };
        let status = create(shop, ninth).await.unwrap_err();
        assert_eq!(bad_fields(&status), fields([("category.parent_id", "CATEGORY_TOO_DEEP")]));
        let other = shop.category("other", 0).await;
        let status = move_to(shop, chain[0], other).await.unwrap_err();
        assert_eq!(bad_fields(&status), fields([("category.parent_id", "CATEGORY_TOO_DEEP")]));
        let moved = move_to(shop, chain[1], other).await.unwrap();
        assert_eq!((moved.level, get(shop, chain[7]).await.level), (2, 8));
    }

    async fn a_category_is_renamed_where_it_stands(shop: &Shop) {
        let a = shop.category("a", 0).await;
        let before = get(shop, shop.category("b", a).await).await;
        let category = Category {
            id: before.id,
            name: "new".into(),
            etag: before.etag.clone(),
            ..Default::default()
        };
        let rename = |paths: &[&str]| UpdateCategoryRequest {
            category: Some(category.clone()),
            update_mask: mask(paths),
        };
        let after = shop
            .categories()
            .update_category(rename(&["name"]))
            .await
            .unwrap()
            .into_inner()
            .category
            .unwrap();
        assert_eq!((after.name.as_str(), after.parent_id, after.level), ("new", a, 2));
        let stale = shop.categories().update_category(rename(&["name"])).await;
        assert_eq!(refusal(stale), (Code::Aborted, "ETAG_MISMATCH".into()));
        let bad = shop.categories().update_category(rename(&["level"])).await;
        assert_eq!(refusal(bad), (Code::InvalidArgument, "UNKNOWN_MASK_PATH".into()));
        let missing = Category { id: 99, name: "x".into(), ..Default::default() };
        let request = UpdateCategoryRequest { category: Some(missing), update_mask: mask(&["*"]) };
        let refused = shop.categories().update_category(request).await;
        assert_eq!(refusal(refused), (Code::NotFound, "CATEGORY_NOT_FOUND".into()));
    }

    async fn a_tab_is_made_and_unmade(shop: &Shop) {
        let id = shop.category("a", 0).await;
        for is_tab in [true, false] {
            let category = Some(Category { id, is_tab, ..Default::default() });
            let request = UpdateCategoryRequest { category, update_mask: mask(&["is_tab"]) };
            let after = shop
                .categories()
                .update_category(request)
                .await
                .unwrap()
                .into_inner()
                .category
                .unwrap();
            assert_eq!((after.is_tab, after.name.as_str()), (is_tab, "a"));
        }
    }

    async fn a_category_with_something_in_it_is_not_deleted(shop: &Shop) {
        let a = shop.category("a", 0).await;
        let b = shop.category("b", a).await;
        shop.category("c", a).await;
        let goods = shop.add(hammer(a, shop.brand("Acme").await)).await;
        let status = shop.categories().delete_category(delete(a)).await.unwrap_err();
        assert_eq!(
            (status.code(), reason(&status).as_str()),
            (Code::FailedPrecondition, "CATEGORY_NOT_EMPTY")
        );
        assert_eq!(
            (metadata(&status, "children").as_str(), metadata(&status, "goods").as_str()),
            ("2", "1")
        );
        assert_eq!(shop.get(goods.id).await.category_id, a);
        shop.categories().delete_category(delete(b)).await.unwrap();
        let gone = shop.categories().delete_category(delete(b)).await;
        assert_eq!(refusal(gone), (Code::NotFound, "CATEGORY_NOT_FOUND".into()));
    }

    async fn what_was_deleted_does_not_keep_its_category(shop: &Shop) {
        let a = shop.category("a", 0).await;
        let b = shop.category("b", a).await;
        let goods = shop.add(hammer(a, shop.brand("Acme").await)).await;
        shop.goods()
            .delete_goods(DeleteGoodsRequest { id: goods.id, ..Default::default() })
            .await
            .unwrap();
        shop.categories().delete_category(delete(b)).await.unwrap();
        shop.categories().delete_category(delete(a)).await.unwrap();
        assert_eq!(tree(shop, 0, 0).await, []);
        let again = shop.category("a", 0).await;
        let under_deleted = move_to(shop, again, b).await.unwrap_err();
        assert_eq!(
            bad_fields(&under_deleted),
            fields([("category.parent_id", "CATEGORY_NOT_FOUND")])
        );
    }

    async fn a_stale_etag_refuses_a_delete(shop: &Shop) {
        let seen = get(shop, shop.category("a", 0).await).await;
        let category = Some(Category { id: seen.id, name: "b".into(), ..Default::default() });
        shop.categories()
            .update_category(UpdateCategoryRequest { category, update_mask: None })
            .await
            .unwrap();
        let request = DeleteCategoryRequest { id: seen.id, etag: seen.etag };
        assert_eq!(
            refusal(shop.categories().delete_category(request).await),
            (Code::Aborted, "ETAG_MISMATCH".into())
        );
    }

    async fn a_batch_keeps_the_order_and_tells_what_is_missing(shop: &Shop) {
        let (a, b) = (shop.category("a", 0).await, shop.category("b", 0).await);
        let request =
            |allow_missing| BatchGetCategoriesRequest { ids: vec![b, 99, a, b], allow_missing };
        let got = shop.categories().batch_get_categories(request(true)).await.unwrap().into_inner();
        let found: Vec<_> = got.categories.iter().map(|category| category.id).collect();
        assert_eq!((found, got.missing_ids), (vec![b, a], vec![99]));
        let refused = shop.categories().batch_get_categories(request(false)).await;
        assert_eq!(refusal(refused), (Code::NotFound, "CATEGORY_NOT_FOUND".into()));
    }
}
