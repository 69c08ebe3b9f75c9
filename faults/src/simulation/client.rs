//! A client of the simulation: plays scripts, calls as the published service config says, and in the end sends again
//! what has no answer.

use super::{
    service::serve,
    world::{REPLICAS, World},
};
use crate::{
    caller::told_by,
    history::{Act, Told},
    script::script,
};
use inventory_srv::{
    act::{OrderAct, PartialReback},
    decide::Receipt,
    error::Error,
    order::{GoodsId, Key, Line, Order, Quantity, Ttl},
};
use proto::inventory::v1::OrderState;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use std::{rc::Rc, time::Duration};
use tokio::{
    task::spawn_local,
    time::{Instant, sleep, timeout_at},
};
use tonic::{Code, Status};

/// As the published service config says: a deadline, attempts in all, and what passes before the first repeat.
const DEADLINE: Duration = Duration::from_secs(5);
const ATTEMPTS: u32 = 4;
const BACKOFF: Duration = Duration::from_millis(50);
/// What a client rests between two orders.
const PACE: Duration = Duration::from_millis(150);

/// A client.
pub(super) struct Client {
    number: usize,
    world: Rc<World>,
    random: StdRng,
    next: usize,
}

impl Client {
    pub(super) fn new(number: usize, world: Rc<World>) -> Self {
        let random = StdRng::seed_from_u64(world.random(RngExt::random));
        Self { number, world, random, next: number }
    }

    /// Plays until all is calm, and then until everything has its answer.
    pub(super) async fn work(mut self) {
        for number in 0.. {
            if self.world.is_calm() {
                break;
            }
            // Every third order is played by two clients at once.
            let player = if number % 3 == 0 { self.number / 2 } else { self.number };
            let order = format!("o-{player}-{number}");
            for act in script(&mut self.random) {
                while self.call(&order, &act).await.is_none() {}
            }
            sleep(PACE).await;
        }
    }

    /// One call with its repeats; none if it has no answer after them.
    async fn call(&mut self, order: &str, act: &Act) -> Option<Told> {
        let until = Instant::now() + DEADLINE;
        for repeat in 0..ATTEMPTS {
            match self.attempt(order, act, until).await {
                told @ (Told::Acknowledged { .. } | Told::Refused(_)) => return Some(told),
                Told::Undone(_) | Told::Unknown(_) => {}
            }
            let pause = BACKOFF * 2_u32.pow(repeat);
            if Instant::now() + pause >= until {
                break;
            }
            sleep(pause).await;
        }
        None
    }

    async fn attempt(&mut self, order: &str, act: &Act, until: Instant) -> Told {
        self.next += 1;
        let begun = self.world.recorder.begin(order, act);
        let (answer, mut answers) = tokio::sync::mpsc::channel(2);
        let copies = if self.world.doubles() { 2 } else { 1 };
        for copy in 0..copies {
            if copy > 0 {
                // Whoever sends a copy does not know what becomes of it.
                drop(self.world.recorder.begin(order, act));
            }
            let (world, answer) = (Rc::clone(&self.world), answer.clone());
            let (replica, act) = ((self.next + copy) % REPLICAS, parsed(order, act));
            spawn_local(async move {
                if !world.way().await {
                    return;
                }
                let served = serve(&world, replica, &act, until);
                let served = world.in_replica(replica, served).await;
                // A connection that breaks is noticed, most times.
                let told = served.map_or_else(|| told_by(&broken()), told);
                if world.way().await {
                    let _ = answer.send(told).await;
                }
            });
        }
        drop(answer);
        let told = match timeout_at(until, answers.recv()).await {
            Ok(Some(told)) => told,
            Ok(None) => Told::Unknown("nothing came back".to_owned()),
            Err(_) => Told::Unknown("no answer until the deadline".to_owned()),
        };
        begun.end(told.clone());
        told
    }
}

fn broken() -> Status {
    Status::new(Code::Unavailable, "the connection broke")
}

fn told(served: Result<Receipt, Error>) -> Told {
    match served {
        Ok(receipt) => {
            let state = OrderState::try_from(receipt.state as i32).unwrap_or_default();
            Told::Acknowledged { state, replayed: receipt.replayed }
        }
        Err(error) => told_by(&error.into()),
    }
}

fn parsed(order: &str, act: &Act) -> OrderAct {
    let sn = Key::from_record(order.to_owned());
    let sell = |lines: &crate::history::Lines, ttl| {
        let lines: Vec<_> = lines.iter().map(|(goods, pieces)| (*goods, *pieces)).collect();
        OrderAct::Sell(Order::parse(order.to_owned(), &lines, ttl).expect("scripts are valid"))
    };
    match act {
        Act::Sell(lines) => sell(lines, None),
        Act::Hold(lines, ttl) => {
            let ttl = i64::try_from(ttl.as_millis()).ok().and_then(Ttl::new);
            sell(lines, Some(ttl.expect("scripts are valid")))
        }
        Act::Confirm => OrderAct::Confirm { sn, reacquire: false },
        Act::Cancel => OrderAct::Cancel(sn),
        Act::Reback => OrderAct::Reback(sn),
        Act::GiveBack(request, lines) => {
            let line = |(goods, pieces): (&i64, &i64)| Line {
                goods: GoodsId::new(*goods).expect("scripts are valid"),
                quantity: Quantity::new(*pieces).expect("scripts are valid"),
            };
            let request = Key::from_record(request.clone());
            let lines = lines.iter().map(line).collect();
            OrderAct::PartialReback(PartialReback { sn, lines, request })
        }
    }
}
