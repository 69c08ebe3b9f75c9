//! A client's way to call: as the published service config says, over every replica in turn, each attempt recorded.

use crate::{
    history::{Act, Lines, Recorder, Told},
    replica::Door,
};
use anyhow::Result;
use e2e::{load::SERVICE, service_config::Calling};
use proto::inventory::v1::{
    CancelRequest, ConfirmRequest, GetStockRequest, Line, Order, OrderState, RebackRequest,
    SellRequest, inventory_service_client::InventoryServiceClient,
};
use rand::{RngExt, rngs::StdRng};
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, sleep, timeout_at};
use tonic::{Code, Request, Status, transport::Channel};
use tonic_types::StatusExt;

/// What a client of gRPC obeys before it sends a call again, in milliseconds.
const PUSHBACK: &str = "grpc-retry-pushback-ms";
/// By how much a client of gRPC varies the wait before it sends again.
const JITTER: f64 = 0.2;

/// Calls the replicas of a shop.
#[derive(Clone)]
pub struct Caller {
    doors: Arc<[Door]>,
    recorder: Recorder,
    calling: Arc<Calling>,
    /// For how long after the deadline an answer is still listened to.
    patience: Duration,
    next: usize,
}

impl Caller {
    /// A caller of these replicas.
    pub fn new(doors: Vec<Door>, recorder: Recorder) -> Result<Self> {
        let calling = Arc::new(Calling::published(SERVICE)?);
        Ok(Self { doors: doors.into(), recorder, calling, patience: Duration::ZERO, next: 0 })
    }

    /// The same, whose first call goes to this replica, counted over all of them again and again.
    pub fn starting_at(self, replica: usize) -> Self {
        Self { next: replica, ..self }
    }

    /// The same, for calls that wait no longer than this.
    pub fn with_deadline(mut self, deadline: Duration) -> Self {
        Arc::make_mut(&mut self.calling).deadline = deadline;
        self
    }

    /// The same, but it listens for so long after the deadline: for those who want to know how late an answer is.
    pub fn listening_on(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// Calls until there is an answer, sending again what the published service config says is sent again; none when
    /// that is over.
    pub async fn call(&mut self, order: &str, act: &Act, random: &mut StdRng) -> Option<Told> {
        let until = Instant::now() + self.calling.deadline;
        for repeat in 0..self.calling.attempts {
            let channel = timeout_at(until, self.channel()).await.ok()?;
            let told = match self.attempt(channel, order, act, until).await {
                Ended::Answered(told) => return Some(told),
                Ended::Over => return None,
                Ended::Again(pushback) => pushback,
            };
            let jitter = random.random_range(1.0 - JITTER..1.0 + JITTER);
            let pause = told.unwrap_or(self.calling.backoff(repeat).mul_f64(jitter));
            timeout_at(until, sleep(pause)).await.ok()?;
        }
        None
    }

    /// One attempt, whatever comes of it.
    pub async fn try_once(&mut self, order: &str, act: &Act) -> Option<Told> {
        let until = Instant::now() + self.calling.deadline;
        let channel = timeout_at(until, self.channel()).await.ok()?;
        match self.attempt(channel, order, act, until).await {
            Ended::Answered(told) => Some(told),
            Ended::Over | Ended::Again(_) => None,
        }
    }

    /// Looks at a stock, once.
    pub async fn look(&mut self, goods: i64) {
        let until = Instant::now() + self.calling.deadline;
        let Ok(channel) = timeout_at(until, self.channel()).await else { return };
        let began = self.recorder.now();
        let mut client = InventoryServiceClient::new(channel);
        let request = GetStockRequest { goods_id: goods };
        if let Ok(Ok(answer)) = timeout_at(until, client.get_stock(request)).await
            && let Some(stock) = answer.into_inner().stock
        {
            self.recorder.looked(goods, stock.on_hand, began);
        }
    }

    /// The next replica that is there; waits while none is.
    async fn channel(&mut self) -> Channel {
        loop {
            for _ in 0..self.doors.len() {
                self.next = (self.next + 1) % self.doors.len();
                if let Some(channel) = self.doors[self.next].borrow().clone() {
                    return channel;
                }
            }
            let mut doors = self.doors.to_vec();
            let changes = doors.iter_mut().map(|door| Box::pin(door.changed()));
            let _ = futures::future::select_all(changes).await;
            // Doors of a shop that is closing answer at once, and the deadline must come all the same.
            tokio::task::yield_now().await;
        }
    }

    async fn attempt(&self, channel: Channel, order: &str, act: &Act, until: Instant) -> Ended {
        let begun = self.recorder.begin(order, act);
        let client = InventoryServiceClient::new(channel);
        match timeout_at(until + self.patience, send(client, order, act, until)).await {
            Ok(Ok((state, replayed))) => {
                let told = Told::Acknowledged { state, replayed };
                begun.end(told.clone());
                Ended::Answered(told)
            }
            Ok(Err(status)) => {
                let told = told_by(&status);
                begun.end(told.clone());
                match told {
                    Told::Refused(_) | Told::Acknowledged { .. } => Ended::Answered(told),
                    Told::Unknown(_) if status.code() == Code::DeadlineExceeded => Ended::Over,
                    Told::Undone(_) | Told::Unknown(_) => Ended::Again(pushback(&status)),
                }
            }
            Err(_) => {
                begun.end(Told::Unknown("no answer until the deadline".to_owned()));
                Ended::Over
            }
        }
    }
}

/// How an attempt ended.
enum Ended {
    Answered(Told),
    /// It may be made again, after so long if the service said so.
    Again(Option<Duration>),
    /// There is no time for another.
    Over,
}

type Answer = Result<(OrderState, bool), Status>;

async fn send(
    mut client: InventoryServiceClient<Channel>,
    order: &str,
    act: &Act,
    until: Instant,
) -> Answer {
    let order_sn = order.to_owned();
    let wire = |lines: &Lines| wire(lines, &order_sn);
    let (order, replayed) = match act {
        Act::Sell(lines) => {
            let lines = wire(lines);
            let request = SellRequest { order_sn, lines, ttl: None };
            let answer = client.sell(within(request, until)).await?.into_inner();
            (answer.order, answer.replayed)
        }
        Act::Hold(lines, ttl) => {
            let (lines, ttl) = (wire(lines), prost_types::Duration::try_from(*ttl).ok());
            let request = SellRequest { order_sn, lines, ttl };
            let answer = client.sell(within(request, until)).await?.into_inner();
            (answer.order, answer.replayed)
        }
        Act::Confirm => {
            let request = ConfirmRequest { order_sn, reacquire: false };
            let answer = client.confirm(within(request, until)).await?.into_inner();
            (answer.order, answer.replayed)
        }
        Act::Cancel => {
            let request = CancelRequest { order_sn };
            let answer = client.cancel(within(request, until)).await?.into_inner();
            (answer.order, answer.replayed)
        }
        Act::Reback => {
            let request = RebackRequest { order_sn, ..RebackRequest::default() };
            let answer = client.reback(within(request, until)).await?.into_inner();
            (answer.order, answer.replayed)
        }
        Act::GiveBack(request_id, lines) => {
            let (lines, request_id) = (wire(lines), request_id.clone());
            let request = RebackRequest { order_sn, lines, request_id };
            let answer = client.reback(within(request, until)).await?.into_inner();
            (answer.order, answer.replayed)
        }
    };
    Ok((order.as_ref().map_or(OrderState::Unspecified, Order::state), replayed))
}

fn within<T>(message: T, until: Instant) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(until.saturating_duration_since(Instant::now()));
    request
}

/// Half of the orders name their goods the other way round, so that orders for the same goods come in opposite orders.
pub fn wire(lines: &Lines, order: &str) -> Vec<Line> {
    let mut lines: Vec<Line> =
        lines.iter().map(|(&goods_id, &quantity)| Line { goods_id, quantity }).collect();
    if order.bytes().map(u32::from).sum::<u32>() % 2 == 1 {
        lines.reverse();
    }
    lines
}

/// What a status tells a caller. A status without our details comes from the way between, and leaves everything open.
pub fn told_by(status: &Status) -> Told {
    let Some(info) = status.get_details_error_info() else {
        return Told::Unknown(format!("{:?}: {}", status.code(), status.message()));
    };
    match status.code() {
        Code::DeadlineExceeded => Told::Unknown(info.reason),
        Code::Unavailable if info.reason == "OUTCOME_UNKNOWN" => Told::Unknown(info.reason),
        Code::Unavailable => Told::Undone(info.reason),
        _ => Told::Refused(info.reason),
    }
}

fn pushback(status: &Status) -> Option<Duration> {
    let milliseconds = status.metadata().get(PUSHBACK)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_millis(milliseconds))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonic_types::ErrorDetails;

    #[test]
    fn a_status_is_taken_for_what_it_says_and_one_from_the_way_for_nothing() {
        let told = |code, reason: &str| {
            let details = ErrorDetails::with_error_info(reason, "inventory.shopkeeper.dev", []);
            told_by(&Status::with_error_details(code, "words", details))
        };
        let open = |reason: &str| Told::Unknown(reason.to_owned());
        assert_eq!(told(Code::Unavailable, "OUTCOME_UNKNOWN"), open("OUTCOME_UNKNOWN"));
        assert_eq!(told(Code::DeadlineExceeded, "DEADLINE_EXCEEDED"), open("DEADLINE_EXCEEDED"));
        let undone = Told::Undone("STORE_UNAVAILABLE".to_owned());
        assert_eq!(told(Code::Unavailable, "STORE_UNAVAILABLE"), undone);
        let refused = Told::Refused("INSUFFICIENT_STOCK".to_owned());
        assert_eq!(told(Code::FailedPrecondition, "INSUFFICIENT_STOCK"), refused);
        let cut = Status::unavailable("connection reset");
        assert_eq!(told_by(&cut), open("Unavailable: connection reset"));
    }
}
