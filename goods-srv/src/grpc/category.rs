//! Calls of `CategoryService`.

use super::entry::{self, timestamp};
use crate::Catalog;
use crate::category::{CategoryChange, Place};
use crate::error::Error;
use crate::mask::Mask;
use crate::noun::{Etag, Id, Noun};
use crate::store::{CategoryRow, CreateCategory, DeleteCategory, UpdateCategory};
use crate::text::CategoryName;
use crate::tree::{LEVEL_MAX, TOP};
use crate::violations::{Reason, Violations};
use proto::goods::v1::{
    self as wire, BatchGetCategoriesRequest, BatchGetCategoriesResponse, CreateCategoryRequest,
    CreateCategoryResponse, DeleteCategoryRequest, DeleteCategoryResponse, GetCategoryRequest,
    GetCategoryResponse, ListCategoriesRequest, ListCategoriesResponse, UpdateCategoryRequest,
    UpdateCategoryResponse,
};

pub(super) async fn create(
    catalog: &Catalog,
    request: CreateCategoryRequest,
) -> Result<CreateCategoryResponse, Error> {
    let CreateCategoryRequest { category, request_id } = request;
    let category = category.unwrap_or_default();
    let mut violations = Violations::default();
    let request = entry::request_key(&request_id, &written(&category), &mut violations);
    let mask = Mask::everything(&fields(&category));
    let category = masked(&category, &mask, &mut violations);
    violations.none()?;
    let created = catalog.store.write(CreateCategory { category, request }).await?;
    Ok(CreateCategoryResponse {
        category: Some(message(&created.entry)),
        replayed: created.replayed,
    })
}

/// The fields that callers write.
fn written(category: &wire::Category) -> wire::Category {
    let wire::Category {
        name,
        parent_id,
        is_tab,
        id: _,
        level: _,
        etag: _,
        create_time: _,
        update_time: _,
        delete_time: _,
    } = category.clone();
    wire::Category { name, parent_id, is_tab, ..Default::default() }
}

pub(super) async fn get(
    catalog: &Catalog,
    request: GetCategoryRequest,
) -> Result<GetCategoryResponse, Error> {
    let id = entry::id(request.id)?;
    let row = catalog.store.categories(&[id]).await?.pop();
    let row = row.ok_or_else(|| Error::NotFound { noun: Noun::Category, ids: vec![id] })?;
    Ok(GetCategoryResponse { category: Some(message(&row)) })
}

pub(super) async fn batch_get(
    catalog: &Catalog,
    request: BatchGetCategoriesRequest,
) -> Result<BatchGetCategoriesResponse, Error> {
    let ids = entry::ids(&request.ids)?;
    let rows = catalog.store.categories(&ids).await?;
    let (rows, missing_ids) =
        entry::in_order(Noun::Category, &ids, rows, |row| row.id, request.allow_missing)?;
    Ok(BatchGetCategoriesResponse { categories: rows.iter().map(message).collect(), missing_ids })
}

pub(super) async fn update(
    catalog: &Catalog,
    request: UpdateCategoryRequest,
) -> Result<UpdateCategoryResponse, Error> {
    let category = request.category.unwrap_or_default();
    let paths = request.update_mask.unwrap_or_default().paths;
    let mut violations = Violations::default();
    let id = Id::parse(category.id, "category.id", &mut violations);
    let mask = Mask::parse(&paths, &fields(&category), &mut violations);
    let change = masked(&category, &mask, &mut violations);
    violations.none()?;
    let id = id.expect("a missing id is a violation");
    let update = UpdateCategory { id, etag: Etag::parse(&category.etag), change };
    Ok(UpdateCategoryResponse { category: Some(message(&catalog.store.write(update).await?)) })
}

pub(super) async fn delete(
    catalog: &Catalog,
    request: DeleteCategoryRequest,
) -> Result<DeleteCategoryResponse, Error> {
    let (id, etag) = (entry::id(request.id)?, Etag::parse(&request.etag));
    catalog.store.write(DeleteCategory { id, etag }).await?;
    Ok(DeleteCategoryResponse {})
}

pub(super) async fn list(
    catalog: &Catalog,
    request: ListCategoriesRequest,
) -> Result<ListCategoriesResponse, Error> {
    let mut violations = Violations::default();
    let parent = place(request.parent_id, "parent_id", &mut violations);
    let depth = match request.depth {
        0 => LEVEL_MAX,
        depth @ 1.. => i64::from(depth),
        depth => {
            let complaint = format!("must not be below 0, is {depth}");
            violations.add("depth", Reason::InvalidDepth, complaint);
            LEVEL_MAX
        }
    };
    violations.none()?;
    let parent = parent.expect("a bad parent is a violation");
    let rows = catalog.store.list_categories(parent, depth).await?;
    Ok(ListCategoriesResponse { categories: rows.iter().map(message).collect() })
}

/// The writable fields, each with whether it has another value than its default.
fn fields(category: &wire::Category) -> [(&'static str, bool); 3] {
    [
        ("name", !category.name.is_empty()),
        ("parent_id", category.parent_id != TOP),
        ("is_tab", category.is_tab),
    ]
}

fn masked(category: &wire::Category, mask: &Mask, violations: &mut Violations) -> CategoryChange {
    let mut change = CategoryChange::default();
    if mask.names("name") {
        let reason = Reason::InvalidName;
        change.name = CategoryName::parse(&category.name, "category.name", reason, violations);
    }
    if mask.names("parent_id") {
        change.place = place(category.parent_id, "category.parent_id", violations);
    }
    change.is_tab = mask.names("is_tab").then_some(category.is_tab);
    change
}

fn place(parent_id: i64, field: &str, violations: &mut Violations) -> Option<Place> {
    if parent_id == TOP {
        return Some(Place::Top);
    }
    Id::parse(parent_id, field, violations).map(Place::Under)
}

fn message(row: &CategoryRow) -> wire::Category {
    wire::Category {
        id: row.id,
        name: row.name.clone(),
        parent_id: row.parent_id,
        level: i32::try_from(row.level).expect("the schema bounds the level"),
        is_tab: row.is_tab,
        etag: Etag::of(row.version),
        create_time: Some(timestamp(row.create_time)),
        update_time: Some(timestamp(row.update_time)),
        delete_time: row.delete_time.map(timestamp),
    }
}
