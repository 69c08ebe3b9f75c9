//! Rules of creating, reading, changing and deleting goods.

use crate::shop::{bad_fields, euros, fields, hammer, image, mask, metadata, reason, refusal};
use proto::goods::v1::{
    BatchGetGoodsRequest, DeleteGoodsRequest, GetGoodsRequest, Goods, Money, UpdateGoodsRequest,
};
use tonic::Code;

fn update(goods: Goods, paths: &[&str]) -> UpdateGoodsRequest {
    UpdateGoodsRequest { goods: Some(goods), update_mask: mask(paths) }
}

contract! {
    async fn goods_are_read_as_they_were_created(shop: &Shop) {
        let sent = Goods {
            market_price: Some(euros(2499)),
            brief: "Hits nails".into(),
            description: "A hammer.\n\nIt hits nails.".into(),
            front_image: Some(image("front")),
            images: vec![image("b"), image("a")],
            description_images: vec![image("d")],
            on_sale: true,
            ship_free: true,
            is_new: true,
            is_hot: true,
            ..shop.hammer().await
        };
        let created = shop.add(sent.clone()).await;
        assert!(created.id > 0 && !created.etag.is_empty());
        assert!(created.create_time.is_some() && created.create_time == created.update_time);
        assert_eq!(created.delete_time, None);
        assert_eq!(created.category.clone().unwrap().name, "Tools");
        assert_eq!(created.brand.clone().unwrap().name, "Acme");
        assert_eq!(shop.get(created.id).await, created);
        let written = Goods {
            id: created.id,
            category: created.category.clone(),
            brand: created.brand.clone(),
            etag: created.etag.clone(),
            create_time: created.create_time,
            update_time: created.update_time,
            ..sent
        };
        assert_eq!(created, written);
    }

    async fn what_only_the_service_writes_is_ignored_in_a_create(shop: &Shop) {
        let goods = Goods { id: 77, sold_num: 9, etag: "v7".into(), ..shop.hammer().await };
        let created = shop.add(goods).await;
        assert_eq!((created.id, created.sold_num), (1, 0));
    }

    async fn outer_spaces_of_texts_are_cut_off(shop: &Shop) {
        let goods =
            Goods { name: "  Hammer ".into(), goods_sn: " H-1".into(), ..shop.hammer().await };
        let created = shop.add(goods).await;
        assert_eq!((created.name.as_str(), created.goods_sn.as_str()), ("Hammer", "H-1"));
    }

    async fn every_bad_field_of_a_create_is_named(shop: &Shop) {
        let status = shop.try_add(Goods::default()).await.unwrap_err();
        let expected = fields([
            ("goods.name", "INVALID_NAME"),
            ("goods.goods_sn", "INVALID_GOODS_SN"),
            ("goods.category_id", "INVALID_ID"),
            ("goods.brand_id", "INVALID_ID"),
            ("goods.shop_price", "INVALID_PRICE"),
        ]);
        assert_eq!(bad_fields(&status), expected);
        assert_eq!(
            (reason(&status).as_str(), metadata(&status, "total").as_str()),
            ("INVALID_NAME", "5")
        );
        let mut bad = image("x");
        bad.url = "javascript:alert(1)".into();
        let goods = Goods {
            name: "n".repeat(101),
            goods_sn: "a\nb".into(),
            shop_price: Some(Money { minor_units: -1, currency_code: "eur".into() }),
            brief: "b".repeat(201),
            description: "d".repeat(10_001),
            front_image: Some(bad.clone()),
            images: vec![image("a"), bad],
            description_images: vec![image("a"); 17],
            ..hammer(1, 1)
        };
        let expected = fields([
            ("goods.name", "INVALID_NAME"),
            ("goods.goods_sn", "INVALID_GOODS_SN"),
            ("goods.shop_price.minor_units", "INVALID_PRICE"),
            ("goods.shop_price.currency_code", "INVALID_CURRENCY"),
            ("goods.brief", "INVALID_TEXT"),
            ("goods.description", "INVALID_TEXT"),
            ("goods.front_image.url", "INVALID_IMAGE"),
            ("goods.images[1].url", "INVALID_IMAGE"),
            ("goods.description_images", "TOO_MANY_IMAGES"),
        ]);
        assert_eq!(bad_fields(&shop.try_add(goods).await.unwrap_err()), expected);
    }

    async fn a_category_or_brand_that_is_not_there_is_a_bad_field(shop: &Shop) {
        let status = shop.try_add(hammer(7, 8)).await.unwrap_err();
        let expected = fields([
            ("goods.category_id", "CATEGORY_NOT_FOUND"),
            ("goods.brand_id", "BRAND_NOT_FOUND"),
        ]);
        assert_eq!(bad_fields(&status), expected);
    }

    async fn a_goods_sn_is_taken_until_its_goods_are_deleted(shop: &Shop) {
        let first = shop.add(shop.hammer().await).await;
        let again = hammer(first.category_id, first.brand_id);
        let status = shop.try_add(again.clone()).await.unwrap_err();
        assert_eq!(
            (status.code(), reason(&status).as_str()),
            (Code::AlreadyExists, "GOODS_SN_TAKEN")
        );
        let delete = DeleteGoodsRequest { id: first.id, ..Default::default() };
        shop.goods().delete_goods(delete).await.unwrap();
        let second = shop.add(again.clone()).await;
        assert_ne!(second.id, first.id);
        let other = shop.add(Goods { goods_sn: "H-2".into(), ..again }).await;
        let rename = Goods { id: other.id, goods_sn: "H-1".into(), ..Default::default() };
        let refused = shop.goods().update_goods(update(rename, &["goods_sn"])).await;
        assert_eq!(refusal(refused), (Code::AlreadyExists, "GOODS_SN_TAKEN".into()));
    }

    async fn deleted_goods_are_gone_for_every_reader_and_writer(shop: &Shop) {
        let goods = shop.add(shop.hammer().await).await;
        let id = goods.id;
        let delete = DeleteGoodsRequest { id, ..Default::default() };
        shop.goods().delete_goods(delete.clone()).await.unwrap();
        let gone = (Code::NotFound, "GOODS_NOT_FOUND".to_owned());
        assert_eq!(refusal(shop.goods().get_goods(GetGoodsRequest { id }).await), gone);
        assert_eq!(refusal(shop.goods().update_goods(update(goods, &["name"])).await), gone);
        assert_eq!(refusal(shop.goods().delete_goods(delete).await), gone);
        assert!(shop.names(Default::default()).await.is_empty());
    }

    async fn an_id_that_is_none_is_refused(shop: &Shop) {
        let bad = (Code::InvalidArgument, "INVALID_ID".to_owned());
        assert_eq!(refusal(shop.goods().get_goods(GetGoodsRequest { id: 0 }).await), bad);
        assert_eq!(refusal(shop.goods().delete_goods(DeleteGoodsRequest::default()).await), bad);
        let status =
            shop.goods().update_goods(update(Goods::default(), &["on_sale"])).await.unwrap_err();
        assert_eq!(bad_fields(&status), fields([("goods.id", "INVALID_ID")]));
    }

    async fn an_update_writes_the_fields_of_its_mask_and_no_other(shop: &Shop) {
        let before =
            shop.add(Goods { on_sale: true, brief: "old".into(), ..shop.hammer().await }).await;
        let change = Goods {
            id: before.id,
            name: "Mallet".into(),
            brief: "new".into(),
            ..Default::default()
        };
        let after = shop
            .goods()
            .update_goods(update(change, &["name"]))
            .await
            .unwrap()
            .into_inner()
            .goods
            .unwrap();
        assert_ne!(after.etag, before.etag);
        let expected = Goods {
            name: "Mallet".into(),
            etag: after.etag.clone(),
            update_time: after.update_time,
            ..before
        };
        assert_eq!(after, expected);
        assert_eq!(shop.get(after.id).await, after);
    }

    async fn a_star_replaces_every_field(shop: &Shop) {
        let before = shop
            .add(Goods {
                market_price: Some(euros(2)),
                front_image: Some(image("f")),
                images: vec![image("a")],
                is_hot: true,
                ..shop.hammer().await
            })
            .await;
        let change = Goods {
            id: before.id,
            name: "Mallet".into(),
            ..hammer(before.category_id, before.brand_id)
        };
        let after = shop
            .goods()
            .update_goods(update(change, &["*"]))
            .await
            .unwrap()
            .into_inner()
            .goods
            .unwrap();
        assert_eq!(
            (after.name.as_str(), after.is_hot, after.market_price),
            ("Mallet", false, None)
        );
        assert_eq!((after.front_image, after.images.len()), (None, 0));
        // What a create would refuse, a replacement refuses.
        let empty = Goods { id: before.id, ..Default::default() };
        let status = shop.goods().update_goods(update(empty, &["*"])).await.unwrap_err();
        assert_eq!(bad_fields(&status).len(), 5);
    }

    async fn without_a_mask_the_fields_that_are_set_are_written(shop: &Shop) {
        let before = shop.add(Goods { on_sale: true, ..shop.hammer().await }).await;
        let change = Goods { id: before.id, brief: "new".into(), ..Default::default() };
        let after = shop
            .goods()
            .update_goods(update(change, &[]))
            .await
            .unwrap()
            .into_inner()
            .goods
            .unwrap();
        assert_eq!((after.brief.as_str(), after.on_sale, after.name), ("new", true, before.name));
        let nothing = Goods { id: before.id, ..Default::default() };
        let refused = shop.goods().update_goods(update(nothing, &[])).await;
        assert_eq!(refusal(refused), (Code::InvalidArgument, "EMPTY_UPDATE".into()));
    }

    async fn a_mask_that_names_no_writable_field_is_refused(shop: &Shop) {
        let goods = shop.add(shop.hammer().await).await;
        for path in [
            "nonsense",
            "id",
            "etag",
            "sold_num",
            "shop_price.minor_units",
            "name; DROP TABLE goods",
            "",
        ] {
            let status = shop
                .goods()
                .update_goods(update(goods.clone(), &["name", path]))
                .await
                .unwrap_err();
            assert_eq!(
                bad_fields(&status),
                fields([("update_mask", "UNKNOWN_MASK_PATH")]),
                "{path}"
            );
        }
    }

    async fn an_etag_that_is_stale_refuses_the_write(shop: &Shop) {
        let seen = shop.add(shop.hammer().await).await;
        let change = |etag: &str, name: &str| {
            update(
                Goods { id: seen.id, etag: etag.into(), name: name.into(), ..Default::default() },
                &["name"],
            )
        };
        shop.goods().update_goods(change(&seen.etag, "Mallet")).await.unwrap();
        let status = shop.goods().update_goods(change(&seen.etag, "Axe")).await.unwrap_err();
        assert_eq!((status.code(), reason(&status).as_str()), (Code::Aborted, "ETAG_MISMATCH"));
        let now = shop.get(seen.id).await;
        assert_eq!((now.name.as_str(), metadata(&status, "etag")), ("Mallet", now.etag.clone()));
        let delete = |etag: &str| DeleteGoodsRequest { id: seen.id, etag: etag.into() };
        for stale in [seen.etag.as_str(), "nonsense"] {
            let refused = shop.goods().delete_goods(delete(stale)).await;
            assert_eq!(refusal(refused), (Code::Aborted, "ETAG_MISMATCH".into()));
        }
        shop.goods().delete_goods(delete(&now.etag)).await.unwrap();
    }

    async fn a_market_price_has_the_currency_of_the_shop_price(shop: &Shop) {
        let dollars = |minor_units| Some(Money { minor_units, currency_code: "USD".into() });
        let mixed = Goods { market_price: dollars(1), ..shop.hammer().await };
        let refused = fields([("goods.market_price.currency_code", "INVALID_CURRENCY")]);
        assert_eq!(bad_fields(&shop.try_add(mixed.clone()).await.unwrap_err()), refused);
        let goods = shop.add(Goods { market_price: Some(euros(5)), ..mixed }).await;
        let change = Goods {
            id: goods.id,
            shop_price: dollars(3),
            market_price: dollars(4),
            ..Default::default()
        };
        let status =
            shop.goods().update_goods(update(change.clone(), &["shop_price"])).await.unwrap_err();
        assert_eq!(bad_fields(&status), refused);
        let both = update(change, &["shop_price", "market_price"]);
        let after = shop.goods().update_goods(both).await.unwrap().into_inner().goods.unwrap();
        assert_eq!((after.shop_price, after.market_price), (dollars(3), dollars(4)));
    }

    async fn a_batch_keeps_the_order_and_tells_what_is_missing(shop: &Shop) {
        let goods = shop.hammer().await;
        let mut ids = Vec::new();
        for sn in ["1", "2", "3"] {
            ids.push(shop.add(Goods { goods_sn: sn.into(), ..goods.clone() }).await.id);
        }
        let asked = vec![ids[2], 99, ids[0], ids[2], 98];
        let request = BatchGetGoodsRequest { ids: asked.clone(), allow_missing: true };
        let got = shop.goods().batch_get_goods(request).await.unwrap().into_inner();
        let found: Vec<_> = got.goods.iter().map(|goods| goods.id).collect();
        assert_eq!((found, got.missing_ids), (vec![ids[2], ids[0]], vec![99, 98]));
        let strict = BatchGetGoodsRequest { ids: asked, allow_missing: false };
        let status = shop.goods().batch_get_goods(strict).await.unwrap_err();
        assert_eq!((status.code(), reason(&status).as_str()), (Code::NotFound, "GOODS_NOT_FOUND"));
        assert_eq!(metadata(&status, "ids"), "99,98");
        let none = shop
            .goods()
            .batch_get_goods(BatchGetGoodsRequest::default())
            .await
            .unwrap()
            .into_inner();
        assert!(none.goods.is_empty() && none.missing_ids.is_empty());
    }

    async fn a_batch_names_its_bad_ids_and_has_a_bound(shop: &Shop) {
        let bad = BatchGetGoodsRequest { ids: vec![1, -1, 0], ..Default::default() };
        let status = shop.goods().batch_get_goods(bad).await.unwrap_err();
        assert_eq!(
            bad_fields(&status),
            fields([("ids[1]", "INVALID_ID"), ("ids[2]", "INVALID_ID")])
        );
        let long = BatchGetGoodsRequest { ids: (1..=101).collect(), ..Default::default() };
        let refused = shop.goods().batch_get_goods(long).await;
        assert_eq!(refusal(refused), (Code::InvalidArgument, "TOO_MANY_IDS".into()));
    }

    /// Trailers stay below what clients accept, however much is missing.
    async fn a_batch_of_which_all_is_missing_lists_the_first(shop: &Shop) {
        let request = BatchGetGoodsRequest { ids: (1..=100).collect(), ..Default::default() };
        let status = shop.goods().batch_get_goods(request).await.unwrap_err();
        assert_eq!(metadata(&status, "ids").split(',').count(), 20);
        assert_eq!(
            (metadata(&status, "total").as_str(), metadata(&status, "truncated").as_str()),
            ("100", "true")
        );
    }
}
