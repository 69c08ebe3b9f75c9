//! The stock service. It promises three things, in this order: never oversell, never lose an acknowledged deduction
//! whatever dies, and be fast on the one goods that everybody wants.
//!
//! A `Sell` passes through [`grpc`] (parsed to an [`order::Order`]), [`sell`] (which strategy), one file of `sell/`,
//! [`decide`] (every rule) and [`store`] (SQL), and comes back as a [`sell::Receipt`]. Nobody else is on the way.
#![warn(missing_docs)]

pub mod grpc;
pub mod order;
pub mod violations;

pub mod act;
pub mod decide;
pub mod record;

pub mod batch;
pub mod check;
pub mod copy;
pub mod purge;
pub mod read;
pub mod sell;
pub mod sweep;
pub mod watch;

pub mod error;
pub mod patience;
pub mod store;
mod supervise;

use sell::Lanes;
use sell::redis_lock::Locks;
use srv_config::InventoryHot;
use srv_runtime::Settings;
use std::sync::Arc;
use store::Store;
use tokio::sync::Semaphore;
use watch::Watchers;

/// The stock and what can be done with it. Clones share everything.
#[derive(Clone)]
pub struct Inventory {
    store: Store,
    locks: Locks,
    lanes: Lanes,
    watchers: Watchers,
    settings: Settings<InventoryHot>,
    /// Turns of those who check the ledger.
    checks: Arc<Semaphore>,
}

impl Inventory {
    /// The stock in this store; which strategy decides is read from `settings` order by order. Must be called inside a
    /// tokio runtime, which runs the lanes until the last clone is gone.
    pub fn new(store: Store, locks: Locks, settings: Settings<InventoryHot>) -> Self {
        let lanes = Lanes::open(&store, settings.clone());
        let watchers = Watchers::new(&store);
        let checks = Arc::new(Semaphore::new(check::CHECKS_MAX));
        Self { store, locks, lanes, watchers, settings, checks }
    }
}
