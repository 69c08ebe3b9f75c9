//! Many custom resources at once.

use crate::{
    faults::{Fate, fated},
    world::{World, sqlite},
};
use futures::future::join_all;
use k8s_openapi::api::apps::v1::Deployment;
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::SeqCst},
};
use tokio::sync::Semaphore;

/// How many of one kind the operator works on at a time.
const AT_A_TIME: usize = 16;
const CROWD: usize = 20;

#[tokio::test(flavor = "multi_thread")]
async fn no_more_than_sixteen_of_one_kind_are_worked_on_at_a_time_and_all_are_done_in_the_end() {
    let mut world = World::without_operator("crowd").await;
    let (begun, gate) = (Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
    // The first write of each of the crowd waits at the gate.
    let (counted, closed) = (begun.clone(), gate.clone());
    let (client, _) = fated(move |request| {
        let waits = request.uri().path().contains("/serviceaccounts/crowd-");
        counted.fetch_add(usize::from(waits), SeqCst);
        let gate = closed.clone();
        Fate::Sent(Box::pin(async move {
            if waits {
                // An error says that the gate is open for good.
                let _ = gate.acquire().await;
            }
        }))
    })
    .await;
    let names: Vec<String> = (0..CROWD).map(|number| format!("crowd-{number}")).collect();
    join_all(names.iter().map(|name| world.inventory(name, sqlite()))).await;
    world.start_operator_with(client).await;
    world
        .until("as many as may are begun", || async {
            (begun.load(SeqCst) >= AT_A_TIME).then_some(())
        })
        .await;
    // One of the other kind is not held up; when it is done, one more of the crowd would have been begun.
    world.goods("other", sqlite()).await;
    world.until_there::<Deployment>("other").await;
    assert_eq!(begun.load(SeqCst), AT_A_TIME);
    gate.close();
    for name in &names {
        world.until_there::<Deployment>(name).await;
    }
}
