//! Whole databases that are copied: all of it, once, resumed, refused.

use crate::check::{checked, while_everybody_trades};
use crate::shop::{Backend, Shop};
use inventory_srv::copy::{Copied, CopyError, Progress, copy};
use inventory_srv::store::{self, Store};
use srv_config::LockStrategy;
use srv_runtime::Database;
use std::collections::BTreeMap;
use testkit::{MariaDb, TiDb};

/// A target that nobody serves.
struct Target {
    url: String,
    store: Store,
    database: Database,
    _folder: tempfile::TempDir,
}

impl Target {
    async fn empty(backend: Backend) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = match backend {
            Backend::MariaDb => MariaDb::shared().fresh_database(),
            Backend::TiDb => TiDb::shared().fresh_database(),
            Backend::Sqlite => format!("sqlite://{}", folder.path().join("copy.db").display()),
        };
        let database = Database::connect(&url, 2).await.unwrap();
        store::migrate(&database).await.unwrap();
        Self { url, store: Store::new(database.clone()), database, _folder: folder }
    }

    async fn execute(&self, statement: &'static str) {
        let rows = match &self.database {
            Database::MySql(pool) => {
                sqlx::query(statement).execute(pool).await.unwrap().rows_affected()
            }
            Database::Sqlite(pools) => {
                sqlx::query(statement).execute(&pools.write).await.unwrap().rows_affected()
            }
        };
        assert_eq!(rows, 1, "{statement}");
    }

    /// How many rows there are in all.
    async fn rows(&self) -> u64 {
        self.store.read().await.unwrap().on().fingerprint().await.unwrap().counts().sum()
    }
}

/// A shop that has seen every kind of act, and its store.
async fn shop(backend: Backend) -> (Shop, Store) {
    let shop = Shop::open(LockStrategy::GroupCommit, backend).await;
    shop.stock(&[(1, 100_000), (2, 100_000), (3, 100_000), (4, 100_000)]).await;
    while_everybody_trades(&shop, async {
        for n in 0..40 {
            shop.adjust(1, 5, &format!("a-{n}")).await.unwrap();
        }
    })
    .await;
    shop.set_safety(2, 7).await.unwrap();
    shop.sell("partly", &[(1, 3), (2, 1)]).await.unwrap();
    shop.reback_lines("partly", &[(1, 1)], "r-1").await.unwrap();
    shop.hold("held", &[(3, 5)], 3_600).await.unwrap();
    shop.cancel("never-seen").await.unwrap();
    let store = store_at(&shop.url).await;
    (shop, store)
}

async fn store_at(url: &str) -> Store {
    Store::new(Database::connect(url, 2).await.unwrap())
}

async fn copied(from: &Store, to: &Store) -> Result<Copied, CopyError> {
    copy(from, to, &mut |_| {}).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shop_moves_from_sqlite_to_mariadb_to_tidb_and_back() {
    let (shop, first) = shop(Backend::Sqlite).await;
    let rows: u64 = first.read().await.unwrap().on().fingerprint().await.unwrap().counts().sum();
    let mut from = first.clone();
    let mut targets = Vec::new();
    for backend in [Backend::MariaDb, Backend::TiDb, Backend::Sqlite] {
        let target = Target::empty(backend).await;
        let mut told: BTreeMap<&str, Progress> = BTreeMap::new();
        let mut tell = |progress: Progress| {
            let before = told.insert(progress.table, progress);
            assert!(before.is_none_or(|before| before.rows < progress.rows), "{progress:?}");
        };
        let copied = copy(&from, &target.store, &mut tell).await.unwrap();
        assert_eq!(copied, Copied { rows, found: 0, goods: 4 });
        assert!(told.values().all(|progress| progress.rows == progress.of), "{told:?}");
        assert_eq!(told.values().map(|progress| progress.of).sum::<u64>(), rows);
        from = target.store.clone();
        targets.push(target);
    }
    // The last is the first, row by row.
    assert_eq!(copied(&first, &from).await.unwrap(), Copied { rows: 0, found: rows, goods: 4 });
    let newest = shop.books().await.ledger.last().unwrap().0;
    // And each goes on where the shop left off.
    for (target, backend) in targets.iter().zip([Backend::MariaDb, Backend::TiDb, Backend::Sqlite])
    {
        let folder = tempfile::tempdir().unwrap();
        let strategy = LockStrategy::GroupCommit;
        let moved = Shop::open_at(target.url.clone(), strategy, backend, None, folder).await;
        assert!(moved.sell("partly", &[(1, 3), (2, 1)]).await.unwrap().replayed);
        assert!(moved.reback_lines("partly", &[(1, 1)], "r-1").await.unwrap().replayed);
        assert!(moved.adjust(1, 5, "a-7").await.unwrap().replayed);
        moved.confirm("held").await.unwrap();
        assert!(moved.cancel("never-seen").await.unwrap().replayed);
        moved.sell("new", &[(1, 1), (4, 1)]).await.unwrap();
        assert_eq!(moved.get(2).await.safety, 7);
        let ledger = moved.books().await.ledger;
        assert_eq!(ledger.iter().filter(|row| row.0 > newest).count(), 3);
        assert_eq!(checked(&moved, &[], false).await.figures(), (4, 0, 0));
        moved.close().await;
    }
    shop.close().await;
}

/// Copies until it comes to this table and has some of it, and is gone then as if it were killed between two batches.
/// A copy that is merely dropped may still have one on its way.
async fn break_off(from: Store, to: Store, table: &'static str) {
    let mut tell = move |progress: Progress| {
        if progress.table == table && (progress.rows > 0 || progress.of <= 10) {
            std::panic::resume_unwind(Box::new("broken off"));
        }
    };
    let copying = tokio::spawn(async move { copy(&from, &to, &mut tell).await });
    let broken = copying.await.expect_err("it came through");
    assert_eq!(broken.into_panic().downcast_ref(), Some(&"broken off"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_that_was_broken_off_goes_on_and_one_that_is_whole_finds_everything() {
    for (from, to) in [(Backend::MariaDb, Backend::Sqlite), (Backend::Sqlite, Backend::MariaDb)] {
        let (shop, source) = shop(from).await;
        let rows: u64 =
            source.read().await.unwrap().on().fingerprint().await.unwrap().counts().sum();
        let target = Target::empty(to).await;
        let mut found = 0;
        for table in ["ledger", "order_line", "stock"] {
            break_off(source.clone(), target.store.clone(), table).await;
            let now = target.rows().await;
            assert!(now > found && now < rows, "{table}: {found}, {now} of {rows} rows");
            found = now;
        }
        let rest = copied(&source, &target.store).await.unwrap();
        assert!(rest.found >= found && rest.rows > 0);
        assert_eq!(rest.rows + rest.found, rows);
        let again = copied(&source, &target.store).await.unwrap();
        assert_eq!(again, Copied { rows: 0, found: rows, goods: 4 });
        shop.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_with_other_data_is_left_as_it_is() {
    let (shop, source) = shop(Backend::Sqlite).await;
    for (table, foreign) in [
        ("stock", "INSERT INTO stock (goods_id, on_hand, update_time) VALUES (1, 7, 1)"),
        ("stock", "INSERT INTO stock (goods_id, on_hand, update_time) VALUES (99, 7, 1)"),
        (
            "ledger",
            "INSERT INTO ledger (id, goods_id, kind, delta, balance, time) VALUES (900000, 1, 1, 7, 7, 1)",
        ),
        (
            "orders",
            "INSERT INTO orders (order_sn, state, create_time, update_time) VALUES (x'00', 5, 1, 1)",
        ),
        (
            "hold",
            "INSERT INTO hold (order_sn, goods_id, quantity, expire_time) VALUES (x'FF', 1, 1, 1)",
        ),
    ] {
        for backend in [Backend::MariaDb, Backend::Sqlite] {
            let target = Target::empty(backend).await;
            target.execute(foreign).await;
            let refused = copied(&source, &target.store).await;
            assert!(
                matches!(refused, Err(CopyError::OtherData(named)) if named == table),
                "{refused:?}"
            );
            assert_eq!(target.rows().await, 1, "something was written");
        }
    }
    // A copy that somebody worked on is other data as well.
    let target = Target::empty(Backend::Sqlite).await;
    copied(&source, &target.store).await.unwrap();
    target.execute("UPDATE stock SET version = version + 1 WHERE goods_id = 2").await;
    let refused = copied(&source, &target.store).await;
    assert!(matches!(refused, Err(CopyError::OtherData("stock"))), "{refused:?}");
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_that_is_written_to_is_not_copied() {
    let (shop, source) = shop(Backend::MariaDb).await;
    // Traffic is seen before anything is copied.
    let target = Target::empty(Backend::Sqlite).await;
    let outcome = std::cell::OnceCell::new();
    while_everybody_trades(&shop, async {
        outcome.set(copied(&source, &target.store).await).unwrap();
    })
    .await;
    assert!(matches!(outcome.get(), Some(Err(CopyError::SourceChanges))), "{outcome:?}");
    assert_eq!(target.rows().await, 0);
    // One act is enough, whatever it is and whenever it comes.
    for act in 0..5 {
        let target = Target::empty(Backend::Sqlite).await;
        let mut is_done = false;
        let mut tell = |progress: Progress| {
            if progress.table == "orders" && !std::mem::replace(&mut is_done, true) {
                let act = async {
                    match act {
                        0 => drop(shop.sell("late", &[(1, 1)]).await.unwrap()),
                        1 => drop(shop.reback("late").await.unwrap()),
                        2 => drop(shop.cancel("never-seen-either").await.unwrap()),
                        3 => drop(shop.extend("held", 7_200).await.unwrap()),
                        _ => drop(shop.set_safety(2, 9).await.unwrap()),
                    }
                };
                tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(act));
            }
        };
        let outcome = copy(&source, &target.store, &mut tell).await;
        assert!(matches!(outcome, Err(CopyError::SourceChanges)), "{act}: {outcome:?}");
    }
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_that_is_written_to_meanwhile_is_no_copy() {
    let (shop, source) = shop(Backend::Sqlite).await;
    for foreign in [
        "INSERT INTO stock (goods_id, on_hand, update_time) VALUES (1, 7, 1)",
        "INSERT INTO stock (goods_id, on_hand, update_time) VALUES (99, 7, 1)",
    ] {
        let target = Target::empty(Backend::MariaDb).await;
        let mut is_done = false;
        let mut tell = |progress: Progress| {
            if progress.table == "orders" && !std::mem::replace(&mut is_done, true) {
                let write = target.execute(foreign);
                tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(write));
            }
        };
        let outcome = copy(&source, &target.store, &mut tell).await;
        assert!(matches!(outcome, Err(CopyError::TargetChanges)), "{outcome:?}");
    }
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_of_books_that_do_not_agree_says_which_goods() {
    let (shop, source) = shop(Backend::Sqlite).await;
    shop.tamper("UPDATE stock SET on_hand = on_hand + 3 WHERE goods_id IN (3, 4)").await;
    let target = Target::empty(Backend::MariaDb).await;
    let outcome = copied(&source, &target.store).await;
    let Err(CopyError::Drift { count, first }) = outcome else { panic!("{outcome:?}") };
    assert_eq!((count, first.goods.get()), (2, 3));
    // All is there, and can be set right there.
    let folder = tempfile::tempdir().unwrap();
    let strategy = LockStrategy::GroupCommit;
    let moved = Shop::open_at(target.url, strategy, Backend::MariaDb, None, folder).await;
    assert_eq!(checked(&moved, &[], true).await.figures(), (4, 2, 2));
    moved.close().await;
    checked(&shop, &[], true).await;
    shop.close().await;
}
