//! How a lane begins a batch: rows are held, then the clock is read, then what is on record. On MySQL that is one text
//! and one round trip. Where clients keep the processors busy, each answer that a lane waits for costs it some
//! milliseconds until its turn comes; BEGIN alone cost a tenth of a batch.

use super::read::no_clock;
use super::rows::{
    OrderRow, RequestRow, ReturnRow, StockRow, add_order, request_of, return_of, stock_of,
};
use super::script::all_answered;
use super::session::{Value, Which};
use super::statements::{LIST_MAX, PAIRS_MAX};
use super::{KeptConnection, Reader, Records, Store, StoreError, Transaction, mysql};
use crate::act::Needs;
use crate::record::{KnownOrder, Milliseconds, Shelf};
use futures::TryStreamExt;
use sqlx::mysql::MySqlRow;
use sqlx::{AssertSqlSafe, Either, FromRow, MySqlConnection};
use srv_runtime::{Database, answered};

/// What a batch begins with.
pub struct Beginning<'c> {
    /// The transaction that holds the rows.
    pub transaction: Transaction<'c>,
    /// The stock of the goods, whose rows are held.
    pub shelf: Shelf,
    /// The clock, and what is on record; read after the rows were held.
    pub records: Records,
}

impl KeptConnection {
    /// Begins a transaction that may write, holds the rows of the goods in `needs` still, and then reads the clock and
    /// what `needs` looks up. Only inside [`srv_runtime::detached`]. After an error, in it or later,
    /// [`KeptConnection::give_back`], which rolls back.
    pub async fn begin_with(
        &mut self,
        store: &Store,
        needs: &Needs,
    ) -> Result<Beginning<'_>, StoreError> {
        // The one connection of SQLite that writes is everybody's.
        if let Database::Sqlite(_) = store.database {
            return store.begin_with(needs).await;
        }
        match self.reader(store).await? {
            Reader::MySql(connection) => {
                let (shelf, records) = begin_in_one_go(connection, needs).await?;
                let transaction = Transaction::on_kept(connection, store.writes.clone());
                Ok(Beginning { transaction, shelf, records })
            }
            Reader::Sqlite(_) => store.begin_with(needs).await,
        }
    }
}

impl Store {
    /// As [`KeptConnection::begin_with`], on a connection of the pool and step by step.
    pub async fn begin_with(&self, needs: &Needs) -> Result<Beginning<'static>, StoreError> {
        let mut transaction = self.begin().await?;
        let shelf = transaction.on().lock_shelf(&needs.goods).await?;
        let records = transaction.on().records(needs).await?;
        Ok(Beginning { transaction, shelf, records })
    }
}

/// What the rows of a statement are.
#[derive(Clone, Copy)]
enum Rows {
    None,
    Stocks,
    Orders,
    Requests,
    Returns,
    Clock,
}

/// A text of several statements, and what each answers.
struct Text {
    text: String,
    rows: Vec<Rows>,
}

impl Text {
    fn add(&mut self, rows: Rows, which: Which, length: usize, values: &[Value<'_>]) {
        which(&mysql::STATEMENTS).write_out(length, values, &mut self.text);
        self.rows.push(rows);
    }

    /// The statements by which a transaction begins with these needs.
    fn of(needs: &Needs) -> Self {
        let Needs { goods, orders, requests, returns } = needs;
        let mut text = Self { text: "BEGIN".to_owned(), rows: vec![Rows::None] };
        let goods: Vec<Value<'_>> = goods.iter().copied().map(Value::from).collect();
        for part in goods.chunks(LIST_MAX) {
            text.add(Rows::Stocks, |statements| &statements.lock_shelf, part.len(), part);
        }
        // Behind the locks: the clock stands in each of these.
        let orders: Vec<Value<'_>> = orders.iter().map(Value::from).collect();
        for part in orders.chunks(LIST_MAX) {
            text.add(Rows::Orders, |statements| &statements.orders, part.len(), part);
        }
        let requests: Vec<Value<'_>> = requests.iter().map(Value::from).collect();
        for part in requests.chunks(LIST_MAX) {
            text.add(Rows::Requests, |statements| &statements.requests, part.len(), part);
        }
        let returns: Vec<[Value<'_>; 2]> =
            returns.iter().map(|(sn, id)| [sn.into(), id.into()]).collect();
        for part in returns.chunks(PAIRS_MAX) {
            let pairs = part.as_flattened();
            text.add(Rows::Returns, |statements| &statements.returns, part.len(), pairs);
        }
        if orders.is_empty() && requests.is_empty() && returns.is_empty() {
            text.add(Rows::Clock, |statements| &statements.clock, 1, &[]);
        }
        text
    }
}

async fn begin_in_one_go(
    connection: &mut MySqlConnection,
    needs: &Needs,
) -> Result<(Shelf, Records), StoreError> {
    let Text { text, rows: kinds } = Text::of(needs);
    // Of what a caller sent only digits get into it.
    let mut steps = sqlx::raw_sql(AssertSqlSafe(text)).fetch_many(connection);
    let read = async {
        let (mut answers, mut rows) = (Vec::new(), Vec::new());
        while let Some(step) = steps.try_next().await? {
            match step {
                Either::Right(row) => rows.push(row),
                Either::Left(_) => answers.push(std::mem::take(&mut rows)),
            }
        }
        Ok(answers)
    };
    let answers = answered(read).await?;
    all_answered(kinds.len(), answers.len())?;
    sort(kinds.into_iter().zip(answers))
}

/// Puts rows where they belong.
fn sort(
    answers: impl Iterator<Item = (Rows, Vec<MySqlRow>)>,
) -> Result<(Shelf, Records), StoreError> {
    let (mut shelf, mut records, mut now) = (Shelf::default(), Records::default(), None);
    for (kind, rows) in answers {
        for row in &rows {
            let seen: Option<Milliseconds> = match kind {
                Rows::None => None,
                Rows::Stocks => {
                    shelf.0.extend([stock_of(StockRow::from_row(row)?)?]);
                    None
                }
                Rows::Orders => {
                    let row = OrderRow::from_row(row)?;
                    let seen = row.0;
                    add_order(&mut records.orders, row)?;
                    Some(seen)
                }
                Rows::Requests => {
                    let row = RequestRow::from_row(row)?;
                    let seen = row.0;
                    records.requests.extend(request_of(row)?);
                    Some(seen)
                }
                Rows::Returns => {
                    let row = ReturnRow::from_row(row)?;
                    let seen = row.0;
                    records.returns.extend(return_of(row)?);
                    Some(seen)
                }
                Rows::Clock => Some(<(Milliseconds,)>::from_row(row)?.0),
            };
            now = now.or(seen);
        }
    }
    records.orders.values_mut().for_each(KnownOrder::sort_lines);
    records.now = now.ok_or_else(no_clock)?;
    Ok((shelf, records))
}
