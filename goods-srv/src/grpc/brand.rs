//! Calls of `BrandService`.

use super::entry::{self, image, timestamp};
use crate::Catalog;
use crate::brand::{BrandChange, DEFAULT_ORDER, ORDERS};
use crate::error::Error;
use crate::mask::Mask;
use crate::noun::{Etag, Id, Noun};
use crate::page::{Key, ListId, Order, PageSize, Start};
use crate::store::{BrandRow, CreateBrand, DeleteBrand, UpdateBrand};
use crate::text::{BrandName, folded};
use crate::violations::{Reason, Violations};
use proto::goods::v1::{
    self as wire, BatchGetBrandsRequest, BatchGetBrandsResponse, CreateBrandRequest,
    CreateBrandResponse, DeleteBrandRequest, DeleteBrandResponse, GetBrandRequest,
    GetBrandResponse, ListBrandsRequest, ListBrandsResponse, UpdateBrandRequest,
    UpdateBrandResponse,
};

pub(super) async fn create(
    catalog: &Catalog,
    request: CreateBrandRequest,
) -> Result<CreateBrandResponse, Error> {
    let CreateBrandRequest { brand, request_id } = request;
    let brand = brand.unwrap_or_default();
    let mut violations = Violations::default();
    let request = entry::request_key(&request_id, &written(&brand), &mut violations);
    let mask = Mask::everything(&fields(&brand));
    let brand = masked(&brand, &mask, &mut violations);
    violations.none()?;
    let created = catalog.store.write(CreateBrand { brand, request }).await?;
    Ok(CreateBrandResponse { brand: Some(message(&created.entry)), replayed: created.replayed })
}

/// The fields that callers write.
fn written(brand: &wire::Brand) -> wire::Brand {
    let wire::Brand { name, logo, id: _, etag: _, create_time: _, update_time: _, delete_time: _ } =
        brand.clone();
    wire::Brand { name, logo, ..Default::default() }
}

pub(super) async fn get(
    catalog: &Catalog,
    request: GetBrandRequest,
) -> Result<GetBrandResponse, Error> {
    let id = entry::id(request.id)?;
    let row = catalog.store.brands(&[id]).await?.pop();
    let row = row.ok_or_else(|| Error::NotFound { noun: Noun::Brand, ids: vec![id] })?;
    Ok(GetBrandResponse { brand: Some(message(&row)) })
}

pub(super) async fn batch_get(
    catalog: &Catalog,
    request: BatchGetBrandsRequest,
) -> Result<BatchGetBrandsResponse, Error> {
    let ids = entry::ids(&request.ids)?;
    let rows = catalog.store.brands(&ids).await?;
    let (rows, missing_ids) =
        entry::in_order(Noun::Brand, &ids, rows, |row| row.id, request.allow_missing)?;
    Ok(BatchGetBrandsResponse { brands: rows.iter().map(message).collect(), missing_ids })
}

pub(super) async fn update(
    catalog: &Catalog,
    request: UpdateBrandRequest,
) -> Result<UpdateBrandResponse, Error> {
    let brand = request.brand.unwrap_or_default();
    let paths = request.update_mask.unwrap_or_default().paths;
    let mut violations = Violations::default();
    let id = Id::parse(brand.id, "brand.id", &mut violations);
    let mask = Mask::parse(&paths, &fields(&brand), &mut violations);
    let change = masked(&brand, &mask, &mut violations);
    violations.none()?;
    let id = id.expect("a missing id is a violation");
    let update = UpdateBrand { id, etag: Etag::parse(&brand.etag), change };
    Ok(UpdateBrandResponse { brand: Some(message(&catalog.store.write(update).await?)) })
}

pub(super) async fn delete(
    catalog: &Catalog,
    request: DeleteBrandRequest,
) -> Result<DeleteBrandResponse, Error> {
    let (id, etag) = (entry::id(request.id)?, Etag::parse(&request.etag));
    catalog.store.write(DeleteBrand { id, etag }).await?;
    Ok(DeleteBrandResponse {})
}

pub(super) async fn list(
    catalog: &Catalog,
    request: ListBrandsRequest,
) -> Result<ListBrandsResponse, Error> {
    let ListBrandsRequest { text, order_by, page_size, page_token, include_total_size } = request;
    let mut violations = Violations::default();
    let default = catalog.settings.load().page_size;
    let size = PageSize::parse(page_size, default, &mut violations).get();
    let order = Order::parse(&order_by, ORDERS, DEFAULT_ORDER, &mut violations);
    let list = ListId::new("brands", text.as_bytes(), order);
    let start = Start::parse(&page_token, &list, order, &mut violations);
    let text = entry::search(&text, "text", &mut violations);
    violations.none()?;
    // One more than the page holds tells whether there is a next one.
    let (mut rows, total_size) = catalog
        .store
        .list_brands(text.as_ref(), order, &start, size + 1, include_total_size)
        .await?;
    let is_last = rows.len() <= size;
    rows.truncate(size);
    let next_page_token = match rows.last() {
        Some(last) if !is_last => Start::token(&list, keys(last, order)),
        _ => String::new(),
    };
    let brands = rows.iter().map(message).collect();
    Ok(ListBrandsResponse { brands, next_page_token, total_size })
}

/// What the row is sorted by. The names are those of [`ORDERS`].
fn keys(row: &BrandRow, order: Order) -> Vec<Key> {
    match order.name {
        "name" => vec![Key::Text(folded(&row.name)), Key::Number(row.id)],
        _ => vec![Key::Number(row.id)],
    }
}

/// The writable fields, each with whether it has another value than its default.
fn fields(brand: &wire::Brand) -> [(&'static str, bool); 2] {
    [("name", !brand.name.is_empty()), ("logo", brand.logo.is_some())]
}

fn masked(brand: &wire::Brand, mask: &Mask, violations: &mut Violations) -> BrandChange {
    let mut change = BrandChange::default();
    if mask.names("name") {
        change.name = BrandName::parse(&brand.name, "brand.name", Reason::InvalidName, violations);
    }
    if mask.names("logo") {
        change.logo = entry::parse_image(brand.logo.as_ref(), "brand.logo", violations);
    }
    change
}

fn message(row: &BrandRow) -> wire::Brand {
    wire::Brand {
        id: row.id,
        name: row.name.clone(),
        logo: image(&row.logo),
        etag: Etag::of(row.version),
        create_time: Some(timestamp(row.create_time)),
        update_time: Some(timestamp(row.update_time)),
        delete_time: row.delete_time.map(timestamp),
    }
}
