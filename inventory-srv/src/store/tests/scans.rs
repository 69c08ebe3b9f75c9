//! No statement reads, and so none locks, rows that nobody asked for.

use super::world::{World, changed, goods_id, new_stock, order_on_record, reserved, sn};
use crate::act::Needs;
use crate::decide::Changes;
use crate::order::Key;
use crate::record::{KnownOrder, LedgerFilter, OrderFilter, OrderState, Span};
use crate::store::script::Script;
use crate::store::statements::PAIRS_MAX;
use crate::store::{Database, Opening, Session, StoreError, sqlite};
use sqlx::mysql::MySqlRow;
use sqlx::{MySqlConnection, Row};

/// How many orders, lines and holds there are; each is on goods of its own but for the last.
const ROWS: usize = 1_500;

/// How many rows any of the statements below may read: far fewer than there are.
const READ_MAX: i64 = 60;

async fn rows_read(connection: &mut MySqlConnection) -> i64 {
    let rows = sqlx::query("SHOW SESSION STATUS LIKE 'Handler_read%'").fetch_all(connection);
    // Some versions send text as bytes.
    let count = |row: &MySqlRow| -> i64 {
        let bytes: Vec<u8> = row.try_get_unchecked(1).unwrap();
        String::from_utf8(bytes).unwrap().parse().unwrap()
    };
    rows.await.unwrap().iter().map(count).sum()
}

async fn filled() -> (World, Vec<KnownOrder>) {
    let world = World::mariadb().await;
    let mut stocks = new_stock(1, 100);
    let (_, stock) = stocks.new_stocks[0];
    stocks.new_stocks = (1..=ROWS as i64).map(|goods| (goods_id(goods), stock)).collect();
    world.write(&stocks).await.unwrap();
    let order = |n: usize| {
        order_on_record(n, n as i64 + 1, n as i64 + 1, OrderState::Reserved, Some(n as i64 + 1))
    };
    let new_orders: Vec<_> = (0..ROWS).map(order).collect();
    let ledger = (0..ROWS).map(|n| super::world::entry(n as i64 + 1, n, 1, 1)).collect();
    let returns = (0..ROWS).map(|n| ((sn(n), Key::from_record("r".into())), [1; 32])).collect();
    let changes =
        Changes { new_orders: new_orders.clone(), ledger, returns, now: 1, ..Changes::default() };
    world.write(&changes).await.unwrap();
    (world, new_orders)
}

/// Asserts that what `$work` does on its session reads few rows.
macro_rules! assert_reads_few {
    ($world:expr, $name:literal, |$session:ident| $work:expr) => {{
        let mut transaction = $world.store.begin().await.unwrap();
        let mut session = transaction.on();
        let Session::MySql(connection) = &mut session else { panic!("not MySQL") };
        let first = rows_read(connection).await;
        let before = rows_read(connection).await;
        {
            let $session = &mut session;
            $work.unwrap();
        }
        let Session::MySql(connection) = &mut session else { panic!("not MySQL") };
        // The look at the counters counts as well.
        let read = rows_read(connection).await - before - (before - first);
        transaction.rollback().await;
        println!("{}: {read} rows", $name);
        assert!(read < READ_MAX, "{} reads {read} rows", $name);
    }};
}

async fn return_one(session: &mut Session<'_>) -> Result<(), StoreError> {
    let sn = sn(300);
    let mut script = Script::on(session);
    script.return_some(&[(&sn, goods_id(301), 1)]);
    session.run(script).await
}

#[tokio::test]
async fn no_statement_on_mariadb_reads_rows_that_nobody_asked_for() {
    let (world, orders) = filled().await;
    let needs = Needs {
        goods: [5, 700, 1_400].map(goods_id).into(),
        orders: [sn(4), sn(700), sn(9_999)].into(),
        requests: [Key::from_record("x".into())].into(),
        returns: [4, 5, 6].map(|n| (sn(n), Key::from_record("r".into()))).into(),
    };
    let goods: Vec<_> = needs.goods.iter().copied().collect();
    assert_reads_few!(world, "nothing", |session| session.clock().await);
    assert_reads_few!(world, "lock_shelf", |session| session.lock_shelf(&needs.goods).await);
    assert_reads_few!(world, "look_at_shelf", |session| session.look_at_shelf(&needs.goods).await);
    assert_reads_few!(world, "records", |session| session.records(&needs).await);
    assert_reads_few!(world, "stocks", |session| session.stocks(&goods).await);
    assert_reads_few!(world, "expired", |session| session.expired(&needs.goods, 2_000).await);
    let filter = OrderFilter { from: Some(3), until: Some(900), ..OrderFilter::default() };
    assert_reads_few!(world, "orders", |session| session.orders(&filter, None, 3).await);
    let filter = OrderFilter { goods: Some(goods_id(9)), ..filter };
    assert_reads_few!(world, "orders", |session| session.orders(&filter, None, 3).await);
    let ledger = LedgerFilter::Goods(goods_id(9));
    assert_reads_few!(world, "ledger", |session| session.ledger(&ledger, None, 3).await);
    let ledger = LedgerFilter::Order(sn(9));
    assert_reads_few!(world, "ledger", |session| session.ledger(&ledger, None, 3).await);
    let span = Span { after: 8, through: 11 };
    assert_reads_few!(world, "shelf_of", |session| session.shelf_of(Span::ALL, 3).await);
    assert_reads_few!(world, "shelf_of", |session| session.shelf_of(span, 300).await);
    assert_reads_few!(world, "summed", |session| session.summed((8, 9), span.through).await);
    assert_reads_few!(world, "held", |session| session.held(span).await);
    assert_reads_few!(world, "lock_oldest_entries", |session| {
        session.lock_oldest_entries(goods_id(9)).await
    });
    let opening = Opening { id: ROWS as i64 / 2, delta: 1, rows: 1 };
    let of = goods_id(opening.id);
    assert_reads_few!(world, "open_ledger", |session| session.open_ledger(of, opening).await);
    // Orders are as old as their number; a hold keeps each.
    let sns = [sn(4), sn(700)];
    assert_reads_few!(world, "delete_orders", |session| session.delete_orders(&sns, 9_999).await);
    let ids = [Key::from_record("x".into())];
    assert_reads_few!(world, "old_requests", |session| session.old_requests(9).await);
    assert_reads_few!(world, "delete_requests", |session| session.delete_requests(&ids, 9).await);
    let stock = world.stock(9).await;
    let update = changed(9, stock, reserved(stock, 1));
    assert_reads_few!(world, "update_stocks", |session| session.write(&update, 1).await);
    let release = Changes {
        released: [8, 9, 20].map(|n| (sn(n), goods_id(n as i64 + 1))).into(),
        now: 2_000,
        ..Changes::default()
    };
    assert_reads_few!(world, "release_holds", |session| session.write(&release, 0).await);
    let steps: [fn(&mut KnownOrder); 4] = [
        |order| order.expire_time = Some(9_000),
        |order| (order.state, order.lines[0].held) = (OrderState::Cancelled, false),
        |order| order.lines[0].returned = 1,
        |order| order.update_time = 77,
    ];
    for step in steps {
        let orders = orders[300..303].iter().map(|before| {
            let mut after = before.clone();
            step(&mut after);
            (before.clone(), after)
        });
        let changes = Changes { orders: orders.collect(), now: 5, ..Changes::default() };
        assert_reads_few!(world, "step", |session| session.write(&changes, 0).await);
    }
    // Some lines of an order, but not all.
    assert_reads_few!(world, "return_some", |session| return_one(session).await);
}

#[tokio::test]
async fn a_stock_row_that_is_asked_for_is_all_that_is_locked() {
    let world =
        World::mariadb().await.stocked(1, 10).await.stocked(2, 10).await.stocked(3, 10).await;
    let mut first = world.store.begin().await.unwrap();
    first.on().lock_shelf(&[1, 3].map(goods_id).into()).await.unwrap();
    let stock = world.stock(2).await;
    world.write(&changed(2, stock, super::world::sold(stock, 1))).await.unwrap();
    first.rollback().await;
    let absent: Result<_, StoreError> = world.reader().await.on().order(&sn(1)).await;
    assert!(absent.unwrap().1.is_none());
}

#[tokio::test]
async fn no_statement_on_sqlite_scans_a_table_or_all_of_a_location() {
    let world = World::sqlite().await;
    let Database::Sqlite(pools) = &world.database else { panic!("not SQLite") };
    // The fingerprint is of all rows.
    let some = sqlite::STATEMENTS.all().into_iter().filter(|(name, _)| *name != "fingerprint");
    for (name, statement) in some {
        for length in [1, 4, PAIRS_MAX] {
            let text = format!("EXPLAIN QUERY PLAN {}", statement.text(length).0);
            let plan: Vec<(i64, i64, i64, String)> =
                sqlx::query_as(sqlx::AssertSqlSafe(text)).fetch_all(&pools.write).await.unwrap();
            for (_, _, _, step) in plan {
                // The clock, the rows of an INSERT and what was found before are no tables.
                let is_harmless = ["clock", "dead", "walked", "summed", "CONSTANT", "VALUES"]
                    .iter()
                    .any(|word| step.contains(word));
                assert!(is_harmless || !step.starts_with("SCAN"), "{name}: {step}");
                assert!(!step.contains("(location_id=?)"), "{name}: {step}");
            }
        }
    }
}
