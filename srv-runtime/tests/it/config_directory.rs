//! The configuration from a mounted directory.

use crate::support::{
    MountedDirectory, SERVICE, TestService, arguments, eventually, get, local, ready, rendered,
    revision, write_all,
};
use srv_config::{InventoryConfig, LockStrategy, LogLevel, Rejection, render};
use srv_runtime::{Process, Serving, Settings, StartError};
use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};
use tonic::service::Routes;

type Inventory = Process<InventoryConfig>;
type Hot = Settings<srv_config::InventoryHot>;

async fn start(directory: PathBuf) -> Result<Inventory, StartError> {
    let mut arguments = arguments();
    arguments.config_dir = Some(directory);
    Inventory::start(arguments, local()).await
}

async fn listen(process: Inventory) -> (Serving, Hot) {
    let settings = process.settings();
    let service = TestService::new(|_| async { Ok(()) });
    let serving = process.listen(Routes::new(service), &[SERVICE], &[]).await.unwrap();
    (serving, settings)
}

fn with(strategy: LockStrategy) -> InventoryConfig {
    let mut config = InventoryConfig::default();
    config.hot.lock_strategy = strategy;
    config.restart.drain_delay_seconds = 0;
    config
}

async fn reaches(settings: &Hot, strategy: LockStrategy) {
    eventually(&format!("{strategy:?} is in force"), async || {
        (settings.load().lock_strategy == strategy).then_some(())
    })
    .await;
}

async fn counted(serving: &Serving, outcome: &str) -> Option<u64> {
    let (_, metrics) = get(serving.admin, "/metrics").await;
    let line = metrics.lines().find(|line| {
        line.starts_with("config_reloads_total{")
            && line.contains(&format!("outcome=\"{outcome}\""))
    })?;
    line.rsplit_once(' ')?.1.parse().ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_swapped_directory_is_in_force_at_once_and_again_and_again() {
    let mut directory = MountedDirectory::new(1, &with(LockStrategy::Conditional));
    let (serving, settings) = listen(start(directory.path()).await.unwrap()).await;
    let strategies = [LockStrategy::RowLock, LockStrategy::RedisLock, LockStrategy::Conditional];
    let began = std::time::Instant::now();
    for (number, strategy) in (2..).zip(strategies.into_iter().cycle().take(60)) {
        directory.publish(number, &with(strategy));
        reaches(&settings, strategy).await;
    }
    assert!(
        began.elapsed() < std::time::Duration::from_secs(15),
        "the slow poll found them, not the watch"
    );
    serving.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plain_directory_works_and_never_mixes_two_revisions() {
    let folder = tempfile::tempdir().unwrap();
    write_all(folder.path(), &rendered(1, &render(&with(LockStrategy::Conditional))));
    let (serving, settings) = listen(start(folder.path().to_owned()).await.unwrap()).await;
    let new = render(&with(LockStrategy::RowLock));
    // The revision first: with the old text it must not count as read.
    std::fs::write(folder.path().join("revision"), revision(2, &new)).unwrap();
    eventually("the half change was looked at", async || {
        let (_, metrics) = get(serving.admin, "/metrics").await;
        metrics.contains("config_source_failures_total{").then_some(())
    })
    .await;
    assert_eq!(settings.load().lock_strategy, LockStrategy::Conditional);
    std::fs::write(folder.path().join("config.yaml"), &new).unwrap();
    reaches(&settings, LockStrategy::RowLock).await;
    serving.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_revision_leaves_the_last_good_one_in_force_and_is_counted() {
    let mut directory = MountedDirectory::new(1, &with(LockStrategy::RowLock));
    let (serving, settings) = listen(start(directory.path()).await.unwrap()).await;
    ready(&serving).await;
    directory.swap(&rendered(2, "lockStrategy: hope\n"));
    eventually("the rejection is counted", async || counted(&serving, "rejected").await).await;
    assert_eq!(settings.load().lock_strategy, LockStrategy::RowLock);
    assert_eq!(
        get(serving.admin, "/readyz").await.0,
        200,
        "a process with a good configuration stays ready"
    );
    directory.publish(3, &with(LockStrategy::RedisLock));
    reaches(&settings, LockStrategy::RedisLock).await;
    serving.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_revision_never_replaces_a_newer_one() {
    let mut directory = MountedDirectory::new(5, &with(LockStrategy::RowLock));
    let (serving, settings) = listen(start(directory.path()).await.unwrap()).await;
    directory.publish(4, &with(LockStrategy::RedisLock));
    directory.publish(6, &with(LockStrategy::Conditional));
    reaches(&settings, LockStrategy::Conditional).await;
    directory.publish(5, &with(LockStrategy::RowLock));
    let mut louder = with(LockStrategy::Conditional);
    louder.hot.log_level = LogLevel::Warn;
    directory.publish(7, &louder);
    eventually("revision 7 is in force", async || {
        (settings.load().log_level == LogLevel::Warn).then_some(())
    })
    .await;
    assert_eq!(settings.load().lock_strategy, LockStrategy::Conditional);
    assert!(counted(&serving, "applied").await.unwrap() <= 3, "an older revision was decided on");
    serving.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_without_a_valid_configuration_does_not_start_and_says_which_field() {
    let mut directory = MountedDirectory::new(1, &with(LockStrategy::RowLock));
    directory.swap(&rendered(2, "limits: {callsInFlight: 0}\n"));
    let error = start(directory.path()).await.err().expect("it started");
    assert!(error.to_string().contains("limits.callsInFlight"), "{error}");
    let folder = tempfile::tempdir().unwrap();
    let error = start(folder.path().to_owned()).await.err().expect("it started");
    assert!(error.to_string().contains("config.yaml"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_service_refuses_is_not_put_in_force_until_it_agrees() {
    let mut directory = MountedDirectory::new(1, &with(LockStrategy::RowLock));
    let process = start(directory.path()).await.unwrap();
    let redis_answers = Arc::new(AtomicBool::new(false));
    let answers = Arc::clone(&redis_answers);
    process.check_changes(move |hot| {
        let refused =
            hot.lock_strategy == LockStrategy::RedisLock && !answers.load(Ordering::Relaxed);
        Box::pin(async move {
            let rejection = Rejection {
                field: "lockStrategy".into(),
                reason: "Redis refused the credentials".into(),
            };
            if refused { Err(rejection) } else { Ok(()) }
        })
    });
    let (serving, settings) = listen(process).await;
    ready(&serving).await;
    directory.publish(2, &with(LockStrategy::RedisLock));
    eventually("the rejection is counted", async || counted(&serving, "rejected").await).await;
    assert_eq!(settings.load().lock_strategy, LockStrategy::RowLock);
    // The same revision heals when the reason goes away.
    redis_answers.store(true, Ordering::Relaxed);
    reaches(&settings, LockStrategy::RedisLock).await;
    serving.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_whose_first_configuration_is_refused_is_not_ready_and_says_why() {
    let directory = MountedDirectory::new(1, &with(LockStrategy::RedisLock));
    let process = start(directory.path()).await.unwrap();
    process.check_changes(|_| {
        let rejection = Rejection {
            field: "lockStrategy".into(),
            reason: "Redis refused the credentials".into(),
        };
        Box::pin(async move { Err(rejection) })
    });
    let (serving, _) = listen(process).await;
    let told = "configuration: lockStrategy: Redis refused the credentials\n";
    eventually("readyz tells the reason", async || {
        (get(serving.admin, "/readyz").await == (503, told.to_owned())).then_some(())
    })
    .await;
    serving.stop().await.unwrap();
}
