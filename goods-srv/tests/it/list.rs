//! Which goods a filter lets through, and in which order.

use crate::shop::{Shop, bad_fields, euros, fields, hammer};
use proto::goods::v1::{
    Category, Goods, GoodsFilter, ListGoodsRequest, Money, PriceRange, UpdateCategoryRequest,
};

/// Tools > Hammers, Food; brands Acme, Other; four goods.
async fn fill(shop: &Shop) -> ([i64; 3], [i64; 2]) {
    let tools = shop.category("Tools", 0).await;
    let hammers = shop.category("Hammers", tools).await;
    let food = shop.category("Food", 0).await;
    let (acme, other) = (shop.brand("Acme").await, shop.brand("Other").await);
    let goods = |name: &str, category, brand, price| Goods {
        name: name.into(),
        goods_sn: format!("SN-{name}"),
        shop_price: Some(euros(price)),
        ..hammer(category, brand)
    };
    shop.add(Goods {
        on_sale: true,
        is_hot: true,
        brief: "50% off".into(),
        ..goods("Saw", tools, acme, 300)
    })
    .await;
    shop.add(Goods { on_sale: true, is_new: true, ..goods("Mallet", hammers, other, 100) }).await;
    shop.add(Goods { ship_free: true, ..goods("apple", food, other, 100) }).await;
    let dollars = Some(Money { minor_units: 1, currency_code: "USD".into() });
    shop.add(Goods {
        shop_price: dollars, brief: "été".into(), ..goods("Äxe", hammers, acme, 0)
    })
    .await;
    ([tools, hammers, food], [acme, other])
}

fn range(minimum: Option<i64>, maximum: Option<i64>) -> GoodsFilter {
    let shop_price = Some(PriceRange {
        currency_code: "EUR".into(),
        minimum_minor_units: minimum,
        maximum_minor_units: maximum,
    });
    GoodsFilter { shop_price, ..Default::default() }
}

fn text(text: &str) -> GoodsFilter {
    GoodsFilter { text: text.into(), ..Default::default() }
}

contract! {
    async fn a_category_lets_through_what_is_under_it(shop: &Shop) {
        let ([tools, hammers, food], _) = fill(shop).await;
        let of = |category_ids| GoodsFilter { category_ids, ..Default::default() };
        assert_eq!(shop.names(of(vec![tools])).await, ["Saw", "Mallet", "Äxe"]);
        assert_eq!(shop.names(of(vec![hammers])).await, ["Mallet", "Äxe"]);
        assert_eq!(shop.names(of(vec![food, hammers])).await, ["Mallet", "apple", "Äxe"]);
        assert_eq!(shop.names(of(vec![])).await.len(), 4);
        let empty = shop.category("Empty", 0).await;
        assert!(shop.names(of(vec![empty])).await.is_empty());
    }

    async fn fields_of_a_filter_narrow_each_other(shop: &Shop) {
        let ([tools, ..], [acme, other]) = fill(shop).await;
        let of = |brand_ids| GoodsFilter { brand_ids, ..Default::default() };
        assert_eq!(shop.names(of(vec![acme])).await, ["Saw", "Äxe"]);
        assert_eq!(shop.names(of(vec![acme, other])).await.len(), 4);
        let both =
            GoodsFilter { category_ids: vec![tools], brand_ids: vec![other], ..Default::default() };
        assert_eq!(shop.names(both.clone()).await, ["Mallet"]);
        assert!(shop.names(GoodsFilter { text: "saw".into(), ..both }).await.is_empty());
    }

    async fn a_price_range_holds_both_its_ends_and_one_currency(shop: &Shop) {
        fill(shop).await;
        assert_eq!(shop.names(range(Some(100), Some(300))).await, ["Saw", "Mallet", "apple"]);
        assert_eq!(shop.names(range(Some(101), None)).await, ["Saw"]);
        assert_eq!(shop.names(range(None, Some(299))).await, ["Mallet", "apple"]);
        assert!(shop.names(range(Some(301), None)).await.is_empty());
    }

    async fn flags_are_true_false_or_of_no_matter(shop: &Shop) {
        fill(shop).await;
        let none = GoodsFilter::default();
        assert_eq!(
            shop.names(GoodsFilter { on_sale: Some(true), ..none.clone() }).await,
            ["Saw", "Mallet"]
        );
        assert_eq!(
            shop.names(GoodsFilter { on_sale: Some(false), ..none.clone() }).await,
            ["apple", "Äxe"]
        );
        assert_eq!(shop.names(GoodsFilter { is_hot: Some(true), ..none.clone() }).await, ["Saw"]);
        assert_eq!(
            shop.names(GoodsFilter { is_new: Some(true), ..none.clone() }).await,
            ["Mallet"]
        );
        assert_eq!(
            shop.names(GoodsFilter { ship_free: Some(true), ..none.clone() }).await,
            ["apple"]
        );
        assert_eq!(
            shop.names(GoodsFilter { ship_free: Some(false), on_sale: Some(false), ..none }).await,
            ["Äxe"]
        );
    }

    async fn goods_of_tabs_are_listed(shop: &Shop) {
        let ([tools, ..], _) = fill(shop).await;
        let category = Some(Category { id: tools, is_tab: true, ..Default::default() });
        shop.categories()
            .update_category(UpdateCategoryRequest { category, update_mask: None })
            .await
            .unwrap();
        assert_eq!(
            shop.names(GoodsFilter { is_tab: Some(true), ..Default::default() }).await,
            ["Saw"]
        );
        assert_eq!(
            shop.names(GoodsFilter { is_tab: Some(false), ..Default::default() }).await.len(),
            3
        );
    }

    async fn text_is_found_whatever_its_case_in_name_number_and_brief(shop: &Shop) {
        fill(shop).await;
        assert_eq!(shop.names(text("SAW")).await, ["Saw"]);
        assert_eq!(shop.names(text("äX")).await, ["Äxe"]);
        assert_eq!(shop.names(text("ÉTÉ")).await, ["Äxe"]);
        assert_eq!(shop.names(text("sn-m")).await, ["Mallet"]);
        assert_eq!(
            shop.names(text("ax")).await,
            Vec::<String>::new(),
            "another letter is another text"
        );
        assert_eq!(shop.names(text("  ")).await.len(), 4);
        assert_eq!(shop.names(text("saw sn")).await, Vec::<String>::new(), "not across fields");
    }

    async fn characters_of_patterns_stand_for_themselves(shop: &Shop) {
        let ([tools, ..], [acme, _]) = fill(shop).await;
        for (sn, name) in [
            ("1", "a_c"),
            ("2", "abc"),
            ("3", "wow!"),
            ("4", "back\\slash"),
            ("5", "o'neill"),
            ("6", "x[y]*?"),
        ] {
            shop.add(Goods { name: name.into(), goods_sn: sn.into(), ..hammer(tools, acme) }).await;
        }
        assert_eq!(shop.names(text("%")).await, ["Saw"]);
        assert_eq!(shop.names(text("0% o")).await, ["Saw"]);
        assert_eq!(shop.names(text("a_c")).await, ["a_c"]);
        assert_eq!(shop.names(text("w!")).await, ["wow!"]);
        assert_eq!(shop.names(text("k\\s")).await, ["back\\slash"]);
        assert_eq!(shop.names(text("\\")).await, ["back\\slash"]);
        assert_eq!(shop.names(text("'")).await, ["o'neill"]);
        assert_eq!(shop.names(text("[y]*?")).await, ["x[y]*?"]);
    }

    async fn goods_are_sorted_as_asked(shop: &Shop) {
        fill(shop).await;
        for (order_by, expected) in [
            ("", ["Äxe", "apple", "Mallet", "Saw"]),
            ("id", ["Saw", "Mallet", "apple", "Äxe"]),
            ("name", ["apple", "Mallet", "Saw", "Äxe"]),
            ("name desc", ["Äxe", "Saw", "Mallet", "apple"]),
            ("shop_price", ["Mallet", "apple", "Saw", "Äxe"]),
            ("shop_price  desc", ["Äxe", "Saw", "apple", "Mallet"]),
            ("id asc", ["Saw", "Mallet", "apple", "Äxe"]),
        ] {
            let request = ListGoodsRequest { order_by: order_by.into(), ..Default::default() };
            let names: Vec<_> =
                shop.list(request).await.goods.into_iter().map(|goods| goods.name).collect();
            assert_eq!(names, expected, "{order_by}");
        }
    }

    async fn every_bad_field_of_a_list_is_named(shop: &Shop) {
        let filter = GoodsFilter {
            category_ids: vec![0],
            brand_ids: (1..=51).collect(),
            shop_price: Some(PriceRange {
                currency_code: "EUR".into(),
                minimum_minor_units: Some(2),
                maximum_minor_units: Some(1),
            }),
            text: "x".repeat(101),
            ..Default::default()
        };
        let request = ListGoodsRequest {
            filter: Some(filter),
            order_by: "name, id".into(),
            page_size: -1,
            page_token: "x".into(),
            include_total_size: true,
        };
        let status = shop.goods().list_goods(request).await.unwrap_err();
        let expected = fields([
            ("page_size", "INVALID_PAGE_SIZE"),
            ("order_by", "UNKNOWN_ORDER"),
            ("page_token", "INVALID_PAGE_TOKEN"),
            ("filter.category_ids[0]", "INVALID_ID"),
            ("filter.brand_ids", "TOO_MANY_IDS"),
            ("filter.shop_price.maximum_minor_units", "INVALID_PRICE"),
            ("filter.text", "INVALID_TEXT"),
        ]);
        assert_eq!(bad_fields(&status), expected);
        let no_currency =
            GoodsFilter { shop_price: Some(PriceRange::default()), ..Default::default() };
        let request = ListGoodsRequest { filter: Some(no_currency), ..Default::default() };
        let status = shop.goods().list_goods(request).await.unwrap_err();
        assert_eq!(
            bad_fields(&status),
            fields([("filter.shop_price.currency_code", "INVALID_CURRENCY")])
        );
    }

    async fn an_order_that_is_none_never_reaches_the_database(shop: &Shop) {
        for order_by in
            ["created", "ID", "id desc, name", "id; DROP TABLE goods", "g.id", "id descending"]
        {
            let request = ListGoodsRequest { order_by: order_by.into(), ..Default::default() };
            let status = shop.goods().list_goods(request).await.unwrap_err();
            assert_eq!(bad_fields(&status), fields([("order_by", "UNKNOWN_ORDER")]), "{order_by}");
        }
    }
}
