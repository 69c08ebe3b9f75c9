//! Goods in the database.
//!
//! Rows are held in one order everywhere, so that writers do not wait for each other in a circle: the tree, categories,
//! brands, goods.

mod list;
mod row;

pub use row::GoodsRow;

use super::failure::StoreError;
use super::request::{self, Created, Inserted, RequestKey};
use super::session::Session;
use super::statement::{Assignments, Statement, Value};
use super::{Store, Write, now};
use crate::error::{Error, Unique};
use crate::goods::{GoodsChange, GoodsFilter};
use crate::noun::{Etag, Id, Noun};
use crate::page::{Order, Start};
use crate::violations::{Reason, Violations};
use row::{COLUMNS, FROM, Writable};

/// Adds goods.
#[derive(Clone, Debug)]
pub struct CreateGoods {
    /// A value for every field.
    pub goods: GoodsChange,
    /// The key under which the call is known again.
    pub request: Option<RequestKey>,
}

impl Write for CreateGoods {
    type Done = Created<GoodsRow>;

    async fn run(&self, session: &mut Session<'_>) -> Result<Self::Done, Error> {
        let key = self.request.as_ref();
        if let Some(id) = request::replay(session, Noun::Goods, key).await? {
            return Ok(Created { entry: written(session, id).await?, replayed: true });
        }
        hold_referents(session, &self.goods).await?;
        let mut columns = Writable::default();
        columns.take(&self.goods)?;
        let assignments = new_goods(&columns, key, now());
        let (id, replayed) = match request::insert(session, Noun::Goods, key, assignments).await? {
            Inserted::New(id) => (id, false),
            Inserted::Replayed(id) => (id, true),
            Inserted::Taken => return Err(taken(&columns)),
        };
        Ok(Created { entry: written(session, id).await?, replayed })
    }
}

/// Changes fields of goods.
#[derive(Clone, Debug)]
pub struct UpdateGoods {
    /// Which.
    pub id: Id,
    /// What the caller has seen.
    pub etag: Etag,
    /// The new values.
    pub change: GoodsChange,
}

impl Write for UpdateGoods {
    type Done = GoodsRow;

    async fn run(&self, session: &mut Session<'_>) -> Result<GoodsRow, Error> {
        hold_referents(session, &self.change).await?;
        session.hold_version(Noun::Goods, self.id, self.etag).await?;
        let mut columns = written(session, self.id.get()).await?.columns;
        columns.take(&self.change)?;
        let update = Statement::update(Noun::Goods, self.id, now(), columns.assignments());
        match session.run(update).await {
            Ok(_) => {}
            Err(StoreError::Duplicate(_)) => return Err(taken(&columns)),
            Err(error) => return Err(error.into()),
        }
        written(session, self.id.get()).await
    }
}

/// Takes goods out of the catalog.
#[derive(Clone, Copy, Debug)]
pub struct DeleteGoods {
    /// Which.
    pub id: Id,
    /// What the caller has seen.
    pub etag: Etag,
}

impl Write for DeleteGoods {
    type Done = ();

    async fn run(&self, session: &mut Session<'_>) -> Result<(), Error> {
        session.hold_version(Noun::Goods, self.id, self.etag).await?;
        session.run(delete(self.id, now())).await?;
        Ok(())
    }
}

impl Store {
    /// Those of these goods that are there, in no order.
    pub async fn goods(&self, ids: &[Id]) -> Result<Vec<GoodsRow>, Error> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        Ok(self.reader().await?.session().all(live(ids)).await?)
    }

    /// At most `limit` goods that the filter lets through, from `start` on, and how many there are in all if `count`.
    pub async fn list_goods(
        &self,
        filter: &GoodsFilter,
        order: Order,
        start: &Start,
        limit: usize,
        count: bool,
    ) -> Result<(Vec<GoodsRow>, Option<i64>), Error> {
        let mut reader = self.reader().await?;
        let mut session = reader.session();
        let mut violations = Violations::default();
        let categories = session.missing(Noun::Category, &filter.categories).await?;
        let brands = session.missing(Noun::Brand, &filter.brands).await?;
        for (field, noun, missing) in [
            ("filter.category_ids", Noun::Category, categories),
            ("filter.brand_ids", Noun::Brand, brands),
        ] {
            for id in missing {
                refers_to_nothing(field, noun, id, &mut violations);
            }
        }
        violations.none()?;
        let rows = session.all(list::page(filter, order, start, limit)).await?;
        let total = if count { session.number(list::total(filter)).await? } else { None };
        Ok((rows, total))
    }
}

/// Holds the category and the brand that the goods are to have, so that neither is deleted meanwhile.
async fn hold_referents(session: &mut Session<'_>, change: &GoodsChange) -> Result<(), Error> {
    let mut violations = Violations::default();
    for (field, noun, id) in [
        ("goods.category_id", Noun::Category, change.category),
        ("goods.brand_id", Noun::Brand, change.brand),
    ] {
        if let Some(id) = id
            && session.hold(noun, id).await?.is_none()
        {
            refers_to_nothing(field, noun, id, &mut violations);
        }
    }
    Ok(violations.none()?)
}

fn refers_to_nothing(field: &str, noun: Noun, id: Id, violations: &mut Violations) {
    let reason = match noun {
        Noun::Brand => Reason::BrandNotFound,
        Noun::Category | Noun::Goods => Reason::CategoryNotFound,
    };
    violations.add(field, reason, format!("refers to {noun} {id}, which is not there"));
}

fn taken(columns: &Writable) -> Error {
    Error::Taken(Unique::GoodsSn(columns.goods_sn.clone()))
}

/// Goods that this transaction holds, or that were made by an earlier one.
async fn written(session: &mut Session<'_>, id: i64) -> Result<GoodsRow, Error> {
    let row = session.one(one(id)).await?;
    Ok(row.expect("a row is never removed, only marked as deleted"))
}

fn new_goods(columns: &Writable, key: Option<&RequestKey>, now: i64) -> Assignments {
    let mut assignments = columns.assignments();
    assignments.extend(request::assignments(key));
    assignments.extend([
        ("version", 1.into()),
        ("create_time", now.into()),
        ("update_time", now.into()),
    ]);
    assignments
}

fn delete(id: Id, now: i64) -> Statement {
    let assignments = vec![("delete_time", now.into()), ("live_goods_sn", Value::Null)];
    Statement::update(Noun::Goods, id, now, assignments)
}

fn one(id: i64) -> Statement {
    Statement::new(format!("SELECT {COLUMNS} {FROM} WHERE g.id = ?")).bind(id)
}

fn live(ids: &[Id]) -> Statement {
    Statement::new(format!("SELECT {COLUMNS} {FROM} WHERE g.delete_time IS NULL AND g.id IN "))
        .any_of(ids)
}

/// Every statement about goods, for the test that prepares them.
#[cfg(test)]
pub(super) fn every_statement(ids: &[Id], key: &RequestKey) -> Vec<Statement> {
    let columns = Writable::default();
    let mut statements = vec![
        Statement::insert(Noun::Goods, new_goods(&columns, Some(key), 0)),
        Statement::update(Noun::Goods, ids[0], 0, columns.assignments()),
        delete(ids[0], 0),
        one(1),
        live(ids),
    ];
    statements.extend(list::every_statement(ids));
    statements
}
