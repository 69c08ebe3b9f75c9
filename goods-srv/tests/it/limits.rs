//! The largest answers still fit into what a gRPC client accepts: 4 MiB, which the clients of these tests hold to.

use crate::category::tree;
use crate::shop::{Shop, bad_fields, fields, reason};
use proto::goods::v1::{
    Category, CreateCategoryRequest, DeleteCategoryRequest, Goods, Image, ListGoodsRequest,
};
use sqlx::AssertSqlSafe;
use srv_runtime::Database;
use tonic::Code;

/// A character that takes four bytes.
const WIDE: &str = "\u{1F528}";

/// Ten rows; four of them side by side make 10,000.
const TEN: &str = "(SELECT 0 AS d UNION SELECT 1 UNION SELECT 2 UNION SELECT 3 UNION SELECT 4 \
    UNION SELECT 5 UNION SELECT 6 UNION SELECT 7 UNION SELECT 8 UNION SELECT 9)";

/// Puts `count` categories with the longest of names at the top.
async fn fill_the_tree(shop: &Shop, count: i64) {
    let text = format!(
        "INSERT INTO categories (name, parent_id, level, is_tab, version, create_time, update_time) \
         SELECT ?, 0, 1, FALSE, 1, 0, 0 FROM {TEN} a, {TEN} b, {TEN} c, {TEN} e LIMIT {count}"
    );
    let (text, name) = (AssertSqlSafe(text), WIDE.repeat(50));
    match &shop.database {
        Database::MySql(pool) => {
            sqlx::query(text).bind(name).execute(pool).await.unwrap();
        }
        Database::Sqlite(pools) => {
            sqlx::query(text).bind(name).execute(&pools.write).await.unwrap();
        }
    }
}

contract! {
    async fn a_full_tree_is_listed_in_one_answer_and_takes_no_more(shop: &Shop) {
        fill_the_tree(shop, 4_999).await;
        let last = shop.category("last", 0).await;
        assert_eq!(tree(shop, 0, 0).await.len(), 5_000);
        let request = CreateCategoryRequest {
            category: Some(Category { name: "one too many".into(), ..Default::default() }),
            ..Default::default()
        };
        let status = shop.categories().create_category(request.clone()).await.unwrap_err();
        assert_eq!(
            (status.code(), reason(&status).as_str()),
            (Code::FailedPrecondition, "TOO_MANY_CATEGORIES")
        );
        let delete = DeleteCategoryRequest { id: last, ..Default::default() };
        shop.categories().delete_category(delete).await.unwrap();
        shop.categories().create_category(request).await.unwrap();
    }

    async fn the_longest_page_of_the_largest_goods_fits_into_one_answer(shop: &Shop) {
        let image = Image { url: format!("https://{}", "x".repeat(292)), alt: WIDE.repeat(100) };
        let template = Goods {
            name: WIDE.repeat(100),
            brief: WIDE.repeat(200),
            description: "x".repeat(10_000),
            front_image: Some(image.clone()),
            images: vec![image.clone(); 16],
            description_images: vec![image; 16],
            ..shop.hammer().await
        };
        for sn in 0..100 {
            shop.add(Goods { goods_sn: format!("{}{sn:02}", WIDE.repeat(48)), ..template.clone() })
                .await;
        }
        let request =
            ListGoodsRequest { page_size: 100, order_by: "name".into(), ..Default::default() };
        assert_eq!(shop.list(request).await.goods.len(), 100);
        let mut longer = template;
        longer.images[0].url.push('x');
        longer.images[1].alt.push('x');
        longer.name.push('x');
        let expected = fields([
            ("goods.name", "INVALID_NAME"),
            ("goods.images[0].url", "INVALID_IMAGE"),
            ("goods.images[1].alt", "INVALID_IMAGE"),
        ]);
        assert_eq!(bad_fields(&shop.try_add(longer).await.unwrap_err()), expected);
    }
}
