//! At rest nothing is written.

use anyhow::{Context, Result, ensure};
use e2e::shop::{SYSTEM, Shop, three_pods};
use std::time::Duration;
use testkit::kubernetes::{Cluster, Mark};

/// For how long writes are counted: longer than any period of the operator or of a pod's renewed acknowledgement.
const AT_REST: Duration = Duration::from_secs(60);
/// A Ready status may still be followed by the last Events.
const SETTLED: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread")]
async fn for_a_minute_at_rest_the_operator_writes_nothing_and_no_object_of_the_shop_changes()
-> Result<()> {
    let shop = Shop::empty().await?;
    let audit = Cluster::running().context("the node is not of this machine")?.audit();
    let operator = format!("system:serviceaccount:{SYSTEM}:");
    let written_by_the_operator_since = |mark: Mark| {
        let mut writes = audit.writes_since(mark)?;
        // Other tests' shops may still be on their way out.
        writes
            .retain(|write| write.namespace == shop.namespace && write.user.starts_with(&operator));
        anyhow::Ok(writes)
    };
    let start = audit.mark();
    shop.apply(three_pods()).await?;
    shop.until_applied("3/3").await?;
    tokio::time::sleep(SETTLED).await;
    // What is found here would be found at rest as well.
    let writes = written_by_the_operator_since(start)?;
    for resource in ["deployments", "configmaps", "inventoryservices/status"] {
        let found = writes.iter().any(|write| write.resource == resource);
        ensure!(found, "no write of {resource} is found on the way up: {writes:?}");
    }

    let (mark, before) = (audit.mark(), versions(&shop).await?);
    tokio::time::sleep(AT_REST).await;
    let writes = written_by_the_operator_since(mark)?;
    ensure!(writes.is_empty(), "the operator wrote at rest: {writes:?}");
    ensure!(versions(&shop).await? == before, "an object of the shop changed at rest");
    Ok(())
}

/// Name and resourceVersion of everything of the shop that the operator or a pod may write.
async fn versions(shop: &Shop) -> Result<String> {
    let what = "inventoryservices,deployments,services,configmaps,serviceaccounts,roles,rolebindings,\
                poddisruptionbudgets";
    let each =
        "{range .items[*]}{.kind}/{.metadata.name} {.metadata.resourceVersion}{\"\\n\"}{end}";
    let output = format!("jsonpath={each}");
    shop.cluster.kubectl(&["get", what, "--namespace", &shop.namespace, "-o", &output]).await
}
