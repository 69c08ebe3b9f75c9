//! `CheckLedger`.

use super::stock::several;
use super::time::timestamp;
use crate::Inventory;
use crate::check::{Drifted, Event, Repair, Summary};
use crate::decide::{Account, Disagreement, Drift, Irreparable};
use crate::error::Error;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use proto::inventory::v1::{
    CheckLedgerRequest, CheckLedgerResponse, LedgerCheckProgress, LedgerCheckSummary,
    LedgerDisagreement, LedgerDrift, check_ledger_response::Event as Answer,
};
use tonic::Status;

/// The answers to one call.
pub(super) type Events = BoxStream<'static, Result<CheckLedgerResponse, Status>>;

pub(super) async fn check(
    inventory: &Inventory,
    request: CheckLedgerRequest,
) -> Result<Events, Error> {
    let CheckLedgerRequest { goods_ids, repair } = request;
    let events = inventory.check_ledger(&several(goods_ids)?, repair).await?;
    let events = stream::unfold(events, |mut events| async move {
        let event = events.recv().await?;
        Some((event, events))
    });
    Ok(events.map(|event| Ok(message(event?))).boxed())
}

fn message(event: Event) -> CheckLedgerResponse {
    CheckLedgerResponse {
        event: Some(match event {
            Event::Drifted(drifted) => Answer::Drift(drift(drifted)),
            Event::Progress(so_far) => Answer::Progress(LedgerCheckProgress {
                goods_checked: count(so_far.goods),
                rows_read: count(so_far.rows),
            }),
            Event::Done(summary) => Answer::Summary(summed_up(summary)),
        }),
    }
}

fn drift(drifted: Drifted) -> LedgerDrift {
    let Drifted { goods, drift, repair } = drifted;
    let disagreements = drift.disagreements().map(|disagreement| match disagreement {
        Disagreement::OnHand => LedgerDisagreement::OnHand.into(),
        Disagreement::Balance => LedgerDisagreement::Balance.into(),
        Disagreement::Reserved => LedgerDisagreement::Reserved.into(),
    });
    let disagreements = disagreements.collect();
    let Drift { on_hand, reserved, account: Account { sum, balance, held } } = drift;
    let reason = match repair {
        Repair::NotAsked | Repair::Done => "",
        Repair::Impossible(Irreparable::SumBelowHeld) => "SUM_BELOW_HELD",
        Repair::Impossible(Irreparable::SumAboveCap) => "SUM_ABOVE_CAP",
    };
    LedgerDrift {
        goods_id: goods.get(),
        disagreements,
        on_hand,
        ledger_sum: sum,
        newest_balance: balance,
        reserved,
        held,
        repaired: repair == Repair::Done,
        reason: reason.to_owned(),
    }
}

fn summed_up(summary: Summary) -> LedgerCheckSummary {
    let Summary { goods, drifts, repaired, rows, time } = summary;
    LedgerCheckSummary {
        goods_checked: count(goods),
        drifts: count(drifts),
        repaired: count(repaired),
        rows_read: count(rows),
        snapshot_time: Some(timestamp(time)),
    }
}

fn count(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
