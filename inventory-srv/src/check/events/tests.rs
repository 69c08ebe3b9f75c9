//! What a check finds in a store of its own, and what it tells.

use super::*;
use crate::decide::Changes;
use crate::record::{Entry, Kind, Stock};
use crate::store::{self, SUMMED_MAX, Store};
use srv_runtime::Database;
use tokio::sync::Semaphore;

const NEVER: Duration = Duration::from_secs(600);

const STOCK: Stock = Stock { on_hand: 1, reserved: 0, safety: 0, version: 1, update_time: 1 };

fn goods(id: i64) -> GoodsId {
    GoodsId::new(id).unwrap()
}

async fn empty(folder: &tempfile::TempDir) -> Store {
    let url = format!("sqlite://{}", folder.path().join("inventory.db").display());
    let database = Database::connect(&url, 2).await.unwrap();
    store::migrate(&database).await.unwrap();
    Store::new(database)
}

async fn write(store: &Store, changes: Changes) {
    let mut transaction = store.begin().await.unwrap();
    transaction.on().write(&changes, 0).await.unwrap();
    transaction.commit(&Changes::default()).await.unwrap();
}

/// A store with more goods that have no ledger than events may wait.
async fn drifted(folder: &tempfile::TempDir) -> Store {
    let store = empty(folder).await;
    let new_stocks = (1..=40).map(|id| (goods(id), STOCK)).collect();
    write(&store, Changes { new_stocks, ..Changes::default() }).await;
    store
}

/// Begins a check with these limits; waits until it has ended and reads what it told.
async fn all_told(limits: Limits, is_read_at_once: bool) -> Vec<Told> {
    let folder = tempfile::tempdir().unwrap();
    let turns = Arc::new(Semaphore::new(1));
    let turn = Arc::clone(&turns).try_acquire_owned().unwrap();
    let check = Check::begin(drifted(&folder).await, &[], false).await.unwrap();
    let mut events = told(check, turn, limits);
    if !is_read_at_once {
        drop(turns.acquire().await.unwrap());
    }
    let mut all = Vec::new();
    while let Some(event) = events.recv().await {
        all.push(event);
    }
    all
}

#[tokio::test]
async fn a_check_tells_what_drifted_how_far_it_is_and_that_it_is_done() {
    let limits = Limits { check: NEVER, untaken: NEVER, progress: Duration::ZERO };
    let told: Vec<_> = all_told(limits, true).await.into_iter().map(Result::unwrap).collect();
    assert!(told[..40].iter().all(|event| matches!(event, Event::Drifted(_))));
    let [Event::Progress(so_far), Event::Done(summary)] = told[40..] else { panic!("{told:?}") };
    assert_eq!((so_far, summary.goods, summary.drifts), (summary, 40, 40));
}

#[tokio::test]
async fn a_check_whose_events_nobody_takes_ends_and_says_so() {
    let untaken = Duration::from_millis(20);
    let told = all_told(Limits { check: NEVER, untaken, progress: NEVER }, false).await;
    assert_eq!(told.len(), EVENTS_MAX + 1);
    assert!(matches!(told.last(), Some(Err(Error::CheckTooLong))), "{told:?}");
}

#[tokio::test]
async fn a_check_that_takes_too_long_ends_and_says_so() {
    let limits = Limits { check: Duration::ZERO, untaken: NEVER, progress: NEVER };
    let told = all_told(limits, true).await;
    // Its time is looked at whenever it waits for something, which takes a while in coming where reading is fast.
    assert!(told.len() < 40, "{told:?}");
    assert!(matches!(told.last(), Some(Err(Error::CheckTooLong))), "{told:?}");
}

/// A row of the ledger of these goods.
fn entry(id: i64, delta: i64, balance: i64) -> Entry {
    Entry { goods: goods(id), order: None, kind: Kind::Adjust, delta, balance, reason: None }
}

#[tokio::test]
async fn a_check_looks_at_all_goods_and_all_rows_however_many_there_are() {
    /// More than are looked at together.
    const GOODS: i64 = 600;
    let folder = tempfile::tempdir().unwrap();
    let store = empty(&folder).await;
    let new_stocks = (1..=GOODS).map(|id| (goods(id), STOCK)).collect();
    let mut ledger: Vec<_> = (1..=GOODS).map(|id| entry(id, 1, 1)).collect();
    // Two with more rows than are added up at a time.
    for row in 0..SUMMED_MAX as i64 {
        let (delta, balance) = if row % 2 == 0 { (1, 2) } else { (-1, 1) };
        ledger.extend([entry(300, delta, balance), entry(301, delta, balance)]);
    }
    let rows = ledger.len() as u64;
    write(&store, Changes { new_stocks, ledger, ..Changes::default() }).await;
    let summed_up = async || {
        let mut check = Check::begin(store.clone(), &[], false).await.unwrap();
        let mut drifted = Vec::new();
        while let Some(found) = check.step().await.unwrap() {
            drifted.extend(found.into_iter().map(|drifted| drifted.goods.get()));
        }
        let Summary { goods, rows, .. } = check.summary();
        (goods, rows, drifted)
    };
    assert_eq!(summed_up().await, (GOODS as u64, rows, vec![]));
    let ledger = [1, 256, 257, 300, 301, GOODS].map(|id| entry(id, 1, 2)).into();
    write(&store, Changes { ledger, ..Changes::default() }).await;
    assert_eq!(summed_up().await, (GOODS as u64, rows + 6, vec![1, 256, 257, 300, 301, GOODS]));
}
