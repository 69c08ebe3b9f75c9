//! No fault but too many who want the same: one goods, one order number, the same pieces back.

use crate::{
    caller::Caller,
    history::{Act, Lines, Told},
    load::{Left, settle},
    scenario::{Course, Form, Outcome},
    script::one_of,
    shop::{Place, Shop, rounds},
};
use anyhow::{Context, Result};
use futures::future::join_all;
use proto::inventory::v1::SetStockRequest;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use srv_config::LockStrategy;
use std::{collections::BTreeSet, sync::Arc, time::Duration};
use testkit::MariaDb;
use tokio::{
    sync::Barrier,
    task::{JoinSet, block_in_place},
};

/// The goods that everybody wants, and how many pieces of it there are.
const WANTED: i64 = 7;
const PIECES: i64 = 200;
/// Goods of which there are plenty. Every second order wants them as well, half of those name them first.
const PLENTY: i64 = 3;
/// How many want it, and how many orders each of them sends.
const CLIENTS: u64 = 64;
const ORDERS_SHORT: u64 = 6;
const ORDERS_LONG: u64 = 160;
/// How many send the same order at once, and how many give the same one back at once, in part and whole. All calls
/// about one order must not be more than the checker takes.
const SAME: usize = 100;
const BACK: usize = 48;
/// A call that waits for a hundred others on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// Everybody wants the last pieces of one goods, some with others, in opposite orders: exactly as many orders are
/// acknowledged as there are pieces.
pub async fn sold_out(course: &Course) -> Result<Outcome> {
    let (mut outcome, mut random) = (Outcome::default(), course.random());
    let orders = if course.form == Form::Short { ORDERS_SHORT } else { ORDERS_LONG };
    for (place, races) in rounds(&Place::ALL, course.count) {
        for _ in 0..races {
            course.say(format!("{place:?}, {} of {} races", outcome.faults, course.count));
            let shop = shop_at(place).await?;
            stock(&shop).await?;
            let waits = row_lock_waits()?;
            let start = Arc::new(Barrier::new(CLIENTS.try_into()?));
            let mut clients = JoinSet::new();
            for number in 0..CLIENTS {
                let (caller, start) = (shop.caller()?, Arc::clone(&start));
                let random = StdRng::seed_from_u64(random.random());
                clients.spawn(async move {
                    start.wait().await;
                    buy(caller, number, orders, random).await
                });
            }
            let left = clients.join_all().await.concat();
            settle(&shop.caller()?, left, &mut random).await?;
            let sold = acknowledged(&shop, |act| matches!(act, Act::Sell(_)));
            if sold != PIECES {
                outcome.broken(format!("{place:?}: {sold} of {PIECES} pieces were sold"));
            }
            outcome.faults += 1;
            if place != Place::Sqlite {
                outcome.came_about("an order waits for a rival's row", row_lock_waits()? - waits);
            }
            shop.check(&mut outcome).await?;
        }
    }
    // Nobody sends an order again here.
    outcome.sometimes.remove("an order is sent again and known");
    Ok(outcome)
}

/// How often somebody had to wait for a row on the shared MariaDB, ever.
fn row_lock_waits() -> Result<u64> {
    let status = "SHOW GLOBAL STATUS LIKE 'Innodb_row_lock_waits'";
    let told = block_in_place(|| MariaDb::shared().try_sql(status))?;
    let count = told.split_whitespace().nth(1).context("MariaDB counts no waits for rows")?;
    Ok(count.parse()?)
}

/// Sends so many orders; gives those that have no answer, as on a machine that is too busy for the race.
async fn buy(mut caller: Caller, client: u64, orders: u64, mut random: StdRng) -> Vec<Left> {
    let mut left = Vec::new();
    for number in 0..orders {
        let mut lines = one_of(WANTED);
        if number % 2 == 1 {
            lines.insert(PLENTY, 1);
        }
        let (order, act) = (format!("o-{client}-{number}"), Act::Sell(lines));
        if caller.call(&order, &act, &mut random).await.is_none() {
            left.push(Left::of(order, act));
        }
    }
    left
}

/// A hundred send the same order at once to two replicas, some of them with other lines under its number; then a
/// hundred give it back at once, and some more of it than it took.
pub async fn same_order(course: &Course) -> Result<Outcome> {
    let (mut outcome, mut random) = (Outcome::default(), course.random());
    for (place, races) in rounds(&Place::ALL, course.count) {
        course.say(format!("{place:?}, {} of {} races", outcome.faults, course.count));
        let shop = shop_at(place).await?;
        stock(&shop).await?;
        for race in 0..races {
            let (one, two) = (format!("sold-{race}"), format!("given-back-{race}"));
            let other = Act::Sell(Lines::from([(WANTED, 2)]));
            let sell = Act::Sell(one_of(WANTED));
            at_once(&shop, &one, SAME, &[sell.clone(), sell.clone(), other], &mut random).await?;
            at_once(&shop, &two, 4, &[Act::Sell(Lines::from([(WANTED, 3)]))], &mut random).await?;
            let give = |request: &str, pieces| {
                Act::GiveBack(request.to_owned(), Lines::from([(WANTED, pieces)]))
            };
            let back = [give("r-1", 1), give("r-1", 2), give("r-2", 2), give("r-3", 9)];
            at_once(&shop, &two, BACK, &back, &mut random).await?;
            at_once(&shop, &two, BACK, &[Act::Reback], &mut random).await?;
            let unknown = format!("unknown-{race}");
            at_once(&shop, &unknown, 4, &[give("r-1", 1)], &mut random).await?;
            outcome.faults += 1;
        }
        shop.check(&mut outcome).await?;
    }
    outcome.sometimes.remove("an order falls short");
    Ok(outcome)
}

/// Sends these acts about one order at once, so many in all, each to a replica of its own choice.
async fn at_once(
    shop: &Shop,
    order: &str,
    count: usize,
    acts: &[Act],
    random: &mut StdRng,
) -> Result<()> {
    let calls = (0..count).map(|number| {
        let act = acts[number % acts.len()].clone();
        let mut random = StdRng::seed_from_u64(random.random());
        let caller = shop.caller().map(|caller| caller.with_deadline(PATIENCE).starting_at(number));
        async move {
            let mut caller = caller?;
            caller.call(order, &act, &mut random).await.context("no answer where nothing is broken")
        }
    });
    let told: Result<Vec<Told>> = join_all(calls).await.into_iter().collect();
    told.map(drop)
}

/// Two replicas where the database allows more than one.
async fn shop_at(place: Place) -> Result<Shop> {
    match place {
        Place::Sqlite => Shop::at(place).await,
        Place::MariaDb(strategy) => two_replicas(strategy).await,
    }
}

async fn two_replicas(strategy: LockStrategy) -> Result<Shop> {
    let url = block_in_place(|| MariaDb::shared().fresh_database());
    Shop::on(&url, &url, strategy, 2).await
}

async fn stock(shop: &Shop) -> Result<()> {
    for (goods_id, on_hand) in [(WANTED, PIECES), (PLENTY, 1_000_000)] {
        let request = SetStockRequest { goods_id, on_hand, ..Default::default() };
        shop.replicas[0].client()?.set_stock(request).await?;
    }
    Ok(())
}

/// How many orders with such an act are acknowledged.
fn acknowledged(shop: &Shop, is_so: impl Fn(&Act) -> bool) -> i64 {
    let is_done = |told: &Told| matches!(told, Told::Acknowledged { .. });
    let history = shop.recorder.history();
    let calls = history.calls.iter().filter(|call| is_so(&call.act) && is_done(&call.told));
    let orders: BTreeSet<&str> = calls.map(|call| call.order.as_str()).collect();
    i64::try_from(orders.len()).unwrap_or(i64::MAX)
}
