//! Orders that wait for rows which somebody else holds, and what has passed by the time they get them.

use crate::shop::{Backend, Blocker, CONNECTIONS, Shop, has_retry_info, reason, refusal, request};
use futures::future::join_all;
use inventory_srv::act::OrderAct;
use inventory_srv::error::Error;
use inventory_srv::order::{Order, OrderSn};
use proto::inventory::v1::batch_sell_result::Result as Outcome;
use proto::inventory::v1::{ListLedgerRequest, OrderState, list_ledger_request::Filter};
use srv_config::{InventoryHot, LaneSettings, LockStrategy};
use srv_runtime::Deadline;
use std::collections::BTreeSet;
use std::pin::pin;
use std::time::Duration;
use tokio::time::{Instant, timeout};
use tonic::Code;

/// After this time an order waits for the rows that somebody else holds.
const A_MOMENT: Duration = Duration::from_millis(200);
/// Longer than one attempt waits for a row.
const LOCK_WAIT: Duration = Duration::from_millis(3_500);

fn act(sn: &str) -> OrderAct {
    act_on(sn, 1)
}

fn act_on(sn: &str, goods: i64) -> OrderAct {
    OrderAct::Sell(Order::parse(sn.to_owned(), &[(goods, 1)], None).unwrap())
}

fn in_good_time() -> Deadline {
    Deadline(Instant::now() + Duration::from_secs(60))
}

contract! {
    async fn what_gets_its_turn_after_its_deadline_is_not_begun(shop: &Shop) {
        shop.stock(&[(1, 10)]).await;
        shop.sell("sold", &[(1, 3)]).await.unwrap();
        let reback = OrderAct::Reback(OrderSn::from_record("sold".to_owned()));
        for act in [act("late"), reback] {
            shop.inventory().order(act, Deadline(Instant::now())).await.unwrap_err();
        }
        assert_eq!(refusal(shop.order("late").await).1, "ORDER_NOT_FOUND");
        assert_eq!(shop.order("sold").await.unwrap().state(), OrderState::Confirmed);
        assert_eq!(shop.on_hand(1).await, 7);
    }

    /// The moment that counts is read after the row was had: a statement that began to wait before the end of the hold
    /// must not confirm it.
    async fn a_confirmation_that_waits_past_the_end_of_the_hold_comes_too_late(shop: &Shop) {
        shop.stock(&[(1, 1)]).await;
        let held = shop.hold("held", &[(1, 1)], 1).await.unwrap().order.unwrap();
        let blocker = Blocker::hold(shop, 1).await;
        let mut confirming = pin!(shop.confirm("held"));
        while shop.order("held").await.unwrap().state() != OrderState::Expired {
            let waiting = timeout(Duration::from_millis(20), &mut confirming).await;
            assert!(waiting.is_err(), "it did not wait for the row of {held:?}: {waiting:?}");
        }
        blocker.release().await;
        assert_eq!(refusal(confirming.await).1, "RESERVATION_EXPIRED");
        shop.sell("rival", &[(1, 1)]).await.unwrap();
    }

    /// 600 dead holds, of which one transaction releases 500.
    async fn an_order_gets_the_pieces_of_more_dead_holds_than_one_transaction_releases(shop: &Shop) {
        let lines = |pieces| (1..=200).map(|goods| (goods, pieces)).collect::<Vec<_>>();
        shop.stock(&lines(3)).await;
        for sn in ["a", "b", "c"] {
            shop.hold(sn, &lines(1), 1).await.unwrap();
        }
        shop.expire("c").await;
        shop.sell("rival", &lines(3)).await.unwrap();
        assert!(shop.books().await.holds.is_empty());
    }
}

/// Who has waited for a lock in vain tries again, and must do so as it began.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_finishes_under_the_strategy_that_accepted_it() {
    let shop = Shop::open(LockStrategy::RowLock, Backend::MariaDb).await;
    shop.stock(&[(1, 10)]).await;
    let blocker = Blocker::hold(&shop, 1).await;
    let mut selling = Box::pin(shop.inventory().order(act("early"), in_good_time()));
    assert!(timeout(A_MOMENT, &mut selling).await.is_err(), "it did not wait for the row");
    // There is no Redis, so nothing is sold under this one.
    let hot = InventoryHot::clone(&shop.settings().load());
    shop.settings().replace(InventoryHot { lock_strategy: LockStrategy::RedisLock, ..hot });
    assert_eq!(refusal(shop.sell("late", &[(1, 1)]).await).1, "LOCK_UNAVAILABLE");
    assert!(timeout(LOCK_WAIT, &mut selling).await.is_err(), "it gave up");
    blocker.release().await;
    selling.await.unwrap();
    assert_eq!(shop.on_hand(1).await, 9);
    shop.close().await;
}

/// All orders of a batch are decided at one moment, which the ledger tells.
async fn what_waits_for_a_row_shares_a_commit(backend: Backend) {
    let shop = Shop::open(LockStrategy::GroupCommit, backend).await;
    shop.stock(&[(1, 100)]).await;
    let blocker = Blocker::hold(&shop, 1).await;
    let orders = (0..64).map(|n| shop.inventory().order(act(&format!("o-{n}")), in_good_time()));
    let mut selling = Box::pin(join_all(orders));
    assert!(timeout(A_MOMENT, &mut selling).await.is_err(), "they did not wait for the row");
    blocker.release().await;
    selling.await.into_iter().for_each(|outcome| drop(outcome.unwrap()));
    let filter = Some(Filter::GoodsId(1));
    let entries = shop.ledger(ListLedgerRequest { filter, ..Default::default() }).await;
    let sold = entries.iter().filter(|entry| entry.delta < 0);
    let moments: Vec<_> = sold.map(|entry| entry.time.unwrap()).collect();
    assert_eq!(moments.len(), 64);
    let moments: BTreeSet<_> = moments.iter().map(|time| (time.seconds, time.nanos)).collect();
    // The first may have gone alone.
    assert!(moments.len() <= 2, "{} commits", moments.len());
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_that_wait_for_a_row_share_a_commit_on_mariadb() {
    what_waits_for_a_row_shares_a_commit(Backend::MariaDb).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_that_wait_for_the_file_share_a_commit_on_sqlite() {
    what_waits_for_a_row_shares_a_commit(Backend::Sqlite).await;
}

/// An order that this version cannot read, in the middle of a batch of others.
async fn one_is_unreadable(backend: Backend) {
    let shop = Shop::open(LockStrategy::GroupCommit, backend).await;
    with_lanes(&shop, |lanes| lanes.count = 1);
    shop.stock(&[(1, 100)]).await;
    for n in 0..8 {
        shop.sell(&format!("o-{n}"), &[(1, 1)]).await.unwrap();
    }
    // o-3, in a state of a version to come.
    shop.tamper("UPDATE orders SET state = 9 WHERE order_sn = x'6f2d33'").await;
    // All are looked up together, or as they come: whichever way the batches fall.
    for _ in 0..20 {
        let orders = (0..8).map(|n| request(&format!("o-{n}"), &[(1, 1)])).collect();
        let results = shop.batch_sell(orders).await.unwrap().results;
        let sold = results.iter().map(|entry| matches!(entry.result, Some(Outcome::Sold(_))));
        assert_eq!(sold.collect::<Vec<_>>(), [true, true, true, false, true, true, true, true]);
    }
    let blocker = Blocker::hold(&shop, 1).await;
    // The lane waits with the first one for the row, and the others are its next batch.
    let mut first = Box::pin(shop.sell("first", &[(1, 1)]));
    assert!(timeout(A_MOMENT, &mut first).await.is_err(), "it did not wait for the row");
    let both = async |n: usize| {
        let sn = format!("o-{n}");
        tokio::join!(shop.sell(&sn, &[(1, 1)]), shop.reback(&sn))
    };
    let mut others = Box::pin(join_all((0..8).map(both)));
    assert!(timeout(A_MOMENT, &mut others).await.is_err(), "they did not wait for the first");
    blocker.release().await;
    first.await.unwrap();
    for (n, (sold, given_back)) in others.await.into_iter().enumerate() {
        if n == 3 {
            assert_eq!(refusal(sold).1, "INTERNAL");
            assert_eq!(refusal(given_back).1, "INTERNAL");
        } else {
            // Which of the two came first is open.
            assert!(sold.is_ok() || refusal(sold).1 == "ORDER_ALREADY_CLOSED");
            assert!(given_back.unwrap().existed);
        }
    }
    shop.tamper("UPDATE orders SET state = 2 WHERE order_sn = x'6f2d33'").await;
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_that_cannot_be_read_fails_alone_in_its_batch_on_mariadb() {
    one_is_unreadable(Backend::MariaDb).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_that_cannot_be_read_fails_alone_in_its_batch_on_sqlite() {
    one_is_unreadable(Backend::Sqlite).await;
}

/// What queues while a batch waits for its rows is looked up when they are had: it may be what took the last piece.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_that_come_while_a_batch_waits_for_its_rows_are_known_again() {
    let shop = Shop::open(LockStrategy::GroupCommit, Backend::MariaDb).await;
    shop.stock(&[(1, 8)]).await;
    let numbers: Vec<String> = (0..8).map(|n| format!("o-{n}")).collect();
    for sn in &numbers {
        shop.sell(sn, &[(1, 1)]).await.unwrap();
    }
    let blocker = Blocker::hold(&shop, 1).await;
    let mut first = Box::pin(shop.sell("first", &[(1, 1)]));
    assert!(timeout(A_MOMENT, &mut first).await.is_err(), "it did not wait for the row");
    let mut others = Box::pin(join_all(numbers.iter().map(|sn| shop.sell(sn, &[(1, 1)]))));
    assert!(timeout(A_MOMENT, &mut others).await.is_err(), "they did not wait for the first");
    blocker.release().await;
    assert_eq!(refusal(first.await).1, "INSUFFICIENT_STOCK");
    for sold in others.await {
        assert!(sold.unwrap().replayed);
    }
    shop.close().await;
}

/// Those who wait for rows have all connections. Whoever waits for one must not stand there past his deadline, in the
/// way of those behind him.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_for_a_connection_goes_when_his_deadline_passes() {
    for strategy in [LockStrategy::RowLock, LockStrategy::Optimistic, LockStrategy::Conditional] {
        let shop = Shop::open(strategy, Backend::MariaDb).await;
        shop.stock(&[(1, 100), (2, 100)]).await;
        let blocker = Blocker::hold(&shop, 1).await;
        let sell =
            async |n: u32| shop.inventory().order(act(&format!("o-{n}")), in_good_time()).await;
        let mut waiting = Box::pin(join_all((0..CONNECTIONS).map(sell)));
        assert!(timeout(A_MOMENT, &mut waiting).await.is_err(), "they did not wait for the row");
        let began = Instant::now();
        let late = shop.inventory().order(act_on("late", 2), Deadline(began + A_MOMENT)).await;
        assert!(matches!(late, Err(Error::DeadlinePassed)), "{strategy:?}: {late:?}");
        assert!(began.elapsed() < 5 * A_MOMENT, "{strategy:?}: it stood for {:?}", began.elapsed());
        blocker.release().await;
        waiting.await.into_iter().for_each(|outcome| drop(outcome.unwrap()));
        assert_eq!((shop.on_hand(1).await, shop.on_hand(2).await), (84, 100));
        shop.close().await;
    }
}

/// A batch that is halved for the sake of what cannot be read is decided in the order in which it came.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn halves_of_a_batch_keep_its_order() {
    let shop = Shop::open(LockStrategy::GroupCommit, Backend::MariaDb).await;
    shop.stock(&[(1, 3)]).await;
    for sn in ["bad-1", "bad-2"] {
        shop.sell(sn, &[(1, 1)]).await.unwrap();
    }
    shop.tamper("UPDATE orders SET state = 9").await;
    let blocker = Blocker::hold(&shop, 1).await;
    let mut first = Box::pin(shop.inventory().order(act("bad-1"), in_good_time()));
    assert!(timeout(A_MOMENT, &mut first).await.is_err(), "it did not wait for the row");
    let next = ["good-1", "bad-1", "good-2", "bad-2", "good-3", "bad-1", "good-4", "bad-2"];
    let mut next =
        Box::pin(join_all(next.map(|sn| shop.inventory().order(act(sn), in_good_time()))));
    assert!(timeout(A_MOMENT, &mut next).await.is_err(), "they did not wait for the first");
    blocker.release().await;
    first.await.unwrap_err();
    let sold = next.await.into_iter().filter_map(Result::ok);
    let sold: Vec<_> = sold.map(|receipt| receipt.order.sn.to_string()).collect();
    assert_eq!(sold, ["good-1"]);
    shop.tamper("UPDATE orders SET state = 2").await;
    shop.close().await;
}

/// The lanes' settings as they are but for these.
fn with_lanes(shop: &Shop, change: impl FnOnce(&mut LaneSettings)) {
    let mut hot = InventoryHot::clone(&shop.settings().load());
    change(&mut hot.lanes);
    shop.settings().replace(hot);
}

/// MariaDB undoes the one statement that has waited too long for a row, and leaves its transaction open.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_that_waited_in_vain_for_a_row_is_begun_anew() {
    let shop = Shop::open(LockStrategy::GroupCommit, Backend::MariaDb).await;
    with_lanes(&shop, |lanes| lanes.count = 1);
    shop.stock(&[(1, 10), (2, 10)]).await;
    let blocker = Blocker::hold(&shop, 2).await;
    let order = |sn, goods| shop.inventory().order(act_on(sn, goods), in_good_time());
    let mut first = Box::pin(order("first", 2));
    assert!(timeout(A_MOMENT, &mut first).await.is_err(), "it did not wait for the row");
    let mut others = Box::pin(join_all([order("free", 1), order("second", 2)]));
    let all = async { tokio::join!(&mut first, &mut others) };
    assert!(timeout(LOCK_WAIT, all).await.is_err(), "it gave up");
    blocker.release().await;
    first.await.unwrap();
    others.await.into_iter().for_each(|outcome| drop(outcome.unwrap()));
    assert_eq!((shop.on_hand(1).await, shop.on_hand(2).await), (9, 8));
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_finds_the_queue_full_is_told_at_once_when_to_come_again() {
    const QUEUED: usize = 4;
    let shop = Shop::open(LockStrategy::GroupCommit, Backend::MariaDb).await;
    with_lanes(&shop, |lanes| {
        *lanes = LaneSettings { count: 1, batch_orders: 1, queued_orders: QUEUED as i32 };
    });
    shop.stock(&[(1, 100)]).await;
    let blocker = Blocker::hold(&shop, 1).await;
    let sell = async |n: usize| shop.sell(&format!("o-{n}"), &[(1, 1)]).await;
    // The first waits for the row, and stands in the queue until it has it; the others wait for the first.
    let mut first = Box::pin(sell(0));
    assert!(timeout(A_MOMENT, &mut first).await.is_err(), "it did not wait for the row");
    let mut others = Box::pin(join_all((1..QUEUED).map(sell)));
    assert!(timeout(A_MOMENT, &mut others).await.is_err(), "they did not wait for the first");
    let status = loop {
        // One that waits found room: of the others not all had come.
        if let Ok(answer) = timeout(A_MOMENT, sell(QUEUED)).await {
            break answer.unwrap_err();
        }
    };
    assert_eq!((status.code(), reason(&status).as_str()), (Code::Unavailable, "OVERLOADED"));
    assert!(has_retry_info(&status) && status.metadata().contains_key("grpc-retry-pushback-ms"));
    blocker.release().await;
    first.await.unwrap();
    others.await.into_iter().for_each(|sold| drop(sold.unwrap()));
    sell(QUEUED).await.unwrap();
    assert_eq!(shop.on_hand(1).await, 95);
    shop.close().await;
}
