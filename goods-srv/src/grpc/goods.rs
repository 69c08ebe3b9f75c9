//! Calls of `GoodsService`.

mod parse;

use super::entry::{self, image, images, timestamp};
use crate::Catalog;
use crate::error::Error;
use crate::goods::{DEFAULT_ORDER, ORDERS};
use crate::noun::{Etag, Id, Noun};
use crate::page::{Key, ListId, Order, PageSize, Start};
use crate::store::{CreateGoods, DeleteGoods, GoodsRow, UpdateGoods};
use crate::text::folded;
use crate::violations::Violations;
use prost::Message;
use proto::goods::v1::{
    self as wire, BatchGetGoodsRequest, BatchGetGoodsResponse, CreateGoodsRequest,
    CreateGoodsResponse, DeleteGoodsRequest, DeleteGoodsResponse, GetGoodsRequest,
    GetGoodsResponse, ListGoodsRequest, ListGoodsResponse, UpdateGoodsRequest, UpdateGoodsResponse,
};

pub(super) async fn create(
    catalog: &Catalog,
    request: CreateGoodsRequest,
) -> Result<CreateGoodsResponse, Error> {
    let CreateGoodsRequest { goods, request_id } = request;
    let goods = goods.unwrap_or_default();
    let mut violations = Violations::default();
    let request = entry::request_key(&request_id, &written(&goods), &mut violations);
    let goods = parse::new_goods(&goods, &mut violations);
    violations.none()?;
    let created = catalog.store.write(CreateGoods { goods, request }).await?;
    Ok(CreateGoodsResponse { goods: Some(message(&created.entry)), replayed: created.replayed })
}

/// The fields that callers write.
fn written(goods: &wire::Goods) -> wire::Goods {
    wire::Goods {
        id: 0,
        click_num: 0,
        sold_num: 0,
        fav_num: 0,
        category: None,
        brand: None,
        etag: String::new(),
        create_time: None,
        update_time: None,
        delete_time: None,
        ..goods.clone()
    }
}

pub(super) async fn get(
    catalog: &Catalog,
    request: GetGoodsRequest,
) -> Result<GetGoodsResponse, Error> {
    let id = entry::id(request.id)?;
    let row = catalog.store.goods(&[id]).await?.pop();
    let row = row.ok_or_else(|| Error::NotFound { noun: Noun::Goods, ids: vec![id] })?;
    Ok(GetGoodsResponse { goods: Some(message(&row)) })
}

pub(super) async fn batch_get(
    catalog: &Catalog,
    request: BatchGetGoodsRequest,
) -> Result<BatchGetGoodsResponse, Error> {
    let ids = entry::ids(&request.ids)?;
    let rows = catalog.store.goods(&ids).await?;
    let (rows, missing_ids) =
        entry::in_order(Noun::Goods, &ids, rows, |row| row.id, request.allow_missing)?;
    Ok(BatchGetGoodsResponse { goods: rows.iter().map(message).collect(), missing_ids })
}

pub(super) async fn update(
    catalog: &Catalog,
    request: UpdateGoodsRequest,
) -> Result<UpdateGoodsResponse, Error> {
    let goods = request.goods.unwrap_or_default();
    let paths = request.update_mask.unwrap_or_default().paths;
    let mut violations = Violations::default();
    let id = Id::parse(goods.id, "goods.id", &mut violations);
    let change = parse::change(&goods, &paths, &mut violations);
    violations.none()?;
    let id = id.expect("a missing id is a violation");
    let update = UpdateGoods { id, etag: Etag::parse(&goods.etag), change };
    Ok(UpdateGoodsResponse { goods: Some(message(&catalog.store.write(update).await?)) })
}

pub(super) async fn delete(
    catalog: &Catalog,
    request: DeleteGoodsRequest,
) -> Result<DeleteGoodsResponse, Error> {
    let (id, etag) = (entry::id(request.id)?, Etag::parse(&request.etag));
    catalog.store.write(DeleteGoods { id, etag }).await?;
    Ok(DeleteGoodsResponse {})
}

pub(super) async fn list(
    catalog: &Catalog,
    request: ListGoodsRequest,
) -> Result<ListGoodsResponse, Error> {
    let ListGoodsRequest { filter, order_by, page_size, page_token, include_total_size } = request;
    let filter = filter.unwrap_or_default();
    let mut violations = Violations::default();
    let default = catalog.settings.load().page_size;
    let size = PageSize::parse(page_size, default, &mut violations).get();
    let order = Order::parse(&order_by, ORDERS, DEFAULT_ORDER, &mut violations);
    let list = ListId::new("goods", &filter.encode_to_vec(), order);
    let start = Start::parse(&page_token, &list, order, &mut violations);
    let filter = parse::filter(&filter, &mut violations);
    violations.none()?;
    // One more than the page holds tells whether there is a next one.
    let (mut rows, total_size) =
        catalog.store.list_goods(&filter, order, &start, size + 1, include_total_size).await?;
    let is_last = rows.len() <= size;
    rows.truncate(size);
    let next_page_token = match rows.last() {
        Some(last) if !is_last => Start::token(&list, keys(last, order)),
        _ => String::new(),
    };
    Ok(ListGoodsResponse { goods: rows.iter().map(message).collect(), next_page_token, total_size })
}

/// What the row is sorted by. The names are those of [`ORDERS`].
fn keys(row: &GoodsRow, order: Order) -> Vec<Key> {
    let columns = &row.columns;
    let mut keys = match order.name {
        "shop_price" => {
            vec![Key::Text(columns.currency.clone()), Key::Number(columns.shop_price)]
        }
        "name" => vec![Key::Text(folded(&columns.name))],
        "update_time" => vec![Key::Number(row.update_time)],
        _ => Vec::new(),
    };
    keys.push(Key::Number(row.id));
    keys
}

fn message(row: &GoodsRow) -> wire::Goods {
    let columns = row.columns.clone();
    let money = |minor_units| wire::Money { minor_units, currency_code: columns.currency.clone() };
    wire::Goods {
        id: row.id,
        shop_price: Some(money(columns.shop_price)),
        market_price: columns.market_price.map(money),
        name: columns.name,
        goods_sn: columns.goods_sn,
        category_id: columns.category_id,
        brand_id: columns.brand_id,
        brief: columns.brief,
        description: columns.description,
        front_image: image(&columns.front_image),
        images: images(&columns.images),
        description_images: images(&columns.description_images),
        on_sale: columns.on_sale,
        ship_free: columns.ship_free,
        is_new: columns.is_new,
        is_hot: columns.is_hot,
        click_num: 0,
        sold_num: 0,
        fav_num: 0,
        category: Some(wire::CategoryBrief {
            id: columns.category_id,
            name: row.category_name.clone(),
        }),
        brand: Some(wire::BrandBrief {
            id: columns.brand_id,
            name: row.brand_name.clone(),
            logo: image(&row.brand_logo),
        }),
        etag: Etag::of(row.version),
        create_time: Some(timestamp(row.create_time)),
        update_time: Some(timestamp(row.update_time)),
        delete_time: row.delete_time.map(timestamp),
    }
}
