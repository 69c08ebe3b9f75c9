//! A rotated database password reaches every pod without a restart and without a failed call.

use anyhow::{Result, ensure};
use e2e::shop::{BRIDGE, Shop, mariadb};
use e2e::{load::Load, waiting};
use proto::inventory::v1::SetStockRequest;
use std::time::Duration;

/// A mounted Secret follows after 60 to 90 s: the kubelet's period plus its cache.
const MOUNTED: Duration = Duration::from_secs(180);

#[tokio::test(flavor = "multi_thread")]
async fn a_rotated_database_password_reaches_every_pod_without_a_restart_and_without_a_failed_call()
-> Result<()> {
    let shop = Shop::of_three().await?;
    let before = shop.identities().await?;
    let clients = shop.clients(8).await?;
    clients[0]
        .clone()
        .set_stock(SetStockRequest { goods_id: 1, on_hand: 1_000_000, ..Default::default() })
        .await?;
    let load = Load::begin(clients, 1)?;

    // The new account first, then the Secret; the old one is revoked when every pod has gone over to the new.
    let database = shop.namespace.replace('-', "_");
    let successor = mariadb().account(&database);
    shop.put_secret("inventory-database", &successor.url(BRIDGE)).await?;
    waiting::until("every connection is the new account's", MOUNTED, async || {
        let count = |user: &str| {
            let query = format!(
                "SELECT COUNT(DISTINCT SUBSTRING_INDEX(host, ':', 1)) \
                 FROM information_schema.processlist WHERE user = '{user}'"
            );
            mariadb().try_sql(&query).map(|answer| answer.trim().parse::<u32>().unwrap_or(0))
        };
        let (old, new) = (count(&shop.account.user)?, count(&successor.user)?);
        Ok(if old == 0 && new >= 3 {
            Ok(())
        } else {
            Err(format!("{old} pods use the old account, {new} the new"))
        })
    })
    .await?;
    mariadb().sql(&format!("DROP USER {}@'%'", shop.account.user));

    let result = load.end().await?;
    ensure!(
        result.failures.is_empty(),
        "{} of {} calls failed: {}",
        result.failures.len(),
        result.calls,
        result.failures[0]
    );
    let load = Load::begin(shop.clients(8).await?, 1)?;
    tokio::time::sleep(Duration::from_secs(2)).await; // traffic on the new account alone, for as long
    let result = load.end().await?;
    ensure!(
        result.failures.is_empty() && result.calls > 0,
        "after the revocation calls fail: {:?}",
        result.failures.first()
    );
    ensure!(shop.identities().await? == before, "a pod was replaced or restarted");
    Ok(())
}
