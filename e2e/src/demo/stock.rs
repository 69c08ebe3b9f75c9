//! The stock service at work: sell, replay, refuse, give back, race.

use crate::{install::Shop, stage::Stage};
use anyhow::{Context, Result, bail, ensure};
use futures::future::join_all;
use proto::inventory::v1::{
    BatchGetStockRequest, GetStockRequest, Line, RebackRequest, SellRequest, SellResponse,
    SetStockRequest, StockLineErrors, inventory_service_client::InventoryServiceClient,
};
use std::time::{Duration, Instant};
use tonic::{Code, Status, transport::Channel};
use tonic_types::StatusExt;

/// How many pieces the race is for, and how many orders want one of them.
const PIECES: i64 = 100;
const RIVALS: usize = 200;
/// How long a killed pod's successor may take.
const SUCCESSOR: Duration = Duration::from_secs(60);

type Client = InventoryServiceClient<Channel>;

pub(crate) async fn fill(shop: &Shop, stage: &mut Stage, goods: &[i64]) -> Result<()> {
    let start = Instant::now();
    let mut client = shop.inventory();
    for goods_id in goods {
        let request =
            SetStockRequest { goods_id: *goods_id, on_hand: PIECES, ..Default::default() };
        client.set_stock(request).await.context("SetStock")?;
    }
    let stocks = on_hand(&mut client, goods).await?;
    ensure!(
        stocks.iter().all(|stock| *stock == PIECES),
        "the stock is {stocks:?}, not {PIECES} of each"
    );
    stage.claim(
        start.elapsed(),
        &format!("{PIECES} pieces of each of {} goods are in stock", goods.len()),
    );
    Ok(())
}

pub(crate) async fn sell_an_order(shop: &Shop, stage: &mut Stage, goods: &[i64]) -> Result<()> {
    let start = Instant::now();
    let mut client = shop.inventory();
    let response = sell(&mut client, "demo-1", &[(goods[0], 2), (goods[1], 1)]).await?;
    let took = start.elapsed();
    ensure!(!response.replayed, "a new order was taken for a replay");
    expect_on_hand(&mut client, &goods[..2], &[PIECES - 2, PIECES - 1]).await?;
    stage.claim(
        took,
        "order demo-1 sold: 2 pieces of one goods and 1 of another; the stock fell to 98 and 99",
    );
    Ok(())
}

pub(crate) async fn replay_the_order(shop: &Shop, stage: &mut Stage, goods: &[i64]) -> Result<()> {
    let start = Instant::now();
    let mut client = shop.inventory();
    let response = sell(&mut client, "demo-1", &[(goods[1], 1), (goods[0], 2)]).await?;
    let took = start.elapsed();
    ensure!(response.replayed, "the same order again was not known");
    expect_on_hand(&mut client, &goods[..2], &[PIECES - 2, PIECES - 1]).await?;
    stage.claim(took, "order demo-1 sent again: answered from the record, nothing moved");
    Ok(())
}

pub(crate) async fn ask_for_too_much(shop: &Shop, stage: &mut Stage, goods: &[i64]) -> Result<()> {
    let start = Instant::now();
    let mut client = shop.inventory();
    let lines = [(goods[0], PIECES + 1), (goods[1], PIECES + 2), (goods[2], 1)];
    let refused = match sell(&mut client, "demo-2", &lines).await {
        Ok(_) => bail!("an order for more than there is was sold"),
        Err(status) => status,
    };
    let took = start.elapsed();
    ensure!(refused.code() == Code::FailedPrecondition, "refused, but with {:?}", refused.code());
    let reason = reason_of(&refused);
    ensure!(reason == "INSUFFICIENT_STOCK", "refused, but with reason {reason:?}");
    let short = short_lines(&refused)?;
    let named: Vec<(i64, i64, i64)> =
        short.lines.iter().map(|line| (line.goods_id, line.requested, line.available)).collect();
    let expected = [(goods[0], PIECES + 1, PIECES - 2), (goods[1], PIECES + 2, PIECES - 1)];
    ensure!(named == expected, "the short lines are {named:?}, not {expected:?}");
    expect_on_hand(&mut client, &goods[..3], &[PIECES - 2, PIECES - 1, PIECES]).await?;
    stage.claim(
        took,
        "order demo-2 refused with INSUFFICIENT_STOCK, every short line named, nothing moved:",
    );
    for (goods_id, requested, available) in named {
        stage.detail(&format!("goods {goods_id}: {requested} asked for, {available} there"));
    }
    Ok(())
}

pub(crate) async fn give_the_order_back(
    shop: &Shop,
    stage: &mut Stage,
    goods: &[i64],
) -> Result<()> {
    let start = Instant::now();
    let mut client = shop.inventory();
    let request = RebackRequest { order_sn: "demo-1".into(), ..Default::default() };
    let response = client.reback(request).await.context("Reback")?.into_inner();
    let took = start.elapsed();
    ensure!(response.existed && !response.replayed, "the order was not given back: {response:?}");
    expect_on_hand(&mut client, &goods[..2], &[PIECES, PIECES]).await?;
    stage.claim(
        took,
        "order demo-1 given back, by our own record of it: the stock is 100 and 100 again",
    );
    Ok(())
}

/// Gives the name of an order that got one of the pieces.
pub(crate) async fn race_for_the_last_pieces(
    shop: &Shop,
    stage: &mut Stage,
    goods: &[i64],
) -> Result<String> {
    let start = Instant::now();
    let goods_id = goods[2];
    let race = (0..RIVALS).map(|rival| {
        let mut client = shop.inventory();
        async move { sell(&mut client, &rivals_name(rival), &[(goods_id, 1)]).await }
    });
    let answers = join_all(race).await;
    let took = start.elapsed();
    let sold = answers.iter().filter(|answer| answer.is_ok()).count();
    let short = answers.iter().filter_map(|answer| answer.as_ref().err());
    let others: Vec<&Status> =
        short.filter(|status| reason_of(status) != "INSUFFICIENT_STOCK").collect();
    ensure!(
        others.is_empty(),
        "a loser got another answer than INSUFFICIENT_STOCK: {:?}",
        others[0]
    );
    ensure!(sold as i64 == PIECES, "{sold} orders were sold, and there were {PIECES} pieces");
    expect_on_hand(&mut shop.inventory(), &[goods_id], &[0]).await?;
    let losers = RIVALS - sold;
    stage.claim(
        took,
        &format!(
            "{RIVALS} orders at once for {PIECES} pieces: exactly {sold} sold, {losers} told so"
        ),
    );
    let winner = answers.iter().position(Result::is_ok).context("nobody won the race")?;
    Ok(rivals_name(winner))
}

fn rivals_name(rival: usize) -> String {
    format!("race-{rival}")
}

pub(crate) async fn survive_a_killed_pod(
    shop: &Shop,
    stage: &mut Stage,
    goods: &[i64],
    winner: &str,
) -> Result<()> {
    let start = Instant::now();
    let killed = shop.kill_inventory_pod().await?;
    let request = GetStockRequest { goods_id: goods[2] };
    let answered = e2e::waiting::until("the stock service answers again", SUCCESSOR, async || {
        if !shop.serves_without(&killed).await? {
            return Ok(Err(format!("no successor of {killed} is ready")));
        }
        Ok(shop.inventory().get_stock(request).await.map_err(|status| status.to_string()))
    });
    let stock = answered.await?.into_inner().stock.unwrap_or_default().on_hand;
    ensure!(stock == 0, "after the pod's death {stock} pieces are there, not 0");
    expect_on_hand(&mut shop.inventory(), &goods[..2], &[PIECES, PIECES]).await?;
    let again = sell(&mut shop.inventory(), winner, &[(goods[2], 1)]).await?;
    ensure!(again.replayed, "order {winner}, sold before the pod's death, is not known");
    stage.claim(
        start.elapsed(),
        &format!("pod {killed} killed; its successor serves, and every piece is where it was"),
    );
    Ok(())
}

async fn sell(
    client: &mut Client,
    order_sn: &str,
    lines: &[(i64, i64)],
) -> Result<SellResponse, Status> {
    let lines = lines
        .iter()
        .map(|(goods_id, quantity)| Line { goods_id: *goods_id, quantity: *quantity })
        .collect();
    let request = SellRequest { order_sn: order_sn.to_owned(), lines, ttl: None };
    Ok(client.sell(request).await?.into_inner())
}

async fn on_hand(client: &mut Client, goods: &[i64]) -> Result<Vec<i64>> {
    let request = BatchGetStockRequest { goods_ids: goods.to_vec() };
    let response = client.batch_get_stock(request).await.context("BatchGetStock")?.into_inner();
    Ok(response.stocks.iter().map(|stock| stock.on_hand).collect())
}

async fn expect_on_hand(client: &mut Client, goods: &[i64], expected: &[i64]) -> Result<()> {
    let found = on_hand(client, goods).await?;
    ensure!(found == expected, "the stock of goods {goods:?} is {found:?}, not {expected:?}");
    Ok(())
}

fn reason_of(status: &Status) -> String {
    status.get_details_error_info().map(|info| info.reason).unwrap_or_default()
}

fn short_lines(status: &Status) -> Result<StockLineErrors> {
    e2e::details::find(status, "inventory.v1.StockLineErrors")
        .context("the status names no short lines")
}
