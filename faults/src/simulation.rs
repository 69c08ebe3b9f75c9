//! A seeded simulation: clients with their retries, a network that loses, delays and doubles, replicas that die and
//! hang, a lease that lapses, and a database that commits without being heard. Time is virtual and one thread plays
//! all, so a seed gives the same run whenever it is played, in a few milliseconds.
//!
//! What decides is the service's own code ([`inventory_srv::decide`]), and so is what its errors are told as. The
//! database is a model ([`tables`]) with the guards that stand in SQL.

mod client;
mod service;
mod tables;
mod world;

#[cfg(test)]
use crate::books::Books;
use crate::{
    checker::{Violation, violations},
    history::History,
    scenario::{Course, Outcome},
};
use anyhow::{Context, Result, bail};
use client::Client;
use rand::RngExt;
use std::{rc::Rc, thread::JoinHandle, time::Duration};
use tokio::{
    runtime::Builder,
    task::{LocalSet, block_in_place, spawn_local},
    time::sleep,
};
use world::{Hits, World};

pub use world::Bug;

/// How many clients play, and how many replicas there are.
const CLIENTS: usize = 6;
/// For how long things break, in virtual time; then they are left alone, and everything open is answered.
const TROUBLE: Duration = Duration::from_secs(8);
/// How long everything may take to be answered then.
const QUIET_WITHIN: Duration = Duration::from_secs(120);
/// How many seeds are played at a time.
const STEP: u64 = 25;

/// Plays so many seeds, beginning with the one of the run.
pub async fn seeds(course: &Course) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    let mut hits = Hits::default();
    for first in (0..course.count).step_by(STEP as usize) {
        course.say(format!("{first} of {} seeds", course.count));
        let seeds = (first..course.count.min(first + STEP)).map(|step| course.seed + step);
        let playing: Vec<_> = seeds.map(|seed| (seed, begin(seed, None))).collect();
        for (seed, playing) in playing {
            let run = block_in_place(|| end(seed, playing))?;
            outcome
                .violations
                .extend(run.found.iter().map(|found| format!("seed {seed}: {found}")));
            for call in &run.history.calls {
                outcome.told.note(&call.told);
            }
            hits += run.hits;
            outcome.faults += 1;
        }
        tokio::task::yield_now().await;
    }
    let Hits { crashes, pauses, lost_requests, lost_replies, doubled, moved, lapsed } = hits;
    for (what, times) in [
        ("a replica dies under a call", crashes),
        ("a replica hangs under a call", pauses),
        ("a message is lost on its way", lost_requests),
        ("the reply to a commit is lost", lost_replies),
        ("a request arrives twice", doubled),
        ("a rival is first at a row", moved),
        ("a lease lapses under its holder", lapsed),
        ("an order is sent again and known", outcome.told.replayed),
        ("an order is left open", outcome.told.unknown),
    ] {
        outcome.came_about(what, times);
    }
    Ok(outcome)
}

/// What a seed came to.
#[derive(Debug)]
struct Run {
    history: History,
    hits: Hits,
    found: Vec<Violation>,
    /// By which two runs of one seed are compared.
    #[cfg(test)]
    books: Books,
}

/// Begins to play a seed, with a bug if one is wanted: in a thread of its own, because this one may run in another
/// runtime, and because there are several processors.
fn begin(seed: u64, bug: Option<Bug>) -> JoinHandle<Result<Run>> {
    std::thread::spawn(move || {
        let runtime = Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .context("no runtime")?;
        LocalSet::new().block_on(&runtime, simulate(seed, bug))
    })
}

fn end(seed: u64, playing: JoinHandle<Result<Run>>) -> Result<Run> {
    playing.join().unwrap_or_else(|_| bail!("the simulation of seed {seed} panicked"))
}

async fn simulate(seed: u64, bug: Option<Bug>) -> Result<Run> {
    let world = Rc::new(World::new(seed, bug));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|number| spawn_local(Client::new(number, Rc::clone(&world)).work()))
        .collect();
    let trouble = spawn_local(trouble(Rc::clone(&world)));
    let sweeper = spawn_local(service::sweep(Rc::clone(&world)));
    sleep(TROUBLE).await;
    trouble.abort();
    world.calm_down();
    let quiet = async {
        for client in clients {
            client.await.context("a client fell over")?;
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(QUIET_WITHIN, quiet)
        .await
        .with_context(|| format!("seed {seed}: something has no answer when all is calm"))??;
    sweeper.abort();
    let (history, books) = (world.recorder.history(), world.books());
    let found = violations(&history, &books, world.clock());
    Ok(Run {
        history,
        hits: world.hits(),
        found,
        #[cfg(test)]
        books,
    })
}

/// Breaks things, one after the other.
async fn trouble(world: Rc<World>) {
    loop {
        let pause = world.random(|random| random.random_range(50..1500));
        sleep(Duration::from_millis(pause)).await;
        match world.random(|random| random.random_range(0..5)) {
            0 | 1 => world.crash_a_replica(),
            2 => world.pause_a_replica(),
            3 => world.lose_all_leases(),
            _ => world.jump(),
        }
    }
}

#[cfg(test)]
mod tests;
