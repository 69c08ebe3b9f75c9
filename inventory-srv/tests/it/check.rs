//! Rules of `CheckLedger`.

use crate::race::all_at_once;
use crate::shop::{
    Blocker, Client, Shop, bad_request, client, has_retry_info, reason, refusal, request, sell,
};
use proto::inventory::v1::{
    CancelRequest, CheckLedgerRequest, CheckLedgerResponse, ConfirmRequest, LedgerCheckSummary,
    LedgerDisagreement, LedgerDrift, LedgerKind, ListLedgerRequest, RebackRequest, SellRequest,
    check_ledger_response::Event, list_ledger_request::Filter,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tonic::{Code, Status, Streaming};

/// How long anything here may take to be seen, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a whole check told.
#[derive(Debug)]
pub(crate) struct Told {
    drifts: Vec<LedgerDrift>,
    summary: LedgerCheckSummary,
}

impl Told {
    pub(crate) fn figures(&self) -> (i64, i64, i64) {
        (self.summary.goods_checked, self.summary.drifts, self.summary.repaired)
    }
}

async fn begun(
    client: &mut Client,
    goods_ids: &[i64],
    repair: bool,
) -> Result<Streaming<CheckLedgerResponse>, Status> {
    let request = CheckLedgerRequest { goods_ids: goods_ids.to_vec(), repair };
    Ok(client.check_ledger(request).await?.into_inner())
}

/// Reads a check to its end, which must be a summary.
async fn read(mut events: Streaming<CheckLedgerResponse>) -> Told {
    let (mut drifts, mut summary) = (Vec::new(), None);
    while let Some(response) = events.message().await.unwrap() {
        assert!(summary.is_none(), "something comes after the summary");
        match response.event.unwrap() {
            Event::Drift(drift) => drifts.push(drift),
            Event::Progress(_) => {}
            Event::Summary(sums) => summary = Some(sums),
        }
    }
    let told = Told { drifts, summary: summary.expect("a summary at the end") };
    assert_eq!(told.summary.drifts, i64::try_from(told.drifts.len()).unwrap());
    let repaired = told.drifts.iter().filter(|drift| drift.repaired).count();
    assert_eq!(told.summary.repaired, i64::try_from(repaired).unwrap());
    told
}

pub(crate) async fn checked(shop: &Shop, goods_ids: &[i64], repair: bool) -> Told {
    read(begun(&mut shop.client(), goods_ids, repair).await.unwrap()).await
}

/// A drift that was not repaired: on hand, sum, newest balance, reserved, held.
fn drift(goods_id: i64, which: &[LedgerDisagreement], figures: [i64; 5]) -> LedgerDrift {
    let [on_hand, ledger_sum, newest_balance, reserved, held] = figures;
    LedgerDrift {
        goods_id,
        disagreements: which.iter().map(|which| (*which).into()).collect(),
        on_hand,
        ledger_sum,
        newest_balance,
        reserved,
        held,
        repaired: false,
        reason: String::new(),
    }
}

/// Kind, delta, balance and reason of the newest row of a goods' ledger.
async fn newest(shop: &Shop, goods_id: i64) -> (LedgerKind, i64, i64, String) {
    let filter = Some(Filter::GoodsId(goods_id));
    let rows = shop.ledger(ListLedgerRequest { filter, ..Default::default() }).await;
    (rows[0].kind(), rows[0].delta, rows[0].balance, rows[0].reason.clone())
}

/// Sells, holds, confirms, cancels and gives back, until it is told to stop; answers how many pieces of goods 1 it
/// keeps.
async fn trade(client: &mut Client, trader: &str, stop: &AtomicBool) -> i64 {
    let mut kept = 0;
    for round in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let order_sn = format!("{trader}-{round}");
        let lines = [(1, 1), (2 + i64::from(round % 3), 2)];
        match round % 4 {
            0 => {
                sell(client, &order_sn, &lines).await.unwrap();
                kept += 1;
            }
            1 => {
                sell(client, &order_sn, &lines).await.unwrap();
                client.reback(RebackRequest { order_sn, ..Default::default() }).await.unwrap();
            }
            way => {
                let ttl = crate::calls::seconds(60);
                client.sell(SellRequest { ttl, ..request(&order_sn, &lines) }).await.unwrap();
                if way == 2 {
                    let confirm = ConfirmRequest { order_sn, reacquire: false };
                    client.confirm(confirm).await.unwrap();
                    kept += 1;
                } else {
                    client.cancel(CancelRequest { order_sn }).await.unwrap();
                }
            }
        }
    }
    kept
}

/// Has eight clients trade while `work` is going on; answers how many pieces of goods 1 they keep.
pub(crate) async fn while_everybody_trades(shop: &Shop, work: impl Future<Output = ()>) -> i64 {
    let stop = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&stop);
    // No traders of one shop have the same name.
    let name: u32 = rand::random();
    let trading = all_at_once(shop, 8, move |trader, mut client| {
        let stop = Arc::clone(&told);
        async move { trade(&mut client, &format!("t-{name}-{trader}"), &stop).await }
    });
    let working = async {
        work.await;
        stop.store(true, Ordering::Relaxed);
    };
    let (kept, ()) = tokio::join!(trading, working);
    kept.into_iter().sum()
}

contract! {
    async fn books_that_agree_have_no_drift(shop: &Shop) {
        let none = checked(shop, &[], true).await;
        assert_eq!((none.figures(), none.summary.rows_read), ((0, 0, 0), 0));
        shop.stock(&[(1, 10), (2, 10), (3, 0)]).await;
        shop.sell("o-1", &[(1, 3), (2, 1)]).await.unwrap();
        shop.reback_lines("o-1", &[(1, 1)], "r-1").await.unwrap();
        shop.hold("o-2", &[(1, 2)], 60).await.unwrap();
        shop.hold("dead", &[(2, 2)], 1).await.unwrap();
        shop.expire("dead").await;
        let books = shop.books().await;
        for repair in [false, true] {
            let told = checked(shop, &[], repair).await;
            assert_eq!(told.figures(), (3, 0, 0));
            assert_eq!(told.summary.rows_read, i64::try_from(books.ledger.len()).unwrap());
            assert!(told.summary.snapshot_time.is_some());
        }
        assert_eq!(shop.books().await.ledger, books.ledger, "what agrees was repaired");
    }

    async fn what_drifted_is_named_with_its_figures_and_set_right_if_asked(shop: &Shop) {
        use LedgerDisagreement::{Balance, OnHand, Reserved};
        shop.stock(&[(1, 10), (2, 10), (3, 10), (4, 10)]).await;
        shop.sell("o-1", &[(1, 2), (4, 1)]).await.unwrap();
        shop.hold("o-2", &[(2, 3)], 60).await.unwrap();
        shop.tamper("UPDATE stock SET on_hand = on_hand + 5 WHERE goods_id = 1").await;
        shop.tamper("UPDATE stock SET reserved = reserved - 1 WHERE goods_id = 2").await;
        shop.tamper("UPDATE ledger SET balance = 11 WHERE goods_id = 3").await;
        let expected = [
            drift(1, &[OnHand], [13, 8, 8, 0, 0]),
            drift(2, &[Reserved], [10, 10, 10, 2, 3]),
            drift(3, &[Balance], [10, 10, 11, 0, 0]),
        ];
        let told = checked(shop, &[], false).await;
        assert_eq!((told.figures(), &told.drifts[..]), ((4, 3, 0), &expected[..]));
        assert_eq!(shop.on_hand(1).await, 13, "repaired without being asked");
        let told = checked(shop, &[], true).await;
        let repaired = expected.map(|drift| LedgerDrift { repaired: true, ..drift });
        assert_eq!((told.figures(), &told.drifts[..]), ((4, 3, 3), &repaired[..]));
        for (goods_id, balance, reason) in
            [(1, 8, "on_hand 13 -> 8"), (2, 10, "reserved 2 -> 3"), (3, 10, "balance 11 -> 10")]
        {
            let row = (LedgerKind::Repair, 0, balance, reason.to_owned());
            assert_eq!(newest(shop, goods_id).await, row);
        }
        assert_eq!(newest(shop, 4).await.0, LedgerKind::Sell);
        assert_eq!((shop.on_hand(1).await, shop.get(2).await.reserved), (8, 3));
        assert_eq!(checked(shop, &[], true).await.figures(), (4, 0, 0));
        // Nothing is in the way of what follows.
        shop.confirm("o-2").await.unwrap();
        shop.sell("o-3", &[(1, 8), (3, 1)]).await.unwrap();
    }

    async fn a_drift_that_cannot_be_set_right_says_why(shop: &Shop) {
        shop.stock(&[(1, 10), (2, 10)]).await;
        shop.hold("o-1", &[(1, 3)], 60).await.unwrap();
        shop.tamper("UPDATE ledger SET delta = 2 WHERE goods_id = 1").await;
        shop.tamper("UPDATE ledger SET delta = 1000000001 WHERE goods_id = 2").await;
        let told = checked(shop, &[], true).await;
        let why: Vec<_> = told.drifts.iter().map(|drift| (drift.repaired, drift.reason.as_str())).collect();
        assert_eq!((told.figures(), &why[..]), ((2, 2, 0), &[(false, "SUM_BELOW_HELD"), (false, "SUM_ABOVE_CAP")][..]));
        assert_eq!((shop.on_hand(1).await, shop.on_hand(2).await), (10, 10));
        let told = checked(shop, &[], false).await;
        assert!(told.drifts.iter().all(|drift| drift.reason.is_empty()));
        // The way out.
        shop.adjust(1, 1, "r-1").await.unwrap();
        shop.tamper("UPDATE ledger SET delta = 10 WHERE goods_id = 2").await;
        assert_eq!(checked(shop, &[], true).await.figures(), (2, 1, 1));
        assert_eq!(shop.on_hand(1).await, 3);
    }

    async fn goods_that_left_the_stock_are_found_in_the_ledger(shop: &Shop) {
        shop.stock(&[(1, 10), (2, 10), (3, 10)]).await;
        shop.sell("o-1", &[(2, 3)]).await.unwrap();
        shop.tamper("DELETE FROM stock WHERE goods_id >= 2").await;
        let told = checked(shop, &[], false).await;
        let named: Vec<_> = told.drifts.iter().map(|drift| (drift.goods_id, drift.on_hand, drift.ledger_sum)).collect();
        assert_eq!((told.figures(), &named[..]), ((3, 2, 0), &[(2, 0, 7), (3, 0, 10)][..]));
        assert_eq!(checked(shop, &[], true).await.figures(), (3, 2, 2));
        shop.sell("o-2", &[(2, 7)]).await.unwrap();
    }

    async fn only_the_goods_asked_for_are_checked(shop: &Shop) {
        shop.stock(&[(1, 10), (2, 10), (3, 10)]).await;
        shop.tamper("UPDATE stock SET on_hand = 9").await;
        let told = checked(shop, &[3, 9, 2, 3], true).await;
        let named: Vec<_> = told.drifts.iter().map(|drift| drift.goods_id).collect();
        assert_eq!((told.figures(), &named[..]), ((2, 2, 2), &[3, 2][..]));
        assert_eq!((shop.on_hand(1).await, shop.on_hand(2).await), (9, 10));
        assert_eq!(checked(shop, &[], true).await.figures(), (3, 1, 1));
        let status = begun(&mut shop.client(), &[1, 0], false).await.unwrap_err();
        assert_eq!(bad_request(&status), [("goods_ids[1]".to_owned(), "INVALID_GOODS_ID".to_owned())]);
        let many: Vec<i64> = (1..=501).collect();
        let begun = begun(&mut shop.client(), &many, false).await;
        assert_eq!(refusal(begun.map(drop)), (Code::InvalidArgument, "TOO_MANY_GOODS".into()));
    }

    async fn a_check_while_everybody_trades_finds_no_drift(shop: &Shop) {
        shop.stock(&[(1, 100_000), (2, 100_000), (3, 100_000), (4, 100_000)]).await;
        let checking = async {
            for _ in 0..20 {
                let told = checked(shop, &[], true).await;
                assert_eq!((told.figures(), &told.drifts[..]), ((4, 0, 0), &[][..]));
            }
        };
        let kept = while_everybody_trades(shop, checking).await;
        assert!(kept > 0, "nobody traded");
        assert_eq!(shop.on_hand(1).await, 100_000 - kept);
    }

    async fn a_stock_that_is_repaired_while_everybody_trades_is_what_the_ledger_says(shop: &Shop) {
        shop.stock(&[(1, 100_000), (2, 100_000), (3, 100_000), (4, 100_000)]).await;
        let repairing = async {
            for _ in 0..10 {
                // As another writer would: who read the row before must look again.
                shop.tamper("UPDATE stock SET on_hand = on_hand + 7, version = version + 1 WHERE goods_id = 1").await;
                let told = checked(shop, &[], true).await;
                assert_eq!((told.figures(), told.drifts[0].goods_id), ((4, 1, 1), 1));
                let LedgerDrift { on_hand, ledger_sum, .. } = told.drifts[0];
                assert_eq!(on_hand, ledger_sum + 7);
            }
        };
        let kept = while_everybody_trades(shop, repairing).await;
        assert!(kept > 0, "nobody traded");
        assert_eq!(shop.on_hand(1).await, 100_000 - kept);
        assert_eq!(checked(shop, &[], false).await.figures(), (4, 0, 0));
    }

    async fn a_replica_runs_one_check_at_a_time(shop: &Shop) {
        shop.stock(&[(1, 10)]).await;
        shop.tamper("UPDATE stock SET on_hand = 9").await;
        let blocker = Blocker::hold(shop, 1).await;
        let first = begun(&mut shop.client(), &[], true).await.unwrap();
        let status = begun(&mut shop.client(), &[], false).await.unwrap_err();
        assert_eq!((status.code(), reason(&status)), (Code::Unavailable, "OVERLOADED".into()));
        assert!(has_retry_info(&status));
        // Another replica has a turn of its own.
        let other = shop.another_replica(srv_config::LockStrategy::RowLock).await;
        let told = read(begun(&mut client(other.address), &[], false).await.unwrap()).await;
        assert_eq!(told.figures(), (1, 1, 0));
        blocker.release().await;
        assert_eq!(read(first).await.figures(), (1, 1, 1));
        assert_eq!(checked(shop, &[], false).await.figures(), (1, 0, 0));
    }

    async fn a_check_ends_with_its_caller(shop: &Shop) {
        shop.stock(&[(1, 10)]).await;
        shop.tamper("UPDATE stock SET on_hand = 9").await;
        let blocker = Blocker::hold(shop, 1).await;
        drop(begun(&mut shop.client(), &[], true).await.unwrap());
        let next = async {
            loop {
                match begun(&mut shop.client(), &[], false).await {
                    Ok(events) => return read(events).await,
                    Err(status) => assert_eq!(reason(&status), "OVERLOADED"),
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let told = tokio::time::timeout(PATIENCE, next).await.expect("the check goes on without its caller");
        assert_eq!(told.figures(), (1, 1, 0));
        blocker.release().await;
        // The repair that was begun may be done by now, or not.
        assert_eq!(checked(shop, &[], true).await.summary.goods_checked, 1);
    }
}
