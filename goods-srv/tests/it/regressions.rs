//! The defects of the system that this one follows, each as a test that they do not come back.

use crate::shop::{Shop, bad_fields, euros, fields, hammer, image, mask};
use proto::goods::v1::{Goods, GoodsFilter, ListGoodsRequest, UpdateGoodsRequest};

async fn update(shop: &Shop, goods: Goods, paths: &[&str]) -> Goods {
    let request = UpdateGoodsRequest { goods: Some(goods), update_mask: mask(paths) };
    shop.goods().update_goods(request).await.unwrap().into_inner().goods.unwrap()
}

contract! {
    /// Prices were 32-bit floats: 16777217 came back as 16777216.
    async fn a_price_comes_back_to_the_last_cent(shop: &Shop) {
        let template = shop.hammer().await;
        for (index, price) in [0, 1, 10, 16_777_217, 33_554_433, 999_999_999_999, 1_000_000_000_000]
            .into_iter()
            .enumerate()
        {
            let goods = Goods {
                goods_sn: index.to_string(),
                shop_price: Some(euros(price)),
                market_price: Some(euros(price)),
                ..template.clone()
            };
            let goods = shop.get(shop.add(goods).await.id).await;
            assert_eq!(
                (goods.shop_price, goods.market_price),
                (Some(euros(price)), Some(euros(price)))
            );
        }
        let too_much =
            Goods { goods_sn: "x".into(), shop_price: Some(euros(1_000_000_000_001)), ..template };
        let status = shop.try_add(too_much).await.unwrap_err();
        assert_eq!(
            bad_fields(&status),
            fields([("goods.shop_price.minor_units", "INVALID_PRICE")])
        );
    }

    /// `images` was filled from the description's images.
    async fn images_and_images_of_the_description_are_not_mixed_up(shop: &Shop) {
        let goods = Goods {
            front_image: Some(image("f")),
            images: vec![image("i2"), image("i1")],
            description_images: vec![image("d")],
            ..shop.hammer().await
        };
        let goods = shop.get(shop.add(goods).await.id).await;
        assert_eq!(goods.images, [image("i2"), image("i1")]);
        assert_eq!(goods.description_images, [image("d")]);
        let change = Goods { id: goods.id, images: vec![image("i3")], ..Default::default() };
        let goods = update(shop, change, &["images"]).await;
        assert_eq!((goods.images, goods.description_images), (vec![image("i3")], vec![image("d")]));
        assert_eq!(goods.front_image, Some(image("f")));
    }

    /// Flags were dropped when the category was set, and could never be set to false.
    async fn a_flag_is_set_and_unset_with_and_without_a_category(shop: &Shop) {
        let before = shop
            .add(Goods {
                is_new: true,
                is_hot: true,
                on_sale: true,
                ship_free: true,
                ..shop.hammer().await
            })
            .await;
        let other = shop.category("Other", 0).await;
        let moved = update(
            shop,
            Goods { id: before.id, category_id: other, ..Default::default() },
            &["category_id"],
        )
        .await;
        assert_eq!(
            (moved.category_id, moved.is_new, moved.is_hot, moved.on_sale, moved.ship_free),
            (other, true, true, true, true)
        );
        let unset = Goods { id: before.id, category_id: before.category_id, ..Default::default() };
        let unset = update(shop, unset, &["category_id", "is_new", "is_hot", "on_sale"]).await;
        assert_eq!(
            (unset.is_new, unset.is_hot, unset.on_sale, unset.ship_free),
            (false, false, false, true)
        );
        let set =
            update(shop, Goods { id: before.id, is_new: true, ..Default::default() }, &["is_new"])
                .await;
        assert_eq!((set.is_new, set.is_hot, set.category_id), (true, false, before.category_id));
    }

    /// A category that could not be found was ignored, and everything was listed.
    async fn a_filter_that_refers_to_nothing_does_not_list_everything(shop: &Shop) {
        shop.add(shop.hammer().await).await;
        let filter = Some(GoodsFilter {
            category_ids: vec![1, 98],
            brand_ids: vec![99],
            ..Default::default()
        });
        let request = ListGoodsRequest { filter, ..Default::default() };
        let status = shop.goods().list_goods(request).await.unwrap_err();
        let expected = fields([
            ("filter.category_ids", "CATEGORY_NOT_FOUND"),
            ("filter.brand_ids", "BRAND_NOT_FOUND"),
        ]);
        assert_eq!(bad_fields(&status), expected);
    }

    /// The total was that of the page.
    async fn the_total_counts_all_pages(shop: &Shop) {
        let template = shop.hammer().await;
        for sn in 0..7 {
            shop.add(Goods { goods_sn: sn.to_string(), on_sale: sn != 0, ..template.clone() })
                .await;
        }
        let filter = Some(GoodsFilter {
            on_sale: Some(true),
            category_ids: vec![template.category_id],
            ..Default::default()
        });
        let request = ListGoodsRequest {
            filter,
            page_size: 2,
            include_total_size: true,
            ..Default::default()
        };
        let first = shop.list(request.clone()).await;
        assert_eq!((first.goods.len(), first.total_size), (2, Some(6)));
        let second = shop
            .list(ListGoodsRequest { page_token: first.next_page_token, ..request.clone() })
            .await;
        assert_eq!((second.goods.len(), second.total_size), (2, Some(6)), "not what is left");
        assert_eq!(
            shop.list(ListGoodsRequest { include_total_size: false, ..request }).await.total_size,
            None
        );
    }

    /// Reading wrote the whole row back to count the click, over a concurrent change of the price.
    async fn reading_changes_nothing(shop: &Shop) {
        let created = shop.add(shop.hammer().await).await;
        for _ in 0..3 {
            assert_eq!(shop.get(created.id).await, created);
        }
        let listed = shop.list(ListGoodsRequest::default()).await.goods;
        assert_eq!(listed.as_slice(), std::slice::from_ref(&created));
        update(
            shop,
            Goods { id: created.id, etag: created.etag, brief: "x".into(), ..Default::default() },
            &[],
        )
        .await;
    }

    /// What looks like SQL is text, wherever a caller can put text.
    async fn text_that_looks_like_sql_is_text(shop: &Shop) {
        let evil = "'; DROP TABLE goods; -- \" ` \\' OR 1=1 /* */ %";
        let category = shop.category(evil, 0).await;
        let goods = Goods {
            name: evil.into(),
            goods_sn: evil.into(),
            brief: evil.into(),
            description: evil.into(),
            images: vec![proto::goods::v1::Image {
                url: "https://x/'\"\\".into(),
                alt: evil.into(),
            }],
            ..hammer(category, shop.brand(evil).await)
        };
        let created = shop.add(goods.clone()).await;
        assert_eq!(
            (&created.name, &created.description, &created.images),
            (&goods.name, &goods.description, &goods.images)
        );
        assert_eq!(
            (created.category.unwrap().name.as_str(), created.brand.unwrap().name.as_str()),
            (evil, evil)
        );
        shop.add(Goods {
            name: "plain".into(),
            goods_sn: "plain".into(),
            brief: String::new(),
            ..goods
        })
        .await;
        assert_eq!(
            shop.names(GoodsFilter { text: evil.into(), ..Default::default() }).await,
            [evil]
        );
        assert_eq!(
            shop.names(GoodsFilter { text: "' OR 1=1".into(), ..Default::default() }).await,
            [evil]
        );
        let mut request =
            ListGoodsRequest { order_by: "name".into(), page_size: 1, ..Default::default() };
        request.page_token = shop.list(request.clone()).await.next_page_token;
        assert_eq!(shop.list(request).await.goods[0].name, "plain");
    }
}
