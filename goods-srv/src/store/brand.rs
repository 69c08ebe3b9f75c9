//! Brands in the database.

use super::failure::StoreError;
use super::request::{self, Created, Inserted, RequestKey};
use super::session::Session;
use super::statement::{Assignments, Statement, Value, containing};
use super::{Store, Write, now};
use crate::brand::BrandChange;
use crate::error::{Error, Unique};
use crate::image::Images;
use crate::noun::{Etag, Id, Noun};
use crate::page::{Order, Start};
use crate::text::{BrandName, Search, folded};
use sqlx::FromRow;

const COLUMNS: &str =
    "b.id, b.name, b.logo, b.version, b.create_time, b.update_time, b.delete_time";

/// A brand.
#[derive(Clone, Debug, FromRow)]
pub struct BrandRow {
    /// Which brand.
    pub id: i64,
    /// What it is called.
    pub name: String,
    /// Its logo, if it has one.
    #[sqlx(try_from = "String")]
    pub logo: Images,
    /// Counts the changes.
    pub version: i64,
    /// Milliseconds UTC.
    pub create_time: i64,
    /// Milliseconds UTC.
    pub update_time: i64,
    /// Milliseconds UTC.
    pub delete_time: Option<i64>,
}

/// Adds a brand.
#[derive(Clone, Debug)]
pub struct CreateBrand {
    /// A value for every field.
    pub brand: BrandChange,
    /// The key under which the call is known again.
    pub request: Option<RequestKey>,
}

impl Write for CreateBrand {
    type Done = Created<BrandRow>;

    async fn run(&self, session: &mut Session<'_>) -> Result<Self::Done, Error> {
        let key = self.request.as_ref();
        if let Some(id) = request::replay(session, Noun::Brand, key).await? {
            return Ok(Created { entry: written(session, id).await?, replayed: true });
        }
        let assignments = new_brand(&self.brand, key, now());
        let (id, replayed) = match request::insert(session, Noun::Brand, key, assignments).await? {
            Inserted::New(id) => (id, false),
            Inserted::Replayed(id) => (id, true),
            Inserted::Taken => return Err(taken(&self.brand)),
        };
        Ok(Created { entry: written(session, id).await?, replayed })
    }
}

/// Changes fields of a brand.
#[derive(Clone, Debug)]
pub struct UpdateBrand {
    /// Which.
    pub id: Id,
    /// What the caller has seen.
    pub etag: Etag,
    /// The new values.
    pub change: BrandChange,
}

impl Write for UpdateBrand {
    type Done = BrandRow;

    async fn run(&self, session: &mut Session<'_>) -> Result<BrandRow, Error> {
        session.hold_version(Noun::Brand, self.id, self.etag).await?;
        let update = Statement::update(Noun::Brand, self.id, now(), columns(&self.change));
        match session.run(update).await {
            Ok(_) => written(session, self.id.get()).await,
            Err(StoreError::Duplicate(_)) => Err(taken(&self.change)),
            Err(error) => Err(error.into()),
        }
    }
}

/// Removes a brand that no goods bear.
#[derive(Clone, Copy, Debug)]
pub struct DeleteBrand {
    /// Which.
    pub id: Id,
    /// What the caller has seen.
    pub etag: Etag,
}

impl Write for DeleteBrand {
    type Done = ();

    async fn run(&self, session: &mut Session<'_>) -> Result<(), Error> {
        // Held before the goods are counted: whoever gives it to goods holds it, too.
        session.hold_version(Noun::Brand, self.id, self.etag).await?;
        let goods = session.number(count_goods(self.id)).await?.unwrap_or(0);
        if goods > 0 {
            return Err(Error::BrandInUse { id: self.id, goods });
        }
        session.run(delete(self.id, now())).await?;
        Ok(())
    }
}

impl Store {
    /// Those of these brands that are there, in no order.
    pub async fn brands(&self, ids: &[Id]) -> Result<Vec<BrandRow>, Error> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        Ok(self.reader().await?.session().all(live(ids)).await?)
    }

    /// At most `limit` brands with this text, from `start` on, and how many there are in all if `count`.
    pub async fn list_brands(
        &self,
        text: Option<&Search>,
        order: Order,
        start: &Start,
        limit: usize,
        count: bool,
    ) -> Result<(Vec<BrandRow>, Option<i64>), Error> {
        let mut reader = self.reader().await?;
        let mut session = reader.session();
        let rows = session.all(page(text, order, start, limit)).await?;
        let total = if count { session.number(total(text)).await? } else { None };
        Ok((rows, total))
    }
}

fn taken(change: &BrandChange) -> Error {
    let name = change.name.as_ref().map(BrandName::as_str).unwrap_or_default();
    Error::Taken(Unique::BrandName(name.to_owned()))
}

/// A brand that this transaction holds, or that was made by an earlier one.
async fn written(session: &mut Session<'_>, id: i64) -> Result<BrandRow, Error> {
    let row = session.one(one(id)).await?;
    Ok(row.expect("a row is never removed, only marked as deleted"))
}

fn columns(change: &BrandChange) -> Assignments {
    let BrandChange { name, logo } = change;
    let mut assignments = Assignments::new();
    if let Some(name) = name {
        let key = folded(name.as_str());
        assignments.extend([
            ("name", name.as_str().into()),
            ("live_name", Value::Bytes(key.as_bytes().to_vec())),
            ("name_key", key.into()),
        ]);
    }
    if let Some(logo) = logo {
        assignments.push(("logo", Images::from(logo.clone()).to_column().into()));
    }
    assignments
}

fn new_brand(brand: &BrandChange, key: Option<&RequestKey>, now: i64) -> Assignments {
    let mut assignments = columns(brand);
    assignments.extend(request::assignments(key));
    assignments.extend([
        ("version", 1.into()),
        ("create_time", now.into()),
        ("update_time", now.into()),
    ]);
    assignments
}

fn delete(id: Id, now: i64) -> Statement {
    let assignments = vec![("delete_time", now.into()), ("live_name", Value::Null)];
    Statement::update(Noun::Brand, id, now, assignments)
}

fn count_goods(id: Id) -> Statement {
    Statement::new("SELECT COUNT(*) FROM goods WHERE brand_id = ? AND delete_time IS NULL").bind(id)
}

fn one(id: i64) -> Statement {
    Statement::new(format!("SELECT {COLUMNS} FROM brands b WHERE b.id = ?")).bind(id)
}

fn live(ids: &[Id]) -> Statement {
    Statement::new(format!(
        "SELECT {COLUMNS} FROM brands b WHERE b.delete_time IS NULL AND b.id IN "
    ))
    .any_of(ids)
}

fn page(text: Option<&Search>, order: Order, start: &Start, limit: usize) -> Statement {
    let statement = conditions(Statement::new(format!("SELECT {COLUMNS} FROM brands b")), text);
    let statement = match &start.0 {
        Some(keys) => statement.and(" AND ").behind(order, keys),
        None => statement,
    };
    statement.page(order, limit)
}

fn total(text: Option<&Search>) -> Statement {
    conditions(Statement::new("SELECT COUNT(*) FROM brands b"), text)
}

fn conditions(statement: Statement, text: Option<&Search>) -> Statement {
    let statement = statement.and(" WHERE b.delete_time IS NULL");
    match text {
        Some(text) => statement
            .and(" AND b.name_key LIKE ? ESCAPE '!'")
            .bind(containing(&folded(text.as_str()))),
        None => statement,
    }
}

/// Every statement about brands, for the test that prepares them.
#[cfg(test)]
pub(super) fn every_statement(ids: &[Id], key: &RequestKey) -> Vec<Statement> {
    use crate::brand::ORDERS;
    use crate::page::{Column, Key};
    use crate::violations::{Reason, Violations};

    let mut violations = Violations::default();
    let name = BrandName::parse("x", "name", Reason::InvalidName, &mut violations);
    let change = BrandChange { name, logo: Some(None) };
    let text = Search::parse("x", "text", Reason::InvalidText, &mut violations);
    let mut statements = vec![
        Statement::insert(Noun::Brand, new_brand(&change, Some(key), 0)),
        Statement::update(Noun::Brand, ids[0], 0, columns(&change)),
        delete(ids[0], 0),
        count_goods(ids[0]),
        one(1),
        live(ids),
        total(None),
        total(text.as_ref()),
    ];
    for (name, columns) in ORDERS {
        for descending in [false, true] {
            let order = Order { name, columns, descending };
            let keys = columns.iter().map(|column| match column {
                Column::Number(_) => Key::Number(1),
                Column::Text(_) => Key::Text("x".to_owned()),
            });
            statements.push(page(None, order, &Start(None), 1));
            statements.push(page(text.as_ref(), order, &Start(Some(keys.collect())), 1));
        }
    }
    statements
}
