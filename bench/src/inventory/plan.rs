//! What is compared with what, as data: the rows of the suite with their floors and goals, grouped by the storage that
//! they run on. A row whose arm the service does not have yet says what is lacking, and is measured from the day on
//! which it is there.

use super::{
    arm::{Arm, Sends, Server, Tables},
    setting::Storage,
};
use srv_config::InventoryConfig;
use std::{collections::BTreeSet, time::Duration};

/// Sizes of the database pool that a baseline is swept over: the best is another one for every disk.
const POOLS: [u32; 4] = [1, 4, 16, 64];
/// The pool that ours has: the default of a pod.
const DEFAULT_POOL: u32 = 16;
/// Pauses of the polled lock, in milliseconds: a short one that loads Redis, and a long one that wastes the lock.
const POLLING_PAUSES: [u64; 2] = [20, 100];
/// So many goods are in the uniform mix.
const MANY_GOODS: u32 = 2000;
/// Orders a transaction of the bulk INSERT: as many as a lane takes at most.
const BULK_ORDERS: usize = 1024;
/// Orders a call of `BatchSell`.
const BATCH: u32 = 100;
/// The name by which open loops find the baseline's best.
const CONDITIONAL: &str = "conditional";
/// The promise about memory at 4,096 in flight, in megabytes.
const MEMORY: f64 = 64.0;

/// The promise about ten minutes: the last one's memory over that of the second.
const GROWTH: f64 = 1.1;

/// Everything under one storage.
pub(crate) struct Group {
    pub(crate) storage: Storage,
    pub(crate) length: Length,
    pub(crate) comparisons: Vec<Comparison>,
}

/// How long its arms run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Length {
    /// Block by block in turn, round after round.
    Rounds,
    /// Once, at a stretch.
    TenMinutes,
}

/// One row.
pub(crate) struct Comparison {
    pub(crate) id: String,
    pub(crate) quantity: Quantity,
    /// Ours; or why it is not measured yet.
    pub(crate) ours: Result<Arm, String>,
    pub(crate) against: Against,
    pub(crate) floor: f64,
    pub(crate) goal: f64,
}

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Quantity {
    /// Orders acknowledged a second.
    Accepted,
    /// Answers a second.
    Answers,
    /// The median latency; less is better.
    P50,
    /// The 99th percentile of latency; less is better.
    P99,
    /// The most memory that a process held; less is better.
    Memory,
    /// How many times as much memory it held towards the end as at the beginning; less is better.
    Growth,
}

/// The baseline.
#[derive(Clone)]
pub(crate) enum Against {
    Arm(Arm),
    /// The one that accepts the most.
    Best(Sweep),
    /// The one that accepts the most, at so many times the rate that it accepts.
    BestAt(Sweep, f64),
    /// A number, for an arm whose rate may depend on the best of a sweep.
    Number(f64, Option<Sweep>),
}

impl Against {
    /// The sweep that must have been run.
    pub(crate) fn sweep(&self) -> Option<&Sweep> {
        match self {
            Self::Best(sweep) | Self::BestAt(sweep, _) => Some(sweep),
            Self::Number(_, sweep) => sweep.as_ref(),
            Self::Arm(_) => None,
        }
    }

    /// What names the arm of the baseline before the best of its sweep is known; none for a number.
    fn arm_name(&self) -> Option<String> {
        match self {
            Self::Arm(arm) => Some(arm.name.clone()),
            Self::Best(sweep) => Some(sweep.name.to_owned()),
            Self::BestAt(sweep, times) => Some(format!("{} {times}", sweep.name)),
            Self::Number(..) => None,
        }
    }
}

/// Variants of one baseline, of which the best counts.
#[derive(Clone)]
pub(crate) struct Sweep {
    pub(crate) name: &'static str,
    pub(crate) candidates: Vec<Arm>,
}

/// All rows, with the strategy `ours` in the place of ours.
pub(crate) fn groups(ours: &str) -> Vec<Group> {
    vec![fast_disk(ours), usual_disk(ours), slow_disk(ours), real_disk(ours), soak(ours)]
}

impl Group {
    /// The sweeps that its rows need, each once.
    pub(crate) fn sweeps(&self) -> Vec<Sweep> {
        let mut sweeps: Vec<Sweep> = Vec::new();
        for sweep in self.comparisons.iter().filter_map(|row| row.against.sweep()) {
            if !sweeps.iter().any(|known| known.name == sweep.name) {
                sweeps.push(sweep.clone());
            }
        }
        sweeps
    }

    /// Goes without what nobody waits for.
    pub(crate) fn be_quick(&mut self) {
        if self.length == Length::TenMinutes {
            let why = "it takes ten minutes; leave out --quick";
            self.comparisons.iter_mut().for_each(|row| row.ours = Err(why.to_owned()));
        }
    }

    /// How many arms one round of it has.
    pub(crate) fn arms(&self) -> usize {
        let rows = self.comparisons.iter();
        let names = rows.flat_map(|row| {
            let ours = row.ours.iter().map(|arm| arm.name.clone());
            ours.chain(row.against.arm_name()).collect::<Vec<_>>()
        });
        names.collect::<BTreeSet<_>>().len()
    }
}

fn row(id: &str, ours: Arm, against: Against, floor: f64, goal: f64) -> Comparison {
    let lacking = ours.lacks();
    let ours = lacking.map_or(Ok(ours), Err);
    Comparison { id: id.to_owned(), quantity: Quantity::Accepted, ours, against, floor, goal }
}

impl Comparison {
    fn by(self, quantity: Quantity) -> Self {
        Self { quantity, ..self }
    }

    /// Also lacks what this says, if it says something.
    fn needing(mut self, lacking: Option<String>) -> Self {
        if let (Ok(_), Some(lacking)) = (&self.ours, lacking) {
            self.ours = Err(lacking);
        }
        self
    }
}

fn hot(ours: &str) -> Arm {
    Arm::service(ours, DEFAULT_POOL)
}

fn conditional() -> Sweep {
    let candidates = POOLS.map(|pool| Arm::service(CONDITIONAL, pool)).to_vec();
    Sweep { name: CONDITIONAL, candidates }
}

fn library(strategy: &str, pool: u32, tables: Tables) -> Arm {
    let server = Server::Library { strategy: strategy.to_owned(), pool, tables };
    Arm::new(format!("{strategy} in process, pool {pool}"), server)
}

fn fast_disk(ours: &str) -> Group {
    let redis = [4, 16].map(|pool| Arm::service("redisLock", pool));
    let polling = POLLING_PAUSES.map(|pause| {
        let server = Server::PollingLock { pool: 4, pause: Duration::from_millis(pause) };
        Arm::new(format!("polled Redis lock, pause {pause} ms"), server)
    });
    let locks = Sweep { name: "Redis lock", candidates: [redis, polling].concat() };
    let in_process = |strategy: &str, pool| library(strategy, pool, Tables::Server);
    let many = |arm: Arm| {
        let name = format!("{arm}, {MANY_GOODS} goods");
        arm.named(name).sending(Sends::Sell { goods: MANY_GOODS })
    };
    let best_of_many = Sweep {
        name: "conditional in process, many goods",
        candidates: POOLS.map(|pool| many(in_process(CONDITIONAL, pool))).to_vec(),
    };
    let lane = in_process(ours, DEFAULT_POOL).in_flight(4096);
    let bulk = Arm::new("bulk INSERT", Server::BulkInsert { orders: BULK_ORDERS }).in_flight(1);
    Group {
        storage: Storage::Injected(Duration::from_micros(100)),
        length: Length::Rounds,
        comparisons: vec![
            row("P1@0.1ms", hot(ours), Against::Best(conditional()), 10.0, 18.0),
            row("P2@0.1ms", hot(ours), Against::Best(locks), 20.0, 40.0),
            row("P3@0.1ms", hot(ours), Against::Arm(Arm::new("echo", Server::Echo)), 0.4, 0.6),
            row(
                "P4@0.1ms",
                lane.named("lane in process, 4,096 in flight"),
                Against::Arm(bulk),
                0.5,
                0.7,
            ),
            row(
                "P5@0.1ms",
                many(in_process(ours, DEFAULT_POOL)),
                Against::Best(best_of_many),
                4.0,
                6.5,
            ),
        ],
    }
}

fn usual_disk(ours: &str) -> Group {
    let replicas = hot(ours).replicas(4).named("4 replicas");
    let sold_out = hot(ours).sending(Sends::SellSoldOut).named("sold out");
    let refusing = Server::RefusingEcho { strategy: ours.to_owned() };
    let refusing = Arm::new("refusing echo", refusing).sending(Sends::SellSoldOut);
    let quarter = hot(ours).at(CONDITIONAL, 0.25).named("ours at 25 % of conditional's maximum");
    let tenfold = hot(ours).at(CONDITIONAL, 10.0).named("ours at 10x conditional's maximum");
    // 10 ms and ten syncs.
    let bound = Against::Number(10.0 + 10.0 * 1.0, Some(conditional()));
    let batches = hot(ours).sending(Sends::BatchSell { orders: BATCH });
    // In flight counts orders.
    let batches = batches.in_flight(1024 / BATCH as usize).named("BatchSell");
    let pairs = hot(ours).sending(Sends::HoldThenConfirm).named("Sell with ttl, then Confirm");
    let crowd = hot(ours).in_flight(4096).named("4,096 in flight");
    Group {
        storage: Storage::Injected(Duration::from_millis(1)),
        length: Length::Rounds,
        comparisons: vec![
            row("P1@1ms", hot(ours), Against::Best(conditional()), 40.0, 58.0),
            row("P6", replicas, Against::Arm(hot(ours)), 0.55, 0.65),
            row("P8a", quarter, Against::BestAt(conditional(), 0.25), 0.8, 0.95).by(Quantity::P50),
            row("P8b", tenfold, bound, 1.0, 2.0).by(Quantity::P99),
            row("P10", batches, Against::Arm(hot(ours)), 1.5, 3.0),
            row("P11", sold_out, Against::Arm(refusing), 0.6, 0.8).by(Quantity::Answers),
            row("P12", pairs, Against::Arm(hot(ours)), 0.4, 0.5),
            row("memory@4096", crowd, Against::Number(MEMORY, None), 1.0, 1.0).by(Quantity::Memory),
        ],
    }
}

fn slow_disk(ours: &str) -> Group {
    let small = |load: &str| capped(ours).named(format!("lane cap of 64 orders, {load}"));
    let (peak, offered) = (small("peak"), small("offered 2x"));
    let offered = offered.at(&peak.name, 2.0);
    Group {
        storage: Storage::Injected(Duration::from_millis(4)),
        length: Length::Rounds,
        comparisons: vec![
            row("P1@4ms", hot(ours), Against::Best(conditional()), 120.0, 178.0),
            row("P9@4ms", offered, Against::Arm(peak), 0.85, 0.95).needing(lacks_lane_cap()),
        ],
    }
}

fn real_disk(ours: &str) -> Group {
    let sqlite = |strategy: &str| {
        let arm = library(strategy, DEFAULT_POOL, Tables::SqliteFile).in_flight(64);
        arm.named(format!("{strategy} on SQLite"))
    };
    let per_order = Against::Arm(sqlite(CONDITIONAL));
    Group {
        storage: Storage::Disk,
        length: Length::Rounds,
        comparisons: vec![
            // Told, not promised: a disk's sync drifts by an order of magnitude within minutes.
            row("P1@disk", hot(ours), Against::Best(conditional()), 0.0, 0.0),
            row("P7", sqlite(ours), per_order, 8.0, 13.0),
        ],
    }
}

/// On the disk, because so many rows would not fit into memory.
fn soak(ours: &str) -> Group {
    let arm = hot(ours).named("ten minutes");
    let bound = Against::Number(GROWTH, None);
    Group {
        storage: Storage::Disk,
        length: Length::TenMinutes,
        comparisons: vec![row("memory@10min", arm, bound, 1.0, 1.0).by(Quantity::Growth)],
    }
}

/// The lines of configuration that cap a lane's batch at 64 orders.
const LANE_CAP_OF_64: &str = "lanes:\n  batchOrders: 64\n";

fn capped(ours: &str) -> Arm {
    let mut arm = hot(ours);
    if let Server::Service { configuration, .. } = &mut arm.server {
        *configuration = LANE_CAP_OF_64;
    }
    arm
}

/// A service that does not know the field would run without the cap and not say so.
fn lacks_lane_cap() -> Option<String> {
    let configuration = srv_config::render(&InventoryConfig::default());
    (!configuration.contains("batchOrders"))
        .then(|| "the service does not have a configurable cap of a lane's batch yet".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn ids_are_unique_and_every_floor_is_at_or_below_its_goal() {
        let groups = groups("rowLock");
        let mut floors = BTreeMap::new();
        for row in groups.iter().flat_map(|group| &group.comparisons) {
            assert!(row.floor <= row.goal, "{}", row.id);
            assert!(floors.insert(row.id.clone(), row.floor).is_none(), "{} twice", row.id);
        }
        let ids: Vec<_> = floors.keys().map(String::as_str).collect();
        assert_eq!(
            ids,
            [
                "P10",
                "P11",
                "P12",
                "P1@0.1ms",
                "P1@1ms",
                "P1@4ms",
                "P1@disk",
                "P2@0.1ms",
                "P3@0.1ms",
                "P4@0.1ms",
                "P5@0.1ms",
                "P6",
                "P7",
                "P8a",
                "P8b",
                "P9@4ms",
                "memory@10min",
                "memory@4096"
            ]
        );
    }

    #[test]
    fn a_row_of_a_strategy_that_is_not_there_says_so() {
        let groups = groups("telepathy");
        let mut rows = groups.iter().flat_map(|group| &group.comparisons);
        assert!(rows.all(|row| row.ours.is_err()));
    }

    #[test]
    fn a_quick_run_goes_without_what_takes_ten_minutes_and_says_so() {
        let mut groups = groups("rowLock");
        groups.iter_mut().for_each(Group::be_quick);
        let rows: Vec<_> = groups.iter().flat_map(|group| &group.comparisons).collect();
        let set_aside: Vec<_> = rows.iter().filter(|row| row.ours.is_err()).collect();
        assert_eq!(set_aside.len(), 1);
        assert_eq!(set_aside[0].id, "memory@10min");
    }

    #[test]
    fn arms_of_one_name_are_the_same_arm() {
        for group in groups("rowLock") {
            let mut known: BTreeMap<String, Arm> = BTreeMap::new();
            for row in group.comparisons {
                let swept = row.against.sweep().map(|sweep| sweep.candidates.clone());
                let baseline = match row.against {
                    Against::Arm(arm) => vec![arm],
                    _ => swept.unwrap_or_default(),
                };
                for arm in baseline.into_iter().chain(row.ours) {
                    let first = known.entry(arm.name.clone()).or_insert_with(|| arm.clone());
                    assert_eq!(*first, arm);
                }
            }
        }
    }
}
