//! Random histories: what was decided is written, and what is read back is exactly that.

use super::world::{World, goods_id, on_both, sn};
use crate::act::{Expected, Needs, OrderAct, PartialReback, StockAct, StockChange};
use crate::decide::{Expired, Held, Round, Undone};
use crate::order::{GoodsId, Key, Line, Order, OrderSn, Quantity, Ttl};
use crate::record::{Entry, FirstAnswer, KnownOrder, LedgerFilter, Milliseconds, ReturnKey, Shelf};
use crate::store::{Session, StoreError};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::collections::{BTreeMap, BTreeSet};

const BATCHES: usize = 60;
const ACTS_MAX: usize = 40;
const GOODS: i64 = 6;
const ORDERS: usize = 80;

/// What must be on record.
#[derive(Default)]
struct Model {
    now: Milliseconds,
    shelf: Shelf,
    orders: BTreeMap<OrderSn, KnownOrder>,
    requests: BTreeMap<Key, FirstAnswer>,
    returns: BTreeMap<ReturnKey, [u8; 32]>,
    ledger: Vec<Entry>,
}

enum Act {
    Order(OrderAct),
    Stock(StockAct),
}

fn goods() -> BTreeSet<GoodsId> {
    (1..=GOODS).map(goods_id).collect()
}

fn lines(random: &mut StdRng) -> Vec<(i64, i64)> {
    let count = random.random_range(1..=4);
    (0..count).map(|_| (random.random_range(1..=GOODS), random.random_range(1..=9))).collect()
}

fn order_act(random: &mut StdRng) -> OrderAct {
    let number = random.random_range(0..ORDERS);
    let sn = sn(number);
    let ttl = Ttl::new(random.random_range(1_000..3_000)).unwrap();
    match random.random_range(0..10) {
        0..=2 => OrderAct::Sell(Order::parse(sn.to_string(), &lines(random), None).unwrap()),
        3..=5 => OrderAct::Sell(Order::parse(sn.to_string(), &lines(random), Some(ttl)).unwrap()),
        6 => OrderAct::Confirm { sn, reacquire: random.random() },
        7 => OrderAct::Cancel(sn),
        8 => OrderAct::Extend { sn, ttl },
        _ if random.random() => OrderAct::Reback(sn),
        _ => {
            let line = Line {
                goods: goods_id(random.random_range(1..=GOODS)),
                quantity: Quantity::new(random.random_range(1..=4)).unwrap(),
            };
            let request = Key::from_record(format!("return-{}", random.random_range(0..3)));
            OrderAct::PartialReback(PartialReback { sn, lines: vec![line], request })
        }
    }
}

fn stock_act(random: &mut StdRng) -> StockAct {
    let change = match random.random_range(0..4) {
        0 | 1 => StockChange::SetOnHand(random.random_range(0..200)),
        2 => {
            let delta = random.random_range(1..40);
            StockChange::Adjust { delta, reason: "counted Ärmel again".to_owned() }
        }
        _ => StockChange::SetSafety(random.random_range(0..20)),
    };
    let request = random
        .random::<bool>()
        .then(|| Key::from_record(format!("request-{}", random.random_range(0..1_000))));
    let goods = goods_id(random.random_range(1..=GOODS));
    StockAct { goods, change, expected: Expected::default(), request }
}

fn acts(random: &mut StdRng) -> Vec<Act> {
    let count = random.random_range(1..=ACTS_MAX);
    let act = |_| {
        if random.random_range(0..8) == 0 {
            Act::Stock(stock_act(random))
        } else {
            Act::Order(order_act(random))
        }
    };
    (0..count).map(act).collect()
}

fn needs_of(acts: &[Act]) -> Needs {
    let mut needs = Needs { goods: goods(), ..Needs::default() };
    for act in acts {
        let Needs { goods: _, orders, requests, returns } = match act {
            Act::Order(act) => act.needs(),
            Act::Stock(act) => act.needs(),
        };
        needs.orders.extend(orders);
        needs.requests.extend(requests);
        needs.returns.extend(returns);
    }
    needs
}

impl Model {
    fn everything(&self) -> Needs {
        Needs {
            goods: goods(),
            orders: (0..ORDERS).map(sn).collect(),
            requests: self.requests.keys().cloned().collect(),
            returns: self.returns.keys().cloned().collect(),
        }
    }

    fn dead_holds(&self) -> Expired {
        let mut expired = Expired::default();
        let is_dead = |order: &&KnownOrder| order.expire_time.is_some_and(|end| end <= self.now);
        for order in self.orders.values().filter(is_dead) {
            for line in order.lines.iter().filter(|line| line.held) {
                let holds = expired.holds.entry(line.goods).or_default();
                holds.insert(order.sn.clone(), line.quantity.get());
            }
        }
        expired
    }

    async fn assert_is_on_record(&self, session: &mut Session<'_>) {
        assert_eq!(session.look_at_shelf(&goods()).await.unwrap(), self.shelf);
        let records = session.records(&self.everything()).await.unwrap();
        assert_eq!(records.orders, self.orders);
        assert_eq!(records.requests, self.requests);
        assert_eq!(records.returns, self.returns);
        for goods in goods() {
            let page = session.ledger(&LedgerFilter::Goods(goods), None, 512).await.unwrap();
            let entries: Vec<_> = page.rows.into_iter().map(|row| row.entry).collect();
            let written = self.ledger.iter().rev().filter(|entry| entry.goods == goods);
            assert_eq!(entries, written.take(512).cloned().collect::<Vec<_>>());
        }
    }

    /// Decides about a batch and writes what was decided, as a lane does.
    async fn live_through(&mut self, world: &World, acts: &[Act]) {
        let needs = needs_of(acts);
        let mut transaction = world.store.begin().await.unwrap();
        let mut session = transaction.on();
        let shelf = session.lock_shelf(&needs.goods).await.unwrap();
        let records = session.records(&needs).await.unwrap();
        let held = Held {
            now: self.now,
            goods: needs.goods,
            shelf,
            orders: records.orders,
            requests: records.requests,
            returns: records.returns,
            expired: None,
        };
        let mut round = Round::on(held);
        for act in acts {
            let decide = |round: &mut Round| match act {
                Act::Order(act) => round.order(act).map(drop),
                Act::Stock(act) => round.stock(act).map(drop),
            };
            if let Err(Undone::LookAtExpired) = decide(&mut round) {
                let expired = session.expired(&goods(), self.now).await.unwrap();
                assert_eq!(expired, self.dead_holds());
                round.look_at_expired(expired);
                let again = decide(&mut round);
                assert!(!matches!(again, Err(Undone::LookAtExpired | Undone::MoreExpired)));
            }
        }
        let after = round.held().clone();
        let changes = round.changes();
        session.write(&changes, 0).await.unwrap();
        transaction.commit(&changes).await.unwrap();
        self.shelf = after.shelf;
        self.orders.extend(after.orders);
        for (sn, goods) in &changes.released {
            let lines = &mut self.orders.get_mut(sn).unwrap().lines;
            lines.iter_mut().filter(|line| line.goods == *goods).for_each(|line| line.held = false);
        }
        self.requests.extend(after.requests);
        self.returns.extend(after.returns);
        self.ledger.extend(changes.ledger);
    }
}

async fn what_was_decided_is_what_is_read(world: World) {
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let mut model = Model { now: 1_000_000, ..Model::default() };
    for _ in 0..BATCHES {
        model.now += random.random_range(0..700);
        model.live_through(&world, &acts(&mut random)).await;
        model.assert_is_on_record(&mut world.reader().await.on()).await;
        world.assert_reserved_is_what_is_held().await;
    }
    let held = model.orders.values().filter(|order| order.expire_time.is_some()).count();
    assert!(held > 0 && !model.returns.is_empty() && !model.requests.is_empty(), "too tame");
}

async fn what_is_rolled_back_was_never_there(world: World) {
    let world = world.stocked(1, 10).await;
    let mut transaction = world.store.begin().await.unwrap();
    transaction.on().write(&super::world::new_stock(2, 10), 0).await.unwrap();
    transaction.rollback().await;
    let shelf = world.reader().await.on().look_at_shelf(&goods()).await.unwrap();
    assert_eq!(shelf.0.len(), 1);
    let twice = world.write(&super::world::new_stock(1, 10)).await;
    assert!(matches!(twice, Err(StoreError::Duplicate(_))));
}

on_both!(what_was_decided_is_what_is_read, what_is_rolled_back_was_never_there);
