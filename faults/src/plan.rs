//! Every scenario, and how often its fault comes about. The rows (S1 to S17) are those of the reliability plan.
//!
//! The short form runs before each change lands. Its counts are what a few seconds of each scenario bear, so that all
//! of them take some minutes on two processors; every strategy has its share wherever a scenario runs under each of
//! them. The long form has the counts that the plan asks for, and takes hours.

use crate::{
    fault::{backup, callers, clock, database, disk, migration, network, races, redis, service},
    scenario::{Counted, Scenario},
    simulation,
};
use futures::FutureExt;

const fn counts(short: u64, long: u64) -> Counted {
    Counted { short, long }
}

/// All scenarios, in the order in which they are played.
pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "sold-out",
        rows: "S1, S2",
        fault: "races for the last pieces of one goods, with others in opposite orders",
        counts: counts(6, 120),
        run: |course| races::sold_out(course).boxed_local(),
    },
    Scenario {
        name: "same-order",
        rows: "S13, S14",
        fault: "races of a hundred for one order number",
        counts: counts(6, 60),
        run: |course| races::same_order(course).boxed_local(),
    },
    Scenario {
        name: "callers-gone",
        rows: "S3",
        fault: "callers that went away without an answer",
        counts: counts(500, 50_000),
        run: |course| callers::gone(course).boxed_local(),
    },
    Scenario {
        name: "service-killed",
        rows: "S4",
        fault: "kills of the service that hit calls in flight",
        counts: counts(12, 700),
        run: |course| service::killed(course).boxed_local(),
    },
    Scenario {
        name: "service-killed-at-a-statement",
        rows: "S4",
        fault: "kills of the service at a byte of its talk with the database",
        counts: counts(10, 300),
        run: |course| service::killed_at_a_statement(course).boxed_local(),
    },
    Scenario {
        name: "two-replicas",
        rows: "S4, S13",
        fault: "kills of one of two replicas that get the same orders",
        counts: counts(5, 100),
        run: |course| service::replicas(course).boxed_local(),
    },
    Scenario {
        name: "database-killed",
        rows: "S5",
        fault: "kills of MariaDB that hit calls in flight",
        counts: counts(5, 100),
        run: |course| database::killed(course).boxed_local(),
    },
    Scenario {
        name: "database-hung",
        rows: "S8",
        fault: "hangs of MariaDB, past every deadline",
        counts: counts(1, 5),
        run: |course| database::hung(course).boxed_local(),
    },
    Scenario {
        name: "commit-lost",
        rows: "S7",
        fault: "COMMITs that were lost, or done and their reply lost",
        counts: counts(20, 2_000),
        run: |course| database::commit_lost(course).boxed_local(),
    },
    Scenario {
        name: "network-reset",
        rows: "S7",
        fault: "resets that cut live connections to the database",
        counts: counts(10, 200),
        run: |course| network::reset(course).boxed_local(),
    },
    Scenario {
        name: "network-black-hole",
        rows: "S7, S8",
        fault: "holes in which calls waited",
        counts: counts(5, 100),
        run: |course| network::black_hole(course).boxed_local(),
    },
    Scenario {
        name: "network-one-way",
        rows: "S7, S8",
        fault: "one-way losses in which calls waited",
        counts: counts(5, 100),
        run: |course| network::one_way(course).boxed_local(),
    },
    Scenario {
        name: "database-host-vanished",
        rows: "S8",
        fault: "hosts that vanished from under calls in flight",
        counts: counts(3, 50),
        run: |course| network::vanished(course).boxed_local(),
    },
    Scenario {
        name: "power-cut-mariadb",
        rows: "S6",
        fault: "power cuts that hit calls in flight",
        counts: counts(3, 50),
        run: |course| disk::power_cut_mariadb(course).boxed_local(),
    },
    Scenario {
        name: "power-cut-sqlite",
        rows: "S6",
        fault: "power cuts that hit calls in flight",
        counts: counts(5, 50),
        run: |course| disk::power_cut_sqlite(course).boxed_local(),
    },
    Scenario {
        name: "disk-full",
        rows: "S11",
        fault: "disks that were full, so that orders were turned away",
        counts: counts(2, 12),
        run: |course| disk::full(course).boxed_local(),
    },
    Scenario {
        name: "clock-jumps",
        rows: "S12",
        fault: "jumps of the database's and the service's clock",
        counts: counts(8, 600),
        run: |course| clock::jumps(course).boxed_local(),
    },
    Scenario {
        name: "migration-killed",
        rows: "S16",
        fault: "races of five migrations of which some were killed",
        counts: counts(16, 200),
        run: |course| migration::killed(course).boxed_local(),
    },
    Scenario {
        name: "backup-restored",
        rows: "S15",
        fault: "copies made under load and restored",
        counts: counts(2, 40),
        run: |course| backup::restored(course).boxed_local(),
    },
    Scenario {
        name: "redis-flushed",
        rows: "S9",
        fault: "flushes of Redis while leases were held",
        counts: counts(5, 200),
        run: |course| redis::flushed(course).boxed_local(),
    },
    Scenario {
        name: "redis-killed",
        rows: "S9",
        fault: "kills of Redis that orders waited for",
        counts: counts(3, 100),
        run: |course| redis::killed(course).boxed_local(),
    },
    Scenario {
        name: "redis-paused",
        rows: "S9",
        fault: "hangs of Redis for longer than a lease holds",
        counts: counts(3, 100),
        run: |course| redis::paused(course).boxed_local(),
    },
    Scenario {
        name: "redis-refusing",
        rows: "S9",
        fault: "times in which Redis refused and orders were turned away",
        counts: counts(3, 100),
        run: |course| redis::refusing(course).boxed_local(),
    },
    Scenario {
        name: "redis-failed-over",
        rows: "S9",
        fault: "failovers by Sentinel",
        counts: counts(2, 40),
        run: |course| redis::failed_over(course).boxed_local(),
    },
    Scenario {
        name: "lease-holder-paused",
        rows: "S10",
        fault: "holders that hung until their lease had lapsed",
        counts: counts(4, 10_000),
        run: |course| redis::holder_paused(course).boxed_local(),
    },
    Scenario {
        name: "simulation",
        rows: "S17",
        fault: "seeds of clients, network, replicas and database",
        counts: counts(500, 10_000),
        run: |course| simulation::seeds(course).boxed_local(),
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scenario_has_a_name_of_its_own_and_more_to_do_in_the_long_form() {
        for (index, scenario) in SCENARIOS.iter().enumerate() {
            let Scenario { name, rows, fault, counts, run: _ } = scenario;
            assert!(SCENARIOS[..index].iter().all(|other| other.name != *name), "{name} twice");
            assert!(rows.starts_with('S') && !fault.is_empty(), "{name}");
            assert!(0 < counts.short && counts.short < counts.long, "{name}: {counts:?}");
        }
    }
}
