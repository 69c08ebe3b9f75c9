//! The category tree in the database.
//!
//! Whoever changes its shape first writes the one row of `category_tree`, so shapes change one after the other, and the
//! tree that [`crate::tree`] decided on is the tree that is written.

use super::request::{self, Created, Inserted, RequestKey};
use super::session::Session;
use super::statement::{Assignments, Statement};
use super::{Store, Write, now};
use crate::category::{CategoryChange, Place};
use crate::error::Error;
use crate::noun::{Etag, Id, Noun};
use crate::tree::{CATEGORIES_MAX, LEVEL_MAX, Misplaced, Move, TOP, Tree};
use crate::violations::{Reason, Violations};
use sqlx::FromRow;
use std::collections::HashMap;

const COLUMNS: &str =
    "id, name, parent_id, level, is_tab, version, create_time, update_time, delete_time";

/// A category.
#[derive(Clone, Debug, FromRow)]
pub struct CategoryRow {
    /// Which category.
    pub id: i64,
    /// What it is called.
    pub name: String,
    /// The one it stands under; 0 at the top.
    pub parent_id: i64,
    /// How deep it stands, from 1.
    pub level: i64,
    /// Shown as a tab.
    pub is_tab: bool,
    /// Counts the changes.
    pub version: i64,
    /// Milliseconds UTC.
    pub create_time: i64,
    /// Milliseconds UTC.
    pub update_time: i64,
    /// Milliseconds UTC.
    pub delete_time: Option<i64>,
}

/// Adds a category.
#[derive(Clone, Debug)]
pub struct CreateCategory {
    /// A value for every field.
    pub category: CategoryChange,
    /// The key under which the call is known again.
    pub request: Option<RequestKey>,
}

impl Write for CreateCategory {
    type Done = Created<CategoryRow>;

    async fn run(&self, session: &mut Session<'_>) -> Result<Self::Done, Error> {
        let key = self.request.as_ref();
        let tree = hold_tree(session).await?;
        if let Some(id) = request::replay(session, Noun::Category, key).await? {
            return Ok(Created { entry: written(session, id).await?, replayed: true });
        }
        if tree.len() >= CATEGORIES_MAX {
            return Err(Error::TooManyCategories);
        }
        let parent = self.category.place.map_or(TOP, Place::parent_id);
        let level = tree.level_under(parent).map_err(|misplaced| refuse(misplaced, parent))?;
        let assignments = new_category(&self.category, level, key, now());
        let (id, replayed) =
            match request::insert(session, Noun::Category, key, assignments).await? {
                Inserted::New(id) => (id, false),
                Inserted::Replayed(id) => (id, true),
                Inserted::Taken => unreachable!("nothing of a category is unique but its request"),
            };
        Ok(Created { entry: written(session, id).await?, replayed })
    }
}

/// Changes fields of a category; a new place moves it with all that stands under it.
#[derive(Clone, Debug)]
pub struct UpdateCategory {
    /// Which.
    pub id: Id,
    /// What the caller has seen.
    pub etag: Etag,
    /// The new values.
    pub change: CategoryChange,
}

impl Write for UpdateCategory {
    type Done = CategoryRow;

    async fn run(&self, session: &mut Session<'_>) -> Result<CategoryRow, Error> {
        let tree = match self.change.place {
            Some(place) => Some((hold_tree(session).await?, place.parent_id())),
            None => None,
        };
        session.hold_version(Noun::Category, self.id, self.etag).await?;
        let mut assignments = own_columns(&self.change);
        if let Some((tree, parent)) = tree {
            let Move { level, shift, under } =
                tree.put(self.id, parent).map_err(|misplaced| refuse(misplaced, parent))?;
            assignments.extend([("parent_id", parent.into()), ("level", level.into())]);
            if shift != 0 && !under.is_empty() {
                session.run(shift_levels(&under, shift)).await?;
            }
        }
        session.run(Statement::update(Noun::Category, self.id, now(), assignments)).await?;
        written(session, self.id.get()).await
    }
}

/// Removes an empty category.
#[derive(Clone, Copy, Debug)]
pub struct DeleteCategory {
    /// Which.
    pub id: Id,
    /// What the caller has seen.
    pub etag: Etag,
}

impl Write for DeleteCategory {
    type Done = ();

    async fn run(&self, session: &mut Session<'_>) -> Result<(), Error> {
        let tree = hold_tree(session).await?;
        // Held before the goods are counted: whoever adds goods to it holds it, too.
        session.hold_version(Noun::Category, self.id, self.etag).await?;
        let children = tree.under(self.id.get(), 1).len();
        let goods = session.number(count_goods(self.id)).await?.unwrap_or(0);
        if children > 0 || goods > 0 {
            return Err(Error::CategoryNotEmpty { id: self.id, children, goods });
        }
        session.run(delete(self.id, now())).await?;
        Ok(())
    }
}

impl Store {
    /// Those of these categories that are there, in no order.
    pub async fn categories(&self, ids: &[Id]) -> Result<Vec<CategoryRow>, Error> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        Ok(self.reader().await?.session().all(live(ids)).await?)
    }

    /// What stands under `parent`, at most `depth` levels of it, in the order of the tree.
    pub async fn list_categories(
        &self,
        parent: Place,
        depth: i64,
    ) -> Result<Vec<CategoryRow>, Error> {
        let rows: Vec<CategoryRow> = self.reader().await?.session().all(all()).await?;
        let tree = Tree::new(rows.iter().map(|row| (row.id, row.parent_id, row.level)));
        if let Place::Under(id) = parent
            && !tree.contains(id.get())
        {
            let complaint = Misplaced::NoParent.complaint(id.get());
            let reason = Reason::CategoryNotFound;
            return Err(Violations::one("parent_id", reason, complaint).into());
        }
        let mut by_id: HashMap<_, _> = rows.into_iter().map(|row| (row.id, row)).collect();
        let order = tree.under(parent.parent_id(), depth.min(LEVEL_MAX));
        Ok(order.into_iter().filter_map(|id| by_id.remove(&id)).collect())
    }
}

/// Holds the shape of the tree until the transaction ends.
async fn hold_tree(session: &mut Session<'_>) -> Result<Tree, Error> {
    session.run(take_turn()).await?;
    Ok(Tree::new(session.all(shape()).await?))
}

fn refuse(misplaced: Misplaced, parent: i64) -> Error {
    Violations::one("category.parent_id", misplaced.reason(), misplaced.complaint(parent)).into()
}

/// A category that this transaction holds, or that was made by an earlier one.
async fn written(session: &mut Session<'_>, id: i64) -> Result<CategoryRow, Error> {
    let row = session.one(one(id)).await?;
    Ok(row.expect("a row is never removed, only marked as deleted"))
}

/// The new values of the columns that say nothing about the tree's shape.
fn own_columns(change: &CategoryChange) -> Assignments {
    let CategoryChange { name, place: _, is_tab } = change;
    let mut assignments = Assignments::new();
    assignments.extend(name.as_ref().map(|name| ("name", name.as_str().into())));
    assignments.extend(is_tab.map(|is_tab| ("is_tab", is_tab.into())));
    assignments
}

fn new_category(
    category: &CategoryChange,
    level: i64,
    key: Option<&RequestKey>,
    now: i64,
) -> Assignments {
    let mut assignments = own_columns(category);
    assignments.extend(request::assignments(key));
    assignments.extend([
        ("parent_id", category.place.map_or(TOP, Place::parent_id).into()),
        ("level", level.into()),
        ("version", 1.into()),
        ("create_time", now.into()),
        ("update_time", now.into()),
    ]);
    assignments
}

fn take_turn() -> Statement {
    Statement::new("UPDATE category_tree SET version = version + 1 WHERE id = 1")
}

fn shape() -> Statement {
    Statement::new("SELECT id, parent_id, level FROM categories WHERE delete_time IS NULL")
}

/// One statement moves a whole subtree. The bound of the tree is far below the number of values that a statement may
/// have.
fn shift_levels(under: &[i64], shift: i64) -> Statement {
    Statement::new("UPDATE categories SET level = level + ? WHERE id IN ").bind(shift).any_of(under)
}

fn delete(id: Id, now: i64) -> Statement {
    Statement::update(Noun::Category, id, now, vec![("delete_time", now.into())])
}

fn count_goods(id: Id) -> Statement {
    Statement::new("SELECT COUNT(*) FROM goods WHERE category_id = ? AND delete_time IS NULL")
        .bind(id)
}

fn one(id: i64) -> Statement {
    Statement::new(format!("SELECT {COLUMNS} FROM categories WHERE id = ?")).bind(id)
}

fn live(ids: &[Id]) -> Statement {
    Statement::new(format!("SELECT {COLUMNS} FROM categories WHERE delete_time IS NULL AND id IN "))
        .any_of(ids)
}

fn all() -> Statement {
    Statement::new(format!("SELECT {COLUMNS} FROM categories WHERE delete_time IS NULL"))
}

/// Every statement about categories, for the test that prepares them.
#[cfg(test)]
pub(super) fn every_statement(ids: &[Id], key: &RequestKey) -> Vec<Statement> {
    let mut violations = Violations::default();
    let name = crate::text::CategoryName::parse("x", "name", Reason::InvalidName, &mut violations);
    let change = CategoryChange { name, place: Some(Place::Top), is_tab: Some(true) };
    vec![
        Statement::insert(Noun::Category, new_category(&change, 1, Some(key), 0)),
        Statement::update(Noun::Category, ids[0], 0, own_columns(&change)),
        Statement::update(
            Noun::Category,
            ids[0],
            0,
            vec![("parent_id", 1.into()), ("level", 1.into())],
        ),
        take_turn(),
        shape(),
        shift_levels(&[1, 2], 1),
        delete(ids[0], 0),
        count_goods(ids[0]),
        one(1),
        live(ids),
        all(),
    ]
}
