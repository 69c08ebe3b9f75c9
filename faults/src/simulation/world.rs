//! What everybody in a simulation shares: chance, the tables, the leases, the replicas' state, and the ways between.

use super::tables::{Moved, Tables};
use crate::{books::Books, checker::Clock, history::Recorder};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    ops::AddAssign,
    rc::Rc,
    time::Duration,
};
use tokio::{
    sync::{Notify, oneshot},
    task::spawn_local,
    time::{Instant, sleep, timeout},
};

/// How many replicas there are.
pub(super) const REPLICAS: usize = 3;
/// How long a message takes, in milliseconds; one in [`SLOW`] takes up to [`SLOW_MAX`].
const WAY: std::ops::Range<u64> = 1..8;
const SLOW: u32 = 40;
const SLOW_MAX: u64 = 7_000;
/// One message in so many is lost.
const LOST: u32 = 50;
/// How long a replica waits for its database.
const ANSWER_MAX: Duration = Duration::from_secs(6);
/// How long a replica hangs at most, in milliseconds, and how long one that died is away.
const HANGS_MAX: u64 = 3_000;
const AWAY_MAX: u64 = 1_500;
/// How often somebody who waits looks again.
const LOOK: Duration = Duration::from_millis(20);
/// How long a lease holds.
const LEASE: Duration = Duration::from_millis(500);

/// A bug that is put in to see that it is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// A stock is written whatever its version is by now, as read-then-write does.
    VersionNotCompared,
    /// An order that is there already is written again.
    KeyNotUnique,
    /// What is acknowledged is not written yet, and lost if its writer dies.
    AnsweredBeforeCommit,
    /// A lost reply to a commit is taken for a failure.
    LostReplyTakenForFailure,
    /// A lost reply to a commit is taken for success.
    LostReplyTakenForSuccess,
    /// Only a part of an order is written.
    HalfWritten,
    /// A dead hold is confirmed.
    ExpiryNotLookedAt,
}

/// How rows are held still.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holding {
    /// By the database, from the look until the commit.
    Locked,
    /// Not at all: what was read must be there still when it is written.
    Optimistic,
    /// By a lease, which may lapse, and as above.
    Leased,
}

/// How often what came about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Hits {
    pub(super) crashes: u64,
    pub(super) pauses: u64,
    pub(super) lost_requests: u64,
    pub(super) lost_replies: u64,
    pub(super) doubled: u64,
    pub(super) moved: u64,
    pub(super) lapsed: u64,
}

impl AddAssign for Hits {
    fn add_assign(&mut self, other: Self) {
        let Self { crashes, pauses, lost_requests, lost_replies, doubled, moved, lapsed } = other;
        self.crashes += crashes;
        self.pauses += pauses;
        self.lost_requests += lost_requests;
        self.lost_replies += lost_replies;
        self.doubled += doubled;
        self.moved += moved;
        self.lapsed += lapsed;
    }
}

/// A replica's life and whether it hangs.
struct Replica {
    /// Told to what runs in it. A `watch` would wake its waiters in an order of its own chance.
    dies: Notify,
    away_until: Cell<Instant>,
    hangs_until: Cell<Instant>,
    calls: Cell<usize>,
}

/// A lease on some goods.
struct Lease {
    token: u64,
    until: Instant,
}

/// The world of one seed.
pub(super) struct World {
    pub(super) recorder: Recorder,
    pub(super) holding: Holding,
    pub(super) bug: Option<Bug>,
    began: Instant,
    random: RefCell<StdRng>,
    tables: RefCell<Tables>,
    replicas: Vec<Replica>,
    leases: RefCell<BTreeMap<i64, Lease>>,
    tokens: Cell<u64>,
    clock_jumps: bool,
    /// By how many milliseconds the database's clock is off.
    off: Cell<i64>,
    calm: Cell<bool>,
    hits: Cell<Hits>,
}

/// A message to the database, or its answer, did not arrive.
#[derive(Debug)]
pub(super) struct Lost;

impl World {
    pub(super) fn new(seed: u64, bug: Option<Bug>) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let holdings = [Holding::Locked, Holding::Optimistic, Holding::Leased];
        let holding = holdings[random.random_range(0..holdings.len())];
        let now = Instant::now();
        let replica = |_| Replica {
            dies: Notify::new(),
            away_until: Cell::new(now),
            hangs_until: Cell::new(now),
            calls: Cell::new(0),
        };
        Self {
            recorder: Recorder::new(),
            holding,
            bug,
            began: now,
            // What dies with its bug must die by the bug alone, not by a clock as well.
            clock_jumps: random.random_ratio(1, 3),
            random: RefCell::new(random),
            tables: RefCell::new(Tables::stocked(bug)),
            replicas: (0..REPLICAS).map(replica).collect(),
            leases: RefCell::default(),
            tokens: Cell::new(0),
            off: Cell::new(0),
            calm: Cell::new(false),
            hits: Cell::default(),
        }
    }

    /// Draws from what is left to chance.
    pub(super) fn random<T>(&self, draw: impl FnOnce(&mut StdRng) -> T) -> T {
        draw(&mut self.random.borrow_mut())
    }

    /// From now on nothing breaks any more.
    pub(super) fn calm_down(&self) {
        self.calm.set(true);
    }

    pub(super) fn is_calm(&self) -> bool {
        self.calm.get()
    }

    pub(super) fn books(&self) -> Books {
        self.tables.borrow().books()
    }

    pub(super) fn clock(&self) -> Clock {
        if self.clock_jumps { Clock::Jumps } else { Clock::Steady }
    }

    pub(super) fn hits(&self) -> Hits {
        self.hits.get()
    }

    fn hit(&self, what: impl FnOnce(&mut Hits)) {
        let mut hits = self.hits.get();
        what(&mut hits);
        self.hits.set(hits);
    }

    // === what breaks ===

    pub(super) fn crash_a_replica(&self) {
        let (number, away) = self
            .random(|random| (random.random_range(0..REPLICAS), random.random_range(10..AWAY_MAX)));
        let replica = &self.replicas[number];
        self.hit(|hits| hits.crashes += u64::from(replica.calls.get() > 0));
        replica.away_until.set(Instant::now() + Duration::from_millis(away));
        replica.dies.notify_waiters();
    }

    pub(super) fn pause_a_replica(&self) {
        let (number, hangs) = self.random(|random| {
            (random.random_range(0..REPLICAS), random.random_range(10..HANGS_MAX))
        });
        let replica = &self.replicas[number];
        self.hit(|hits| hits.pauses += u64::from(replica.calls.get() > 0));
        replica.hangs_until.set(Instant::now() + Duration::from_millis(hangs));
    }

    pub(super) fn lose_all_leases(&self) {
        self.leases.borrow_mut().clear();
    }

    pub(super) fn jump(&self) {
        if self.clock_jumps {
            self.off.set(self.random(|random| random.random_range(-5_000..5_000)));
        }
    }

    // === the ways ===

    /// A message is on its way; false if it is lost.
    pub(super) async fn way(&self) -> bool {
        let (time, lost) = self.random(|random| {
            let slow = random.random_ratio(1, SLOW);
            let time =
                if slow { random.random_range(1..SLOW_MAX) } else { random.random_range(WAY) };
            (time, random.random_ratio(1, LOST))
        });
        let time = if self.is_calm() { WAY.start } else { time };
        sleep(Duration::from_millis(time)).await;
        let arrives = self.is_calm() || !lost;
        self.hit(|hits| hits.lost_requests += u64::from(!arrives));
        arrives
    }

    /// Notes that a request arrives twice, now and then.
    pub(super) fn doubles(&self) -> bool {
        let doubles = !self.is_calm() && self.random(|random| random.random_ratio(1, 30));
        self.hit(|hits| hits.doubled += u64::from(doubles));
        doubles
    }

    /// Has `ask` done at the database, at one instant there. Whether it is done is open if it is not heard of.
    pub(super) async fn at_database<T: 'static>(
        self: &Rc<Self>,
        ask: impl FnOnce(&mut Tables, i64) -> T + 'static,
    ) -> Result<T, Lost> {
        let (answer, answered) = oneshot::channel();
        let world = Rc::clone(self);
        // Whoever asked may die meanwhile; what is on its way arrives all the same.
        spawn_local(async move {
            if world.way().await {
                let told = ask(&mut world.tables.borrow_mut(), world.now());
                if world.way().await {
                    let _ = answer.send(told);
                } else {
                    world.hit(|hits| hits.lost_replies += 1);
                }
            }
        });
        timeout(ANSWER_MAX, answered).await.ok().and_then(Result::ok).ok_or(Lost)
    }

    /// The database's clock.
    fn now(&self) -> i64 {
        let passed = i64::try_from(self.began.elapsed().as_millis()).unwrap_or(i64::MAX);
        1_767_225_600_000 + passed + self.off.get()
    }

    pub(super) fn note_moved(&self, moved: &Moved) {
        let Moved = moved;
        self.hit(|hits| hits.moved += 1);
    }

    // === replicas ===

    /// Runs a call in a replica's life; none if the replica is away or dies under it.
    pub(super) async fn in_replica<T>(
        &self,
        number: usize,
        work: impl Future<Output = T>,
    ) -> Option<T> {
        let replica = &self.replicas[number];
        if !self.is_calm() && Instant::now() < replica.away_until.get() {
            return None;
        }
        let death = replica.dies.notified();
        replica.calls.set(replica.calls.get() + 1);
        let done = tokio::select! {
            biased;
            () = death => None,
            done = work => Some(done),
        };
        replica.calls.set(replica.calls.get() - 1);
        done
    }

    /// A moment at which a replica may hang.
    pub(super) async fn breath(&self, number: usize) {
        while !self.is_calm() && Instant::now() < self.replicas[number].hangs_until.get() {
            sleep(LOOK).await;
        }
    }

    // === leases ===

    /// A lease on these goods, as soon as nobody else holds any of them. Its number is its fence: it only grows.
    pub(super) async fn lease(&self, goods: &[i64]) -> u64 {
        loop {
            if let Some(token) = self.lease_now(goods) {
                return token;
            }
            sleep(LOOK).await;
        }
    }

    fn lease_now(&self, goods: &[i64]) -> Option<u64> {
        let now = Instant::now();
        let mut leases = self.leases.borrow_mut();
        let is_free = |goods| leases.get(goods).is_none_or(|lease: &Lease| lease.until <= now);
        if !goods.iter().all(is_free) {
            return None;
        }
        self.tokens.set(self.tokens.get() + 1);
        let token = self.tokens.get();
        for goods in goods {
            leases.insert(*goods, Lease { token, until: now + LEASE });
        }
        Some(token)
    }

    /// Lets go of a lease, if it is held still.
    pub(super) fn release(&self, goods: &[i64], token: u64) {
        let mut leases = self.leases.borrow_mut();
        let is_held = |goods| {
            leases
                .get(goods)
                .is_some_and(|lease: &Lease| lease.token == token && lease.until > Instant::now())
        };
        let lapsed = !goods.iter().all(is_held);
        leases.retain(|_, lease| lease.token != token);
        self.hit(|hits| hits.lapsed += u64::from(lapsed));
    }
}
