//! Watches while the database is away.

use super::{PATIENCE, begin, next, until, watch};
use crate::shop::{Backend, Shop, has_retry_info, info, refusal};
use srv_config::LockStrategy;
use std::time::Duration;
use testkit::network::Fault;
use testkit::{MariaDb, Network};
use tokio::time::{Instant, sleep};
use tonic::Code;

/// A shop whose database is behind this network.
async fn shop_behind(network: &Network) -> Shop {
    let url = network.reroute(&MariaDb::shared().fresh_database());
    let folder = tempfile::tempdir().unwrap();
    Shop::open_at(url, LockStrategy::GroupCommit, Backend::MariaDb, None, folder).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_outlives_a_database_that_is_away_for_a_moment() {
    let network = Network::before(MariaDb::shared().port());
    let shop = shop_behind(&network).await;
    shop.stock(&[(1, 10)]).await;
    let (_, mut watched) = begin(&mut shop.client(), &[1]).await;
    network.suffer(Fault::Dark);
    // Many looks fail, but not for as long as it takes to be sent away.
    sleep(Duration::from_secs(2)).await;
    network.heal();
    let begun = Instant::now();
    while shop.sell("o-1", &[(1, 4)]).await.is_err() {
        assert!(begun.elapsed() < PATIENCE, "the database does not come back");
    }
    until(&mut watched, |stock| stock.on_hand == 6).await;
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_that_has_seen_nothing_for_seconds_ends_rather_than_show_what_may_be_wrong() {
    let network = Network::before(MariaDb::shared().port());
    let shop = shop_behind(&network).await;
    shop.stock(&[(1, 10)]).await;
    let (_, mut watched) = begin(&mut shop.client(), &[1]).await;
    network.suffer(Fault::Dark);
    let begun = Instant::now();
    let lost = next(&mut watched).await.unwrap_err();
    assert_eq!(
        (lost.code(), info(&lost).reason.as_str()),
        (Code::Unavailable, "STORE_UNAVAILABLE")
    );
    assert!(has_retry_info(&lost));
    assert!(begun.elapsed() >= Duration::from_secs(5), "it ended after {:?}", begun.elapsed());
    let refused = watch(&mut shop.client(), &[1]).await.map(drop);
    assert_eq!(refusal(refused), (Code::Unavailable, "STORE_UNAVAILABLE".into()));
    network.heal();
    let begun = Instant::now();
    let mut again = loop {
        match watch(&mut shop.client(), &[1]).await {
            Ok(watched) => break watched,
            Err(status) => assert!(begun.elapsed() < PATIENCE, "{status}"),
        }
    };
    assert_eq!(next(&mut again).await.unwrap().stocks, [shop.get(1).await]);
    shop.sell("o-1", &[(1, 4)]).await.unwrap();
    until(&mut again, |stock| stock.on_hand == 6).await;
    shop.close().await;
}
