//! A lane presumes that an order to sell is new. What becomes of those that are not, and of those beside them.

use crate::shop::{Backend, Blocker, Shop, client, reason, sell};
use futures::future::join_all;
use proto::inventory::v1::{OrderState, SellResponse};
use srv_config::LockStrategy;
use std::time::Duration;
use tokio::time::timeout;
use tonic::Status;

/// After this time an order waits for the rows that somebody else holds.
const A_MOMENT: Duration = Duration::from_millis(200);

/// What one batch makes of these orders for single pieces of goods 1 (or what else one asks for), in their order.
async fn in_one_batch(shop: &Shop, orders: &[(&str, i64)]) -> Vec<Result<SellResponse, Status>> {
    let blocker = Blocker::hold(shop, 1).await;
    let mut first = Box::pin(shop.sell("first", &[(1, 1)]));
    assert!(timeout(A_MOMENT, &mut first).await.is_err(), "it did not wait for the row");
    let order = async |(sn, pieces): &(&str, i64)| shop.sell(sn, &[(1, *pieces)]).await;
    let mut others = Box::pin(join_all(orders.iter().map(order)));
    assert!(timeout(A_MOMENT, &mut others).await.is_err(), "they did not wait for the row");
    blocker.release().await;
    first.await.unwrap();
    others.await
}

/// Whether each is a replay, or why it is refused.
fn told(answers: Vec<Result<SellResponse, Status>>) -> Vec<String> {
    let told = |answer: Result<SellResponse, Status>| match answer {
        Ok(sold) => (if sold.replayed { "replay" } else { "sold" }).to_owned(),
        Err(status) => reason(&status),
    };
    answers.into_iter().map(told).collect()
}

async fn repeats_among_new_orders(backend: Backend) {
    let shop = Shop::open(LockStrategy::GroupCommit, backend).await;
    shop.stock(&[(1, 20)]).await;
    for sn in ["again", "other"] {
        shop.sell(sn, &[(1, 1)]).await.unwrap();
    }
    shop.cancel("closed").await.unwrap();
    let orders = [
        ("new-1", 1),
        ("again", 1),
        ("new-2", 1),
        ("other", 2),
        ("closed", 1),
        ("new-3", 1),
        ("new-1", 1),
        ("large", 999),
        ("other", 999),
    ];
    assert_eq!(
        told(in_one_batch(&shop, &orders).await),
        [
            "sold",
            "replay",
            "sold",
            "ORDER_PAYLOAD_MISMATCH",
            "ORDER_ALREADY_CLOSED",
            "sold",
            "replay",
            "INSUFFICIENT_STOCK",
            "ORDER_PAYLOAD_MISMATCH",
        ]
    );
    // Two before, the one that was waited for, and the new ones.
    assert_eq!(shop.on_hand(1).await, 20 - 2 - 1 - 3);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn repeats_among_new_orders_are_known_again_and_the_others_sold_once_on_mariadb() {
    repeats_among_new_orders(Backend::MariaDb).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn repeats_among_new_orders_are_known_again_and_the_others_sold_once_on_tidb() {
    repeats_among_new_orders(Backend::TiDb).await;
}

/// While nothing is left, no repeat is written that could meet its number: each is refused by itself, and looked up.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn repeats_that_would_be_refused_are_known_again() {
    let shop = Shop::open(LockStrategy::GroupCommit, Backend::MariaDb).await;
    shop.stock(&[(1, 3)]).await;
    for sn in ["again", "other"] {
        shop.sell(sn, &[(1, 1)]).await.unwrap();
    }
    shop.cancel("closed").await.unwrap();
    let orders = [("late", 1), ("again", 1), ("other", 2), ("closed", 1)];
    assert_eq!(
        told(in_one_batch(&shop, &orders).await),
        ["INSUFFICIENT_STOCK", "replay", "ORDER_PAYLOAD_MISMATCH", "ORDER_ALREADY_CLOSED",]
    );
    shop.close().await;
}

/// Two replicas are fed the same orders at once: each meets numbers that the other wrote a moment before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_replicas_that_presume_the_same_orders_new_sell_each_once() {
    let shop = Shop::open(LockStrategy::GroupCommit, Backend::MariaDb).await;
    let other = shop.another_replica(LockStrategy::GroupCommit).await;
    shop.stock(&[(1, 1_000)]).await;
    let numbers: Vec<String> = (0..200).map(|n| format!("o-{n}")).collect();
    let here = join_all(numbers.iter().map(|sn| shop.sell(sn, &[(1, 1)])));
    let client = client(other.address);
    let there = async |sn: &String| sell(&mut client.clone(), sn, &[(1, 1)]).await;
    let there = join_all(numbers.iter().map(there));
    let (here, there) = tokio::join!(here, there);
    let replayed = |answer: Result<SellResponse, Status>| answer.unwrap().replayed;
    for (here, there) in here.into_iter().zip(there) {
        assert!(replayed(here) != replayed(there), "sold twice, or by nobody");
    }
    assert_eq!(shop.on_hand(1).await, 800);
    drop(other);
    shop.close().await;
}

/// What a reservation took is remembered by who made it; if the record says otherwise, the record holds.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_remembered_of_a_reservation_is_not_believed_against_the_record() {
    let shop = Shop::open(LockStrategy::GroupCommit, Backend::MariaDb).await;
    shop.stock(&[(1, 10), (2, 10)]).await;
    shop.hold("o-1", &[(1, 3)], 60).await.unwrap();
    for statement in [
        "UPDATE order_line SET goods_id = 2",
        "UPDATE hold SET goods_id = 2",
        "UPDATE stock SET reserved = 3 * (goods_id - 1)",
    ] {
        shop.tamper(statement).await;
    }
    let order = shop.confirm("o-1").await.unwrap().order.unwrap();
    assert_eq!(order.state(), OrderState::Confirmed);
    let (untouched, sold) = (shop.get(1).await, shop.get(2).await);
    assert_eq!((untouched.on_hand, untouched.reserved), (10, 0));
    assert_eq!((sold.on_hand, sold.reserved), (7, 0));
    shop.close().await;
}
