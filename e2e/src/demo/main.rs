//! `cargo xtask demo`: the product at work on a cluster, every claim checked. A false one ends it with exit code 1.

mod arguments;
mod catalog;
mod configuration;
mod install;
mod next;
mod removal;
mod shell;
mod stage;
mod stock;

use anyhow::Result;
use arguments::Arguments;
use clap::Parser;
use removal::Mark;
use stage::Stage;
use std::{future, process::ExitCode, time::Duration};
use tokio::signal::unix::{SignalKind, signal};

/// How long the API server may take with a request whose sender was interrupted: we look for what was made after that.
const UNDER_WAY: Duration = Duration::from_secs(1);

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let mut stage = Stage::new();
    // Before anything is made: what is refused here is not ours to clear away.
    if let Err(error) = install::refuse_a_cluster_in_use(&arguments).await {
        stage.failed(&error);
        return ExitCode::FAILURE;
    }
    let mark = Mark::new();
    let played = tokio::select! {
        // We listen before we play: nothing is made that would stay.
        biased;
        () = told_to_end(&arguments) => None,
        played = play(&arguments, &mark, &mut stage) => Some(played),
    };
    match &played {
        Some(Ok(())) => {}
        Some(Err(error)) => {
            stage.failed(error);
            stage.tell_why(&arguments).await;
        }
        None => {
            stage.say("\nInterrupted.");
            tokio::time::sleep(UNDER_WAY).await;
        }
    }
    let all_true = matches!(played, Some(Ok(())));
    if let Err(error) = removal::clear_away(&arguments, &mark, &stage).await {
        stage.failed(&error);
        return ExitCode::FAILURE;
    }
    if all_true {
        stage.all_true();
        return ExitCode::SUCCESS;
    }
    ExitCode::FAILURE
}

/// Comes to its end when a person or a supervisor tells us to end. From then on we end only when all is cleared away.
///
/// Not on a node of our own: that goes down with all that is on it, so there we end at once.
async fn told_to_end(arguments: &Arguments) {
    if arguments.context.is_none() {
        return future::pending().await;
    }
    let listen = |kind| signal(kind).expect("the process may listen to its signals");
    let [mut interrupt, mut terminate, mut hangup] =
        [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()].map(listen);
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = hangup.recv() => {}
    }
}

async fn play(arguments: &Arguments, mark: &Mark, stage: &mut Stage) -> Result<()> {
    let shop = install::open_shop(arguments, mark, stage).await?;

    stage.act("The catalog");
    let goods = catalog::fill(&shop, stage).await?;
    catalog::list(&shop, stage, &goods).await?;

    stage.act("The stock");
    stock::fill(&shop, stage, &goods).await?;
    stock::sell_an_order(&shop, stage, &goods).await?;
    stock::replay_the_order(&shop, stage, &goods).await?;
    stock::ask_for_too_much(&shop, stage, &goods).await?;
    stock::give_the_order_back(&shop, stage, &goods).await?;
    let winner = stock::race_for_the_last_pieces(&shop, stage, &goods).await?;

    stage.act("The configuration");
    configuration::change(&shop, stage).await?;

    stage.act("A pod dies");
    stock::survive_a_killed_pod(&shop, stage, &goods, &winner).await?;

    if arguments.keep {
        next::try_what_comes_next(arguments, &shop, stage).await?;
    }
    Ok(())
}
