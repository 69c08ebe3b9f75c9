//! A replica's way through a call, as `inventory_srv::sell` goes it: look, decide, write, and try again a bounded
//! number of times what another attempt may mend.

use super::{
    tables::{Moved, Tables},
    world::{Bug, Holding, World},
};
use inventory_srv::{
    act::OrderAct,
    decide::{Changes, Receipt, Refusal, Round, Undone},
    error::Error,
    patience::Setback,
    store::StoreError,
};
use rand::RngExt;
use std::{rc::Rc, time::Duration};
use tokio::time::{Instant, sleep};

/// As in `inventory_srv::patience`.
const CONFLICTS_MAX: u32 = 16;
const ABSENCES_MAX: u32 = 3;
const PAUSE_MAX: u64 = 50;
/// How long a sweeper rests.
const REST: Duration = Duration::from_secs(2);

type Verdict = Result<Receipt, Refusal>;

/// Why an attempt came to nothing.
enum Miss {
    Moved,
    Away,
    Unknown,
}

/// Serves a call.
pub(super) async fn serve(
    world: &Rc<World>,
    replica: usize,
    act: &OrderAct,
    until: Instant,
) -> Result<Receipt, Error> {
    let (mut conflicts, mut absences, mut unknown) = (0, 0, false);
    loop {
        let miss = match attempt(world, replica, act).await {
            Ok(Ok(receipt)) => return Ok(receipt),
            Ok(Err(refusal)) => return Err(Error::OrderRefused(act.sn().clone(), refusal)),
            Err(miss) => miss,
        };
        let is_taken_for_failure =
            matches!(miss, Miss::Unknown) && world.bug == Some(Bug::LostReplyTakenForFailure);
        let setback: Setback = match miss {
            Miss::Moved => {
                world.note_moved(&Moved);
                conflicts += 1;
                StoreError::Moved.into()
            }
            Miss::Away => {
                absences += 1;
                StoreError::Away(sqlx::Error::WorkerCrashed).into()
            }
            Miss::Unknown => {
                absences += 1;
                unknown = true;
                StoreError::OutcomeUnknown(sqlx::Error::WorkerCrashed).into()
            }
        };
        let pause = Duration::from_millis(world.random(|random| random.random_range(0..PAUSE_MAX)));
        let is_over = Instant::now() + pause >= until;
        if conflicts >= CONFLICTS_MAX || absences >= ABSENCES_MAX || is_over || is_taken_for_failure
        {
            return Err(match unknown && !is_taken_for_failure {
                true => Error::OutcomeUnknown(setback),
                false => Error::StoreUnavailable(setback),
            });
        }
        sleep(pause).await;
    }
}

async fn attempt(world: &Rc<World>, replica: usize, act: &OrderAct) -> Result<Verdict, Miss> {
    world.breath(replica).await;
    let OrderAct::Sell(order) = act else { return locked(world, act).await };
    match world.holding {
        Holding::Locked => locked(world, act).await,
        Holding::Optimistic => looked(world, replica, act, 0).await,
        Holding::Leased => {
            let goods: Vec<i64> = order.goods().map(|goods| goods.get()).collect();
            let token = world.lease(&goods).await;
            let verdict = looked(world, replica, act, token).await;
            world.release(&goods, token);
            verdict
        }
    }
}

/// The database holds the rows still from the look until the commit: to everybody else that is one instant.
async fn locked(world: &Rc<World>, act: &OrderAct) -> Result<Verdict, Miss> {
    let act = act.clone();
    let done = world.at_database(move |tables, now| {
        let (changes, verdict) = decide(tables, tables.look(&act, now), &act)?;
        tables.commit(&changes, 0)?;
        Ok(verdict)
    });
    match done.await {
        Ok(Ok(verdict)) => Ok(verdict),
        Ok(Err(Moved)) => Err(Miss::Moved),
        Err(_) => Err(Miss::Unknown),
    }
}

/// What was read is decided about, and written if it is still so.
async fn looked(
    world: &Rc<World>,
    replica: usize,
    act: &OrderAct,
    fence: u64,
) -> Result<Verdict, Miss> {
    let asked = act.clone();
    let decided =
        world.at_database(move |tables, now| decide(tables, tables.look(&asked, now), &asked));
    let (changes, verdict) = decided.await.map_err(|_| Miss::Away)?.map_err(|Moved| Miss::Moved)?;
    // Here it may hang, or die, with the decision made and nothing written.
    world.breath(replica).await;
    if changes.is_empty() {
        return Ok(verdict);
    }
    let write = write(world, changes, fence);
    if world.bug == Some(Bug::AnsweredBeforeCommit) {
        tokio::task::spawn_local(write);
        return Ok(verdict);
    }
    match write.await {
        Ok(Ok(())) => Ok(verdict),
        Ok(Err(Moved)) => Err(Miss::Moved),
        Err(_) => match world.bug {
            Some(Bug::LostReplyTakenForSuccess) => Ok(verdict),
            _ => Err(Miss::Unknown),
        },
    }
}

fn write(
    world: &Rc<World>,
    changes: Changes,
    fence: u64,
) -> impl Future<Output = Result<Result<(), Moved>, super::world::Lost>> + use<> {
    let world = Rc::clone(world);
    async move { world.at_database(move |tables, _| tables.commit(&changes, fence)).await }
}

fn decide(tables: &Tables, mut round: Round, act: &OrderAct) -> Result<(Changes, Verdict), Moved> {
    let mut answer = round.order(act);
    if matches!(answer, Err(Undone::LookAtExpired)) {
        round.look_at_expired(tables.expired(&round));
        answer = round.order(act);
    }
    match answer {
        Ok(receipt) => Ok((round.changes(), Ok(receipt))),
        Err(Undone::Refused(refusal)) => Ok((round.changes(), Err(refusal))),
        Err(_) => Err(Moved),
    }
}

/// Releases dead holds now and then, as every replica does.
pub(super) async fn sweep(world: Rc<World>) {
    loop {
        sleep(REST).await;
        // What comes of it is nobody's business: another sweep follows.
        let _ = world
            .at_database(|tables, now| {
                let changes = tables.sweepable(now).changes();
                tables.commit(&changes, 0)
            })
            .await;
    }
}
