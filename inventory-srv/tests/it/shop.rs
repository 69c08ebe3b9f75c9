//! A stock service of a test's own: a fresh database, real gRPC on a free port, and an audit at the end.

use crate::books::Books;
use inventory_srv::{
    Inventory, grpc,
    sell::redis_lock::{Locks, RedisUrl},
    store,
};
use prost::Message;
use proto::inventory::v1::inventory_service_client::InventoryServiceClient;
use proto::inventory::v1::{
    GetOrderRequest, GetStockRequest, Line, Order, RebackRequest, RebackResponse, SellRequest,
    SellResponse, SetStockRequest, Stock, StockLineErrors,
};
use srv_config::{InventoryHot, LockStrategy};
use srv_runtime::{Database, Deadline, Settings};
use std::net::SocketAddr;
use std::time::Duration;
use testkit::{MariaDb, Redis, TiDb};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::service::InterceptorLayer;
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Request, Status};

pub(crate) type Client = InventoryServiceClient<Channel>;

/// How many connections to the database a replica holds: the default of a pod.
pub(crate) const CONNECTIONS: u32 = 16;

/// Until when a call has to be answered. The rules of the contract are not about time: 200 orders for one goods on
/// TiDB, each a rival of eight, take more than a pod's 5 s on a busy machine.
const DEADLINE: Duration = Duration::from_secs(20);

/// Declares cases of the contract: each becomes one test per strategy and database, named for both, and is audited.
macro_rules! contract {
    ($($(#[doc = $doc:literal])* async fn $name:ident($shop:ident: &Shop) $body:block)*) => {
        /// `cargo xtask test contract` runs all of them.
        mod contract {
            #[allow(unused_imports, reason = "not every file of cases imports anything")]
            use super::*;
            $(
                $(#[doc = $doc])*
                mod $name {
                    #[allow(unused_imports, reason = "not every case needs all that its file imports")]
                    use super::*;

                    async fn case($shop: &$crate::shop::Shop) $body

                    contract!(@test case, group_commit_on_mariadb, GroupCommit, MariaDb);
                    contract!(@test case, group_commit_on_tidb, GroupCommit, TiDb);
                    contract!(@test case, group_commit_on_sqlite, GroupCommit, Sqlite);
                    contract!(@test case, row_lock_on_mariadb, RowLock, MariaDb);
                    contract!(@test case, row_lock_on_tidb, RowLock, TiDb);
                    contract!(@test case, row_lock_on_sqlite, RowLock, Sqlite);
                    contract!(@test case, optimistic_on_mariadb, Optimistic, MariaDb);
                    contract!(@test case, optimistic_on_tidb, Optimistic, TiDb);
                    contract!(@test case, optimistic_on_sqlite, Optimistic, Sqlite);
                    contract!(@test case, conditional_on_mariadb, Conditional, MariaDb);
                    contract!(@test case, conditional_on_tidb, Conditional, TiDb);
                    contract!(@test case, conditional_on_sqlite, Conditional, Sqlite);
                    contract!(@test case, redis_lock_on_mariadb, RedisLock, MariaDb);
                    contract!(@test case, redis_lock_on_tidb, RedisLock, TiDb);
                    contract!(@test case, redis_lock_on_sqlite, RedisLock, Sqlite);
                }
            )*
        }
    };
    (@test $case:ident, $name:ident, $strategy:ident, $backend:ident) => {
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            let shop = $crate::shop::Shop::open(
                srv_config::LockStrategy::$strategy,
                $crate::shop::Backend::$backend,
            ).await;
            $case(&shop).await;
            shop.close().await;
        }
    };
}

#[test]
fn the_contract_runs_over_every_strategy() {
    let covered = [
        LockStrategy::GroupCommit,
        LockStrategy::RowLock,
        LockStrategy::Optimistic,
        LockStrategy::Conditional,
        LockStrategy::RedisLock,
    ];
    assert_eq!(LockStrategy::ALL, covered, "add the new strategy to the macro `contract`");
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Backend {
    MariaDb,
    TiDb,
    Sqlite,
}

/// A stock service and everything it needs. [`Shop::close`] audits it.
pub(crate) struct Shop {
    pub(crate) backend: Backend,
    pub(crate) url: String,
    pub(crate) redis: Option<Redis>,
    replica: Replica,
    client: Client,
    _folder: tempfile::TempDir,
}

/// One serving process, as it were.
pub(crate) struct Replica {
    pub(crate) address: SocketAddr,
    pub(crate) settings: Settings<InventoryHot>,
    pub(crate) inventory: Inventory,
    database: Database,
    server: JoinHandle<()>,
}

impl Drop for Replica {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Shop {
    pub(crate) async fn open(strategy: LockStrategy, backend: Backend) -> Self {
        let redis = (strategy == LockStrategy::RedisLock).then(Redis::start);
        Self::open_with(strategy, backend, redis).await
    }

    /// As [`Shop::open`], with a Redis of the test's choice.
    pub(crate) async fn open_with(
        strategy: LockStrategy,
        backend: Backend,
        redis: Option<Redis>,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = match backend {
            Backend::MariaDb => MariaDb::shared().fresh_database(),
            Backend::TiDb => TiDb::shared().fresh_database(),
            Backend::Sqlite => format!("sqlite://{}", folder.path().join("inventory.db").display()),
        };
        Self::open_at(url, strategy, backend, redis, folder).await
    }

    pub(crate) async fn open_at(
        url: String,
        strategy: LockStrategy,
        backend: Backend,
        redis: Option<Redis>,
        folder: tempfile::TempDir,
    ) -> Self {
        let migrating = Database::connect(&url, 1).await.unwrap();
        store::migrate(&migrating).await.unwrap();
        migrating.close().await;
        let replica = replica(&url, strategy, redis.as_ref()).await;
        let client = client(replica.address);
        Self { backend, url, redis, replica, client, _folder: folder }
    }

    /// One more replica on the same database.
    pub(crate) async fn another_replica(&self, strategy: LockStrategy) -> Replica {
        replica(&self.url, strategy, self.redis.as_ref()).await
    }

    /// A client with a connection of its own.
    pub(crate) fn client(&self) -> Client {
        client(self.replica.address)
    }

    pub(crate) fn settings(&self) -> &Settings<InventoryHot> {
        &self.replica.settings
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.replica.address
    }

    pub(crate) fn inventory(&self) -> &Inventory {
        &self.replica.inventory
    }

    pub(crate) async fn stock(&self, stocks: &[(i64, i64)]) {
        for (goods_id, on_hand) in stocks {
            let request =
                SetStockRequest { goods_id: *goods_id, on_hand: *on_hand, ..Default::default() };
            self.client.clone().set_stock(request).await.unwrap();
        }
    }

    pub(crate) async fn sell(
        &self,
        order_sn: &str,
        lines: &[(i64, i64)],
    ) -> Result<SellResponse, Status> {
        sell(&mut self.client.clone(), order_sn, lines).await
    }

    pub(crate) async fn reback(&self, order_sn: &str) -> Result<RebackResponse, Status> {
        let request = RebackRequest { order_sn: order_sn.to_owned(), ..Default::default() };
        Ok(self.client.clone().reback(request).await?.into_inner())
    }

    pub(crate) async fn order(&self, order_sn: &str) -> Result<Order, Status> {
        let request = GetOrderRequest { order_sn: order_sn.to_owned() };
        Ok(self.client.clone().get_order(request).await?.into_inner().order.unwrap())
    }

    pub(crate) async fn get(&self, goods_id: i64) -> Stock {
        self.client
            .clone()
            .get_stock(GetStockRequest { goods_id })
            .await
            .unwrap()
            .into_inner()
            .stock
            .unwrap()
    }

    pub(crate) async fn on_hand(&self, goods_id: i64) -> i64 {
        self.get(goods_id).await.on_hand
    }

    /// Changes what is on record behind the service's back.
    pub(crate) async fn tamper(&self, statement: &'static str) {
        use sqlx::{Connection, Executor};
        if self.backend == Backend::Sqlite {
            let mut connection = sqlx::SqliteConnection::connect(&self.url).await.unwrap();
            // The service hardly leaves the file alone.
            connection.execute("PRAGMA busy_timeout = 20000").await.unwrap();
            connection.execute(statement).await.unwrap();
        } else {
            let mut connection = sqlx::MySqlConnection::connect(&self.url).await.unwrap();
            connection.execute(statement).await.unwrap();
        }
    }

    /// Everything on record.
    pub(crate) async fn books(&self) -> Books {
        Books::of(&self.url).await
    }

    /// Waits for writes whose callers are gone, then audits.
    pub(crate) async fn close(self) {
        self.replica.database.close().await;
        let faults = self.books().await.faults();
        assert!(faults.is_empty(), "the books do not add up: {faults:#?}");
    }
}

async fn replica(url: &str, strategy: LockStrategy, redis: Option<&Redis>) -> Replica {
    let database = Database::connect(url, CONNECTIONS).await.unwrap();
    let settings = Settings::new(InventoryHot { lock_strategy: strategy, ..Default::default() });
    let locks = Locks::new(redis.map_or(RedisUrl::None, |redis| RedisUrl::Given(redis.url())));
    let inventory = Inventory::new(store::Store::new(database.clone()), locks, settings.clone());
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let service = grpc::service(inventory.clone());
    let server = tokio::spawn(async move {
        let incoming = TcpListenerStream::new(listener);
        let mut server = Server::builder().layer(InterceptorLayer::new(in_good_time));
        server.add_service(service).serve_with_incoming(incoming).await.unwrap();
    });
    Replica { address, settings, inventory, database, server }
}

/// Gives a call [`DEADLINE`], of which it learns here as it does in a pod.
#[expect(clippy::unnecessary_wraps, reason = "an interceptor may refuse calls")]
fn in_good_time(mut request: Request<()>) -> Result<Request<()>, Status> {
    request.extensions_mut().insert(Deadline(Instant::now() + DEADLINE));
    Ok(request)
}

pub(crate) fn client(address: SocketAddr) -> Client {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
    InventoryServiceClient::new(endpoint.connect_lazy())
}

pub(crate) async fn sell(
    client: &mut Client,
    order_sn: &str,
    lines: &[(i64, i64)],
) -> Result<SellResponse, Status> {
    Ok(client.sell(request(order_sn, lines)).await?.into_inner())
}

pub(crate) fn request(order_sn: &str, lines: &[(i64, i64)]) -> SellRequest {
    let lines = lines.iter().map(|&(goods_id, quantity)| Line { goods_id, quantity }).collect();
    SellRequest { order_sn: order_sn.to_owned(), lines, ttl: None }
}

/// The one detail of this kind in a status.
fn detail<T: Message + Default>(status: &Status, name: &str) -> Option<T> {
    let details = tonic_types::pb::Status::decode(status.details())
        .expect("details are a google.rpc.Status")
        .details;
    let mut found =
        details.iter().filter(|any| any.type_url == format!("type.googleapis.com/{name}"));
    let detail = found.next().map(|any| T::decode(&*any.value).expect("a detail of its type"));
    assert!(found.next().is_none(), "two details of one kind: {name}");
    detail
}

pub(crate) fn info(status: &Status) -> tonic_types::pb::ErrorInfo {
    let info: tonic_types::pb::ErrorInfo =
        detail(status, "google.rpc.ErrorInfo").expect("every error has an ErrorInfo");
    assert_eq!(info.domain, "inventory.shopkeeper.dev");
    info
}

pub(crate) fn reason(status: &Status) -> String {
    info(status).reason
}

/// Code and reason of an error that must be one.
#[track_caller]
pub(crate) fn refusal<T: std::fmt::Debug>(answer: Result<T, Status>) -> (tonic::Code, String) {
    let status = answer.expect_err("an error");
    (status.code(), reason(&status))
}

pub(crate) fn bad_request(status: &Status) -> Vec<(String, String)> {
    let request: tonic_types::pb::BadRequest =
        detail(status, "google.rpc.BadRequest").expect("a BadRequest");
    request
        .field_violations
        .into_iter()
        .map(|violation| (violation.field, violation.reason))
        .collect()
}

pub(crate) fn preconditions(status: &Status) -> Vec<(String, String)> {
    let failure: tonic_types::pb::PreconditionFailure =
        detail(status, "google.rpc.PreconditionFailure").expect("a PreconditionFailure");
    failure.violations.into_iter().map(|violation| (violation.r#type, violation.subject)).collect()
}

pub(crate) fn stock_lines(status: &Status) -> StockLineErrors {
    detail(status, "inventory.v1.StockLineErrors").expect("a StockLineErrors")
}

pub(crate) fn has_retry_info(status: &Status) -> bool {
    detail::<tonic_types::pb::RetryInfo>(status, "google.rpc.RetryInfo").is_some()
}

/// Another program that holds a goods' row (on SQLite: the whole file) so that writes wait.
pub(crate) enum Blocker {
    MySql(sqlx::MySqlConnection),
    Sqlite(sqlx::SqliteConnection),
}

impl Blocker {
    pub(crate) async fn hold(shop: &Shop, goods: i64) -> Self {
        use sqlx::{Connection, Executor};
        match shop.backend {
            Backend::MariaDb | Backend::TiDb => {
                let mut connection = sqlx::MySqlConnection::connect(&shop.url).await.unwrap();
                connection.execute("BEGIN").await.unwrap();
                let lock =
                    "SELECT goods_id FROM stock WHERE location_id = 0 AND goods_id = ? FOR UPDATE";
                sqlx::query(lock).bind(goods).fetch_one(&mut connection).await.unwrap();
                Self::MySql(connection)
            }
            Backend::Sqlite => {
                let mut connection = sqlx::SqliteConnection::connect(&shop.url).await.unwrap();
                connection.execute("BEGIN IMMEDIATE").await.unwrap();
                Self::Sqlite(connection)
            }
        }
    }

    pub(crate) async fn release(self) {
        use sqlx::Executor;
        match self {
            Self::MySql(mut connection) => drop(connection.execute("ROLLBACK").await.unwrap()),
            Self::Sqlite(mut connection) => drop(connection.execute("ROLLBACK").await.unwrap()),
        }
    }
}
