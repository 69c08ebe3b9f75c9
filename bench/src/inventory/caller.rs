//! What the generator calls: the service over gRPC, or the library in this process. Each order is one piece of one
//! goods.

use super::{
    arm::Sends,
    bulk::Bulk,
    sent::{Grpc, goods_of, outcome_of},
};
use crate::load::{Call, Outcome};
use inventory_srv::{Inventory, act::OrderAct, order::Order};
use srv_runtime::Deadline;
use std::time::Duration;
use tokio::time::Instant;

/// How long a call into the library may take: what the service allows one over gRPC.
const DEADLINE: Duration = Duration::from_secs(5);

/// One connection to whatever answers.
#[derive(Clone)]
pub(crate) enum Caller {
    Grpc(Grpc),
    Library(Library),
    Bulk(Bulk),
}

impl Call for Caller {
    async fn call(&self, number: u64) -> Outcome {
        match self {
            Self::Grpc(grpc) => grpc.call(number).await,
            Self::Library(library) => library.call(number).await,
            Self::Bulk(bulk) => bulk.call(number).await,
        }
    }
}

/// The library, and over how many goods the orders are spread.
#[derive(Clone)]
pub(crate) struct Library {
    inventory: Inventory,
    goods: u32,
}

impl Library {
    pub(crate) fn new(inventory: Inventory, sends: Sends) -> Self {
        Self { inventory, goods: sends.goods() }
    }

    async fn call(&self, number: u64) -> Outcome {
        let line = (goods_of(number, self.goods), 1);
        let order = match Order::parse(order_number(number), &[line], None) {
            Ok(order) => order,
            Err(violations) => return Outcome::Failed(format!("{violations:?}")),
        };
        match self.inventory.order(OrderAct::Sell(order), Deadline(Instant::now() + DEADLINE)).await
        {
            Ok(_) => Outcome::Accepted(1),
            Err(error) => outcome_of(&error.into()),
        }
    }
}

/// Ascending, as numbers of orders that hold a time are; as long as those of the course (a date, a time, a user).
pub(crate) fn order_number(number: u64) -> String {
    format!("20260101-{number:015}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_numbers_ascend_as_text() {
        assert!(order_number(9) < order_number(10) && order_number(999) < order_number(1_000_000));
    }
}
