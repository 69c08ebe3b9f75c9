//! A small catalog: a category, a brand, three goods.

use crate::{install::Shop, stage::Stage};
use anyhow::{Context, Result, ensure};
use proto::goods::v1::{
    Brand, Category, CreateBrandRequest, CreateCategoryRequest, CreateGoodsRequest, Goods,
    GoodsFilter, Image, ListGoodsRequest, Money,
};
use std::time::Instant;

/// Name, number and price in cents of what the shop sells.
const WARES: [(&str, &str, i64); 3] = [
    ("Green tea, 100 g", "tea-1", 790),
    ("Porcelain cup", "cup-1", 1450),
    ("Teapot, 0.8 l", "pot-1", 4900),
];

/// Creates the catalog and gives the goods' ids.
pub(crate) async fn fill(shop: &Shop, stage: &mut Stage) -> Result<Vec<i64>> {
    let start = Instant::now();
    let category = Category { name: "Tea".into(), ..Default::default() };
    let category = CreateCategoryRequest { category: Some(category), ..Default::default() };
    let category =
        shop.categories().create_category(category).await.context("CreateCategory")?.into_inner();
    let category = category.category.context("CreateCategory answered no category")?;
    let brand = Brand { name: "Leaf and Cup".into(), ..Default::default() };
    let brand = CreateBrandRequest { brand: Some(brand), ..Default::default() };
    let brand = shop.brands().create_brand(brand).await.context("CreateBrand")?.into_inner();
    let brand = brand.brand.context("CreateBrand answered no brand")?;

    let mut ids = Vec::new();
    for (name, goods_sn, cents) in WARES {
        let price = Money { minor_units: cents, currency_code: "EUR".into() };
        let image =
            Image { url: format!("https://images.example.com/{goods_sn}.webp"), alt: name.into() };
        let goods = Goods {
            name: name.into(),
            goods_sn: goods_sn.into(),
            category_id: category.id,
            brand_id: brand.id,
            shop_price: Some(price.clone()),
            market_price: Some(price),
            brief: format!("{name}, from our own shop"),
            front_image: Some(image.clone()),
            images: vec![image],
            on_sale: true,
            ..Default::default()
        };
        let request = CreateGoodsRequest { goods: Some(goods), ..Default::default() };
        let created = shop.goods().create_goods(request).await.context("CreateGoods")?.into_inner();
        ids.push(created.goods.context("CreateGoods answered no goods")?.id);
    }
    stage.claim(start.elapsed(), "a category, a brand and three goods created");
    Ok(ids)
}

pub(crate) async fn list(shop: &Shop, stage: &mut Stage, ids: &[i64]) -> Result<()> {
    let start = Instant::now();
    let filter = GoodsFilter { on_sale: Some(true), text: "t".into(), ..Default::default() };
    let request = ListGoodsRequest {
        filter: Some(filter),
        order_by: "shop_price".into(),
        ..Default::default()
    };
    let listed = shop.goods().list_goods(request).await.context("ListGoods")?.into_inner().goods;
    let took = start.elapsed();
    let found: Vec<i64> = listed.iter().map(|goods| goods.id).collect();
    // The tea and the pot: there is no t in what is said of the cup.
    let expected = [ids[0], ids[2]];
    ensure!(found == expected, "the list holds the goods {found:?}, not {expected:?}");
    stage.claim(took, "the goods on sale whose text holds a t, the cheapest first:");
    for goods in listed {
        let price = goods.shop_price.unwrap_or_default();
        let (whole, cents) = (price.minor_units / 100, price.minor_units % 100);
        stage.detail(&format!(
            "goods {:<3} {:<18} {whole:>4}.{cents:02} {}",
            goods.id, goods.name, price.currency_code
        ));
    }
    Ok(())
}
