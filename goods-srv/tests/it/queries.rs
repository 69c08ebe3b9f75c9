//! How many statements a call sends does not grow with what it answers. (The system that this one follows read the
//! category and the brand of each row on its own.)

use crate::shop::{Shop, hammer};
use proto::goods::v1::{
    BatchGetBrandsRequest, BatchGetCategoriesRequest, BatchGetGoodsRequest, Goods, GoodsFilter,
    ListBrandsRequest, ListCategoriesRequest, ListGoodsRequest,
};

/// How many statements `call` sent.
async fn cost<T>(shop: &Shop, call: impl Future<Output = T>) -> u64 {
    let before = shop.store.statements();
    call.await;
    shop.store.statements() - before
}

/// Adds goods with a category and a brand of each one's own; answers the ids of all.
async fn grow(shop: &Shop, numbers: std::ops::Range<i32>) -> (Vec<i64>, Vec<i64>, Vec<i64>) {
    let (mut goods, mut categories, mut brands) = (Vec::new(), Vec::new(), Vec::new());
    for number in numbers {
        let category = shop.category(&format!("c{number}"), 0).await;
        let brand = shop.brand(&format!("b{number}")).await;
        let new = Goods { goods_sn: number.to_string(), ..hammer(category, brand) };
        goods.push(shop.add(new).await.id);
        categories.push(category);
        brands.push(brand);
    }
    (goods, categories, brands)
}

/// What each call costs over a catalog of these entries.
async fn costs(
    shop: &Shop,
    goods: &[i64],
    categories: &[i64],
    brands: &[i64],
) -> Vec<(&'static str, u64)> {
    let everything = GoodsFilter {
        category_ids: categories[..5].to_vec(),
        brand_ids: brands[..5].to_vec(),
        text: "hammer".into(),
        ..Default::default()
    };
    let plain = ListGoodsRequest { page_size: 100, ..Default::default() };
    let full =
        ListGoodsRequest { filter: Some(everything), include_total_size: true, ..plain.clone() };
    let ids = goods.to_vec();
    let batch = BatchGetGoodsRequest { ids, allow_missing: false };
    let ids = categories.to_vec();
    let batch_categories = BatchGetCategoriesRequest { ids, allow_missing: false };
    let ids = brands.to_vec();
    let batch_brands = BatchGetBrandsRequest { ids, allow_missing: false };
    let list_brands =
        ListBrandsRequest { page_size: 100, include_total_size: true, ..Default::default() };
    let (mut g, mut c, mut b) = (shop.goods(), shop.categories(), shop.brands());
    vec![
        ("list goods", cost(shop, shop.list(plain)).await),
        ("list goods, everything", cost(shop, shop.list(full)).await),
        ("get goods", cost(shop, shop.get(goods[0])).await),
        ("batch goods", cost(shop, async { g.batch_get_goods(batch).await.unwrap() }).await),
        (
            "batch categories",
            cost(shop, async { c.batch_get_categories(batch_categories).await.unwrap() }).await,
        ),
        (
            "batch brands",
            cost(shop, async { b.batch_get_brands(batch_brands).await.unwrap() }).await,
        ),
        (
            "list categories",
            cost(shop, async {
                let request = ListCategoriesRequest::default();
                shop.categories().list_categories(request).await.unwrap()
            })
            .await,
        ),
        (
            "list brands",
            cost(shop, async { shop.brands().list_brands(list_brands).await.unwrap() }).await,
        ),
    ]
}

contract! {
    async fn a_longer_answer_costs_no_more_statements(shop: &Shop) {
        let (mut goods, mut categories, mut brands) = grow(shop, 0..5).await;
        let few = costs(shop, &goods, &categories, &brands).await;
        let more = grow(shop, 5..50).await;
        goods.extend(more.0);
        categories.extend(more.1);
        brands.extend(more.2);
        assert_eq!(costs(shop, &goods, &categories, &brands).await, few);
        let expected = [
            ("list goods", 1),
            ("list goods, everything", 4),
            ("get goods", 1),
            ("batch goods", 1),
            ("batch categories", 1),
            ("batch brands", 1),
            ("list categories", 1),
            ("list brands", 2),
        ];
        assert_eq!(few, expected);
    }
}

/// A server bounds how many statements all its clients have prepared; past that nothing can be prepared any more.
#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_asked_for_few_statements_stay_prepared() {
    let server = testkit::MariaDb::start();
    let shop = Shop::open_with(&server.fresh_database(), tempfile::tempdir().unwrap(), 1).await;
    let mut brands = Vec::new();
    for number in 0..20 {
        brands.push(shop.brand(&format!("b{number}")).await);
    }
    for length in 1..=100 {
        let ids: Vec<i64> = (1..=length).collect();
        let request = BatchGetGoodsRequest { ids: ids.clone(), allow_missing: true };
        shop.goods().batch_get_goods(request).await.unwrap();
        let flag = |bit: i64| (length >> bit & 1 == 1).then_some(true);
        let filter = GoodsFilter {
            brand_ids: brands.iter().copied().take(ids.len()).collect(),
            on_sale: flag(0),
            ship_free: flag(1),
            is_new: flag(2),
            is_hot: flag(3),
            ..Default::default()
        };
        let list = ListGoodsRequest { filter: Some(filter), ..Default::default() };
        shop.goods().list_goods(list).await.unwrap();
    }
    let told = server.sql("SHOW GLOBAL STATUS LIKE 'Prepared_stmt_count'");
    let prepared: u32 = told.split_whitespace().last().unwrap().parse().unwrap();
    // 26, and 58 if each list kept its own.
    assert!(prepared <= 40, "{prepared} statements");
}
