//! The chart comes and goes; the resources and their pods stay.

use anyhow::{Context, Result, ensure};
use e2e::shop::{RELEASE, SYSTEM, Shop, install_operator};
use proto::inventory::v1::SetStockRequest;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn an_uninstalled_chart_leaves_definitions_resources_and_pods_and_a_new_install_picks_them_up()
-> Result<()> {
    let shop = Shop::of_three().await?;
    let before = shop.identities().await?;
    shop.cluster.helm(&["uninstall", RELEASE, "--namespace", SYSTEM, "--wait"]).await?;

    let definitions = shop.cluster.kubectl(&["get", "crd", "-o", "name"]).await?;
    for definition in ["goodsservices.shopkeeper.dev", "inventoryservices.shopkeeper.dev"] {
        ensure!(definitions.contains(definition), "the uninstall removed {definition}");
    }
    shop.resources().get(e2e::shop::NAME).await.context("the uninstall removed the resource")?;
    let stock = SetStockRequest { goods_id: 1, on_hand: 5, ..Default::default() };
    shop.clients(1).await?[0]
        .clone()
        .set_stock(stock)
        .await
        .context("the pods do not serve without the operator")?;

    install_operator(&shop.cluster, &[]).await?;
    shop.change(json!({"config": {"logLevel": "debug"}})).await?;
    shop.until_applied("3/3").await?;
    ensure!(shop.identities().await? == before, "the new install replaced or restarted a pod");
    Ok(())
}
