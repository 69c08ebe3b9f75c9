//! `optimistic`: nothing is locked while it is decided; a stock row is written only if it still has the version that
//! was read. Who finds it moved looks again, a bounded number of times, and then locks it: on goods that everybody
//! wants, somebody must lose every round, and without that it could always be the same one.

use super::steps::{begin, conclude, decide_unheld};
use super::{Verdict, row_lock};
use crate::act::OrderAct;
use crate::decide::Receipt;
use crate::patience::Setback;
use crate::store::Store;
use srv_runtime::Deadline;

/// How often rivals may be first before the rows are locked: where they are rare, twice in a row is rare already.
const LOSSES_MAX: u32 = 4;

pub(super) async fn order(
    store: &Store,
    act: &OrderAct,
    lost: u32,
    until: Deadline,
) -> Result<Verdict<Receipt>, Setback> {
    // Changes of an order on record must not pass each other; only a Sell finds a rival by the rows it writes.
    if lost >= LOSSES_MAX || !matches!(act, OrderAct::Sell(_)) {
        return row_lock::order(store, act, until).await;
    }
    let mut transaction = begin(store, until).await?;
    let (round, asked) = decide_unheld(&mut transaction.on(), act).await?;
    conclude(transaction, round, asked).await
}
