//! The generator against a server whose delay is known: the server notes for how long it really held each call, because
//! a timer rounds up and a busy machine wakes late. What the generator says may be a tenth above that.
//!
//! A machine that is busy with other tests delays the generator itself. So these run one by one, and each may try
//! several times: a generator that is wrong is wrong every time.

use super::{Call, Numbers, Outcome, Tally, Window, closed, open};
use crate::sell_server::{Answer, SellServer};
use crate::table::median;
use anyhow::{Result, ensure};
use proto::inventory::v1::{
    SellRequest, SellResponse, inventory_service_client::InventoryServiceClient,
};
use std::{
    ops::AsyncFn,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    net::TcpListener,
    time::{Instant, sleep},
};
use tonic::{
    Status,
    transport::{Channel, Endpoint},
};

const DELAY: Duration = Duration::from_millis(200);
const TOLERANCE: f64 = 0.1;
const CONNECTIONS: usize = 4;
/// How often a busy machine is forgiven.
const ATTEMPTS: usize = 6;

/// Holds each call for [`DELAY`], and notes the milliseconds that it took.
#[derive(Clone, Default)]
struct Slow(Arc<Mutex<Vec<f64>>>);

impl Answer for Slow {
    async fn answer(&self, _: SellRequest) -> Result<SellResponse, Status> {
        let start = Instant::now();
        sleep(DELAY).await;
        self.0.lock().unwrap().push(start.elapsed().as_secs_f64() * 1000.0);
        Ok(SellResponse::default())
    }
}

#[derive(Clone)]
struct Sell(InventoryServiceClient<Channel>);

impl Call for Sell {
    async fn call(&self, number: u64) -> Outcome {
        let request = SellRequest { order_sn: number.to_string(), ..Default::default() };
        match self.0.clone().sell(request).await {
            Ok(_) => Outcome::Accepted(1),
            Err(status) => Outcome::Failed(status.to_string()),
        }
    }
}

/// A server and connections to it.
struct Stand {
    slow: Slow,
    callers: Vec<Sell>,
}

impl Stand {
    async fn new() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let slow = Slow::default();
        tokio::spawn(SellServer(slow.clone()).serve(listener));
        let connect = || Endpoint::from_shared(address.clone()).unwrap().connect_lazy();
        let callers =
            (0..CONNECTIONS).map(|_| Sell(InventoryServiceClient::new(connect()))).collect();
        Self { slow, callers }
    }

    /// How long the server held a call, in milliseconds: the median.
    fn held(&self) -> f64 {
        median(self.slow.0.lock().unwrap().clone())
    }

    /// Fails unless the generator saw what the server did, and lost nothing.
    fn agrees(&self, tally: &Tally) -> Result<()> {
        assert_eq!((tally.ever.failed, tally.abandoned, &tally.failure), (0, 0, &None));
        let (seen, held) = (tally.milliseconds_at(0.5), self.held());
        let most = held * (1.0 + TOLERANCE);
        ensure!((held * 0.99..most).contains(&seen), "{seen} ms are seen, {held} ms were held");
        Ok(())
    }
}

fn seconds(warm_up: f64, length: f64) -> Window {
    let [warm_up, length] = [warm_up, length].map(Duration::from_secs_f64);
    Window::from_now(warm_up, length, Duration::from_secs(5))
}

async fn succeeds_once(attempt: impl AsyncFn() -> Result<()>) {
    static ONE_BY_ONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
    let _alone = ONE_BY_ONE.lock().await;
    let mut words = Vec::new();
    while words.len() < ATTEMPTS {
        match attempt().await {
            Ok(()) => return,
            Err(error) => words.push(error.to_string()),
        }
    }
    panic!("no attempt of {ATTEMPTS} succeeded: {words:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_loop_calls_as_often_as_in_flight_by_delay_says() {
    succeeds_once(async || {
        let stand = Stand::new().await;
        // A warm-up of half the length would be seen if it were counted.
        let window = seconds(2.0, 4.0);
        let tally = closed::run(&stand.callers, 32, window, &Numbers::default()).await;
        stand.agrees(&tally)?;
        let (rate, ideal) = (tally.counted.accepted as f64 / 4.0, 32_000.0 / stand.held());
        // All 32 are answered about together, twenty times: one time more or less is a twentieth.
        let fits = (ideal * (0.95 - TOLERANCE)..ideal * 1.05).contains(&rate);
        ensure!(fits, "{rate} calls/s, {ideal} are possible");
        assert!(tally.ever.accepted > tally.counted.accepted, "the warm-up was counted");
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_loop_at_a_low_rate_sees_the_delay_and_not_the_pause_between_calls() {
    succeeds_once(async || {
        let stand = Stand::new().await;
        // 400 ms between calls: twice the delay, so that it would be seen in the median.
        let window = seconds(0.4, 4.0);
        let tally = open::run(&stand.callers, 2.5, 100, window, &Numbers::default()).await;
        assert_eq!((tally.latencies.len(), tally.dropped), (10, 0));
        stand.agrees(&tally)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_loop_keeps_its_rate_whatever_the_delay() {
    succeeds_once(async || {
        let stand = Stand::new().await;
        // Ten in flight at a time.
        let window = seconds(0.4, 4.0);
        let tally = open::run(&stand.callers, 50.0, 400, window, &Numbers::default()).await;
        assert_eq!((tally.latencies.len(), tally.dropped), (200, 0));
        stand.agrees(&tally)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_above_the_cap_are_dropped_and_counted() {
    succeeds_once(async || {
        let stand = Stand::new().await;
        // 4 in flight and 200 ms each: 20 a second can be made, 200 are due.
        let window = seconds(0.2, 1.0);
        let tally = open::run(&stand.callers, 200.0, 4, window, &Numbers::default()).await;
        let made = tally.latencies.len();
        assert_eq!(made + tally.dropped, 200);
        assert!(made <= 24, "{made} were made");
        ensure!(made >= 12, "{made} were made");
        stand.agrees(&tally)
    })
    .await;
}

/// Holds the whole runtime up once, as a stalled server would hold its callers up.
#[derive(Clone)]
struct StallsOnce;

impl Call for StallsOnce {
    async fn call(&self, number: u64) -> Outcome {
        if number == 20 {
            std::thread::sleep(Duration::from_millis(500));
        }
        Outcome::Accepted(1)
    }
}

#[tokio::test(flavor = "current_thread")]
async fn a_stall_is_seen_by_every_call_that_was_due_in_it() {
    let tally = open::run(&[StallsOnce], 100.0, 1000, seconds(0.0, 1.0), &Numbers::default()).await;
    assert_eq!(tally.ever.accepted, 100);
    // Due every 10 ms; 500 ms long nothing was answered, so 40 of them waited for 100 ms or more.
    let waited = tally.latencies.iter_recorded().filter(|step| step.value_iterated_to() >= 100_000);
    let waited: u64 = waited.map(|step| step.count_since_last_iteration()).sum();
    assert!(waited >= 38, "{waited} calls waited for 100 ms");
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_without_an_answer_at_the_end_are_counted_as_abandoned() {
    #[derive(Clone)]
    struct Never;
    impl Call for Never {
        async fn call(&self, _: u64) -> Outcome {
            std::future::pending().await
        }
    }
    let window = || {
        let [nothing, short] = [Duration::ZERO, Duration::from_millis(100)];
        Window::from_now(nothing, short, short)
    };
    let closed = closed::run(&[Never], 7, window(), &Numbers::default()).await;
    let open = open::run(&[Never], 1000.0, 7, window(), &Numbers::default()).await;
    assert_eq!((closed.abandoned, open.abandoned), (7, 7));
    assert_eq!((closed.ever, open.ever), Default::default());
}
