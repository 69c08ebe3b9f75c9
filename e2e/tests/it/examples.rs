//! Every file in `examples/` does what it says.

use anyhow::{Context, Result, ensure};
use e2e::{
    forward::Forward,
    load,
    service_config::Calling,
    shop::{GRPC_PORT, NAME, SOON, Shop, mariadb, repository},
    waiting,
};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::{Api, api::ListParams};
use proto::{
    goods::v1::{
        Brand, CreateBrandRequest, GetBrandRequest, brand_service_client::BrandServiceClient,
    },
    inventory::v1::{
        Line, SellRequest, SetStockRequest, inventory_service_client::InventoryServiceClient,
    },
};
use serde_json::Value;
use std::{fs, path::Path};
use tonic::transport::Endpoint;

#[tokio::test(flavor = "multi_thread")]
async fn the_catalog_on_sqlite_keeps_what_it_was_told_when_its_pod_is_killed() -> Result<()> {
    let shop = Shop::empty().await?;
    shop.make_volume("goods-data").await?;
    shop.apply_example("goods-sqlite.yaml").await?;
    until_ready(&shop, "goodsservice/goods", "1/1").await?;
    let forward = Forward::to(shop.pods(), "app.kubernetes.io/instance=goods", GRPC_PORT).await?;
    let mut client = BrandServiceClient::connect(format!("http://{}", forward.address())).await?;
    let brand = Brand { name: "Leaf and Cup".into(), ..Default::default() };
    let created = client
        .create_brand(CreateBrandRequest { brand: Some(brand), ..Default::default() })
        .await?;
    let id = created.into_inner().brand.context("no brand in the answer")?.id;

    let namespace = ["--namespace", shop.namespace.as_str()];
    let kill = [
        "delete",
        "pod",
        "--selector",
        "app.kubernetes.io/instance=goods",
        "--grace-period=0",
        "--force",
    ];
    shop.cluster.kubectl(&[kill.as_slice(), &namespace].concat()).await?;
    until_ready(&shop, "goodsservice/goods", "1/1").await?;
    let read = waiting::until("the brand is read again", SOON, async || {
        let Ok(mut client) =
            BrandServiceClient::connect(format!("http://{}", forward.address())).await
        else {
            return Ok(Err("no connection".to_owned()));
        };
        Ok(client.get_brand(GetBrandRequest { id }).await.map_err(|status| status.to_string()))
    });
    let name = read.await?.into_inner().brand.unwrap_or_default().name;
    ensure!(name == "Leaf and Cup", "the brand is called {name:?} after the pod's death");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn both_services_on_mysql_become_ready_as_the_examples_are_written() -> Result<()> {
    let shop = Shop::empty().await?;
    let database = format!("{}_goods", shop.namespace.replace('-', "_"));
    mariadb().sql(&format!("CREATE DATABASE {database}"));
    shop.put_secret("goods-database", &mariadb().account(&database).url(e2e::shop::BRIDGE)).await?;
    shop.apply_example("goods-mysql.yaml").await?;
    shop.apply_example("inventory-mysql.yaml").await?;
    until_ready(&shop, "goodsservice/goods", "2/2").await?;
    until_ready(&shop, "inventoryservice/inventory", "3/3").await?;
    let table = shop.cluster.kubectl(&["get", "shop", "--namespace", &shop.namespace]).await?;
    println!("{table}");
    ensure!(
        table.contains("2/2") && table.contains("3/3"),
        "`kubectl get shop` does not show both:\n{table}"
    );
    Ok(())
}

#[test]
fn the_service_config_tells_clients_of_every_service_to_spread_and_to_send_again_within_a_bound()
-> Result<()> {
    let file = Path::new(&repository("examples")).join("grpc-service-config.json");
    let config: Value = serde_json::from_str(&fs::read_to_string(file)?)?;
    ensure!(
        config["loadBalancingConfig"][0].get("round_robin").is_some(),
        "clients are not told to spread"
    );
    for service in [
        "inventory.v1.InventoryService",
        "goods.v1.GoodsService",
        "goods.v1.CategoryService",
        "goods.v1.BrandService",
    ] {
        let calling = Calling::published(service)?;
        ensure!((2..=5).contains(&calling.attempts), "{service}: {calling:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_as_the_service_config_says_reaches_every_pod_in_turn() -> Result<()> {
    let shop = Shop::of_three().await?;
    let calling = Calling::published(load::SERVICE)?;
    // What a lookup of the headless Service's name gives.
    let slices: Api<EndpointSlice> = Api::namespaced(shop.client(), &shop.namespace);
    let of_the_service = format!("kubernetes.io/service-name={NAME}-headless");
    let slices = slices.list(&ListParams::default().labels(&of_the_service)).await?;
    let endpoints = slices.items.into_iter().flat_map(|slice| slice.endpoints.unwrap_or_default());
    let mut clients = Vec::new();
    for address in endpoints.flat_map(|endpoint| endpoint.addresses) {
        let endpoint = Endpoint::from_shared(format!("http://{address}:{GRPC_PORT}"))?;
        let channel = endpoint.timeout(calling.deadline).connect().await?;
        clients.push(InventoryServiceClient::new(channel));
    }
    ensure!(clients.len() == 3, "the headless Service leads to {} pods, not 3", clients.len());
    let stock = SetStockRequest { goods_id: 1, on_hand: 30, ..Default::default() };
    clients[0].set_stock(stock).await?;

    let before = shop.calls_of_each_pod("Sell").await?;
    for number in 0..30 {
        let lines = vec![Line { goods_id: 1, quantity: 1 }];
        let order = SellRequest { order_sn: format!("turn-{number}"), lines, ttl: None };
        load::sell(&clients[number % 3], order, &calling).await?;
    }
    let after = shop.calls_of_each_pod("Sell").await?;
    for (pod, calls) in &after {
        let calls = calls - before.get(pod).unwrap_or(&0);
        ensure!(calls >= 10, "pod {pod} answered {calls} of 30 orders sent in turn: {after:?}");
    }
    ensure!(shop.number("SELECT on_hand FROM stock WHERE goods_id = 1")? == 0, "not all were sold");
    Ok(())
}

async fn until_ready(shop: &Shop, resource: &str, applied: &str) -> Result<()> {
    shop.cluster.until_ready(&shop.namespace, resource, applied, SOON).await
}
