//! An arm of the measurement, as data: what answers, what is sent, and how hard.

use super::books::PLENTY;
use prost::Message;
use prost_types::FileDescriptorSet;
use proto::inventory::v1::FILE_DESCRIPTOR_SET;
use srv_config::LockStrategy;
use std::{fmt, sync::LazyLock, time::Duration};

/// Connections of the generator to whatever serves gRPC.
pub(crate) const CONNECTIONS: usize = 8;

/// One arm. Its name is unique among the arms of one storage and is what a person reads.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Arm {
    pub(crate) name: String,
    pub(crate) server: Server,
    pub(crate) sends: Sends,
    pub(crate) load: Load,
}

/// What answers.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Server {
    /// So many processes of `inventory-srv` on one database, each with this strategy, so many connections to the
    /// database, and these further lines of configuration.
    Service { strategy: String, pool: u32, replicas: usize, configuration: &'static str },
    /// The library of `inventory-srv` in this process, without gRPC.
    Library { strategy: String, pool: u32, tables: Tables },
    /// The service under `conditional`, each call of it between a Redis lock that is polled with this pause and its
    /// release: what the course teaches.
    PollingLock { pool: u32, pause: Duration },
    /// A bare server that answers each `Sell` at once with what the service would say.
    Echo,
    /// A bare server that refuses each `Sell` at once with the status that this strategy gives for sold-out goods.
    RefusingEcho { strategy: String },
    /// One connection that inserts the rows of so many orders a transaction.
    BulkInsert { orders: usize },
}

/// Where a library's tables are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tables {
    Server,
    SqliteFile,
}

/// What is sent. Each order is one piece of one goods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sends {
    /// `Sell` of goods that never run out: one goods, or as many as here, taken evenly.
    Sell { goods: u32 },
    /// `Sell` of one goods that is sold out.
    SellSoldOut,
    /// `BatchSell` of so many orders a call.
    BatchSell { orders: u32 },
    /// `Sell` with a ttl, then `Confirm`; the pair counts as one order.
    HoldThenConfirm,
}

impl Sends {
    /// How many goods the orders are spread over.
    pub(crate) fn goods(self) -> u32 {
        match self {
            Self::Sell { goods } => goods,
            Self::SellSoldOut | Self::BatchSell { .. } | Self::HoldThenConfirm => 1,
        }
    }

    /// How many pieces of each there are.
    pub(crate) fn pieces(self) -> i64 {
        if self == Self::SellSoldOut { 0 } else { PLENTY }
    }

    /// How many orders one call carries.
    pub(crate) fn orders_per_call(self) -> u64 {
        match self {
            Self::BatchSell { orders } => orders.into(),
            Self::Sell { .. } | Self::SellSoldOut | Self::HoldThenConfirm => 1,
        }
    }

    /// The method that not every version of the contract has.
    fn method(self) -> &'static str {
        match self {
            Self::Sell { .. } | Self::SellSoldOut => "Sell",
            Self::BatchSell { .. } => "BatchSell",
            Self::HoldThenConfirm => "Confirm",
        }
    }
}

/// How hard.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Load {
    /// So many calls in flight at any time.
    Closed { in_flight: usize },
    /// So many calls a second, given as a multiple of what another arm or the best of a sweep of that name accepted.
    Open { of: String, times: f64 },
}

impl Arm {
    /// `inventory-srv` under this strategy and `Sell` of one hot goods, 1,024 in flight.
    pub(crate) fn service(strategy: &str, pool: u32) -> Self {
        let server =
            Server::Service { strategy: strategy.to_owned(), pool, replicas: 1, configuration: "" };
        Self::new(format!("{strategy}, pool {pool}"), server)
    }

    /// `Sell` of one hot goods, 1,024 in flight.
    pub(crate) fn new(name: impl Into<String>, server: Server) -> Self {
        let load = Load::Closed { in_flight: 1024 };
        Self { name: name.into(), server, sends: Sends::Sell { goods: 1 }, load }
    }

    pub(crate) fn named(self, name: impl Into<String>) -> Self {
        Self { name: name.into(), ..self }
    }

    pub(crate) fn sending(self, sends: Sends) -> Self {
        Self { sends, ..self }
    }

    pub(crate) fn in_flight(self, in_flight: usize) -> Self {
        Self { load: Load::Closed { in_flight }, ..self }
    }

    /// At `times` the rate that the arm or sweep `of` accepted.
    pub(crate) fn at(self, of: &str, times: f64) -> Self {
        Self { load: Load::Open { of: of.to_owned(), times }, ..self }
    }

    pub(crate) fn replicas(mut self, count: usize) -> Self {
        if let Server::Service { replicas, .. } = &mut self.server {
            *replicas = count;
        }
        self
    }

    /// Why this arm cannot be measured yet, if the service lacks something for it.
    pub(crate) fn lacks(&self) -> Option<String> {
        match &self.server {
            Server::Service { strategy, .. }
            | Server::Library { strategy, .. }
            | Server::RefusingEcho { strategy } => lacks_strategy(strategy),
            Server::PollingLock { .. } | Server::Echo | Server::BulkInsert { .. } => None,
        }
        .or_else(|| lacks_method(self.sends.method()))
    }

    /// How many orders one call carries.
    pub(crate) fn orders_per_call(&self) -> u64 {
        match self.server {
            Server::BulkInsert { orders } => orders as u64,
            _ => self.sends.orders_per_call(),
        }
    }

    /// Whether it needs a Redis.
    pub(crate) fn needs_redis(&self) -> bool {
        match &self.server {
            Server::Service { strategy, .. } => strategy == LockStrategy::RedisLock.as_str(),
            Server::PollingLock { .. } => true,
            _ => false,
        }
    }
}

impl fmt::Display for Arm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// The strategy of this name, if the service has it.
pub(crate) fn strategy(name: &str) -> Option<LockStrategy> {
    LockStrategy::ALL.into_iter().find(|strategy| strategy.as_str() == name)
}

fn lacks_strategy(name: &str) -> Option<String> {
    strategy(name).is_none().then(|| format!("the service does not have the strategy {name} yet"))
}

fn lacks_method(name: &str) -> Option<String> {
    let has = METHODS.iter().any(|method| method == name);
    (!has).then(|| format!("the service does not have {name} yet"))
}

/// The methods of `inventory.v1.InventoryService`.
static METHODS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let contract =
        FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).expect("our own contract is readable");
    let services = contract.file.iter().flat_map(|file| &file.service);
    let methods = services.flat_map(|service| &service.method);
    methods.map(|method| method.name().to_owned()).collect()
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_service_lacks_is_known_from_its_contract_and_configuration() {
        assert_eq!(Arm::service("conditional", 1).lacks(), None);
        let lacking = Arm::service("telepathy", 1).lacks();
        assert_eq!(lacking.unwrap(), "the service does not have the strategy telepathy yet");
        assert_eq!(lacks_method("Guess").unwrap(), "the service does not have Guess yet");
    }
}
