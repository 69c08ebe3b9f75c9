//! A catalog service of a test's own: a fresh database and real gRPC on a free port.

use goods_srv::{Catalog, grpc, store, store::Store};
use prost::Message;
use proto::goods::v1::brand_service_client::BrandServiceClient;
use proto::goods::v1::category_service_client::CategoryServiceClient;
use proto::goods::v1::goods_service_client::GoodsServiceClient;
use proto::goods::v1::{
    Brand, Category, CreateBrandRequest, CreateCategoryRequest, CreateGoodsRequest,
    GetGoodsRequest, Goods, GoodsFilter, Image, ListGoodsRequest, ListGoodsResponse, Money,
};
use srv_config::GoodsHot;
use srv_runtime::{Database, Settings};
use testkit::MariaDb;
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Code, Response, Status};
use tonic_types::StatusExt;

/// How many connections to the database a pod holds by default.
const CONNECTIONS: u32 = 16;

/// Declares cases of the contract: each becomes one test per database, named for it.
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

                    contract!(@test case, on_mariadb, MariaDb);
                    contract!(@test case, on_sqlite, Sqlite);
                }
            )*
        }
    };
    (@test $case:ident, $name:ident, $backend:ident) => {
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            $case(&$crate::shop::Shop::open($crate::shop::Backend::$backend).await).await;
        }
    };
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Backend {
    MariaDb,
    Sqlite,
}

pub(crate) struct Shop {
    pub(crate) store: Store,
    pub(crate) settings: Settings<GoodsHot>,
    pub(crate) database: Database,
    channel: Channel,
    server: JoinHandle<()>,
    _folder: tempfile::TempDir,
}

impl Drop for Shop {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Shop {
    pub(crate) async fn open(backend: Backend) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = match backend {
            Backend::MariaDb => MariaDb::shared().fresh_database(),
            Backend::Sqlite => format!("sqlite://{}", folder.path().join("goods.db").display()),
        };
        Self::open_at(&url, folder).await
    }

    pub(crate) async fn open_at(url: &str, folder: tempfile::TempDir) -> Self {
        Self::open_with(url, folder, CONNECTIONS).await
    }

    pub(crate) async fn open_with(url: &str, folder: tempfile::TempDir, connections: u32) -> Self {
        let database = Database::connect(url, connections).await.unwrap();
        store::migrate(&database).await.unwrap();
        let store = Store::new(database.clone());
        let settings = Settings::new(GoodsHot::default());
        let routes = grpc::routes(&Catalog::new(store.clone(), settings.clone()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let incoming = TcpListenerStream::new(listener);
        let serving = Server::builder().add_routes(routes).serve_with_incoming(incoming);
        let server = tokio::spawn(async move { serving.await.unwrap() });
        let channel = Endpoint::from_shared(format!("http://{address}")).unwrap().connect_lazy();
        Self { store, settings, database, channel, server, _folder: folder }
    }

    pub(crate) fn goods(&self) -> GoodsServiceClient<Channel> {
        GoodsServiceClient::new(self.channel.clone())
    }

    pub(crate) fn categories(&self) -> CategoryServiceClient<Channel> {
        CategoryServiceClient::new(self.channel.clone())
    }

    pub(crate) fn brands(&self) -> BrandServiceClient<Channel> {
        BrandServiceClient::new(self.channel.clone())
    }

    /// A new brand's id.
    pub(crate) async fn brand(&self, name: &str) -> i64 {
        let brand = Some(Brand { name: name.into(), ..Default::default() });
        let request = CreateBrandRequest { brand, ..Default::default() };
        self.brands().create_brand(request).await.unwrap().into_inner().brand.unwrap().id
    }

    /// A new category's id; parent 0 is the top.
    pub(crate) async fn category(&self, name: &str, parent_id: i64) -> i64 {
        let category = Some(Category { name: name.into(), parent_id, ..Default::default() });
        let request = CreateCategoryRequest { category, ..Default::default() };
        self.categories().create_category(request).await.unwrap().into_inner().category.unwrap().id
    }

    /// Goods in a category and of a brand of their own, not added yet.
    pub(crate) async fn hammer(&self) -> Goods {
        hammer(self.category("Tools", 0).await, self.brand("Acme").await)
    }

    pub(crate) async fn try_add(&self, goods: Goods) -> Result<Goods, Status> {
        let request = CreateGoodsRequest { goods: Some(goods), ..Default::default() };
        Ok(self.goods().create_goods(request).await?.into_inner().goods.unwrap())
    }

    pub(crate) async fn add(&self, goods: Goods) -> Goods {
        self.try_add(goods).await.unwrap()
    }

    pub(crate) async fn get(&self, id: i64) -> Goods {
        let got = self.goods().get_goods(GetGoodsRequest { id }).await.unwrap();
        got.into_inner().goods.unwrap()
    }

    pub(crate) async fn list(&self, request: ListGoodsRequest) -> ListGoodsResponse {
        self.goods().list_goods(request).await.unwrap().into_inner()
    }

    /// The names of the goods that a filter lets through, the oldest first.
    pub(crate) async fn names(&self, filter: GoodsFilter) -> Vec<String> {
        let request = ListGoodsRequest {
            filter: Some(filter),
            order_by: "id".into(),
            page_size: 100,
            ..Default::default()
        };
        self.list(request).await.goods.into_iter().map(|goods| goods.name).collect()
    }
}

pub(crate) fn hammer(category_id: i64, brand_id: i64) -> Goods {
    Goods {
        name: "Hammer".into(),
        goods_sn: "H-1".into(),
        category_id,
        brand_id,
        shop_price: Some(euros(1999)),
        ..Default::default()
    }
}

pub(crate) fn euros(minor_units: i64) -> Money {
    Money { minor_units, currency_code: "EUR".into() }
}

pub(crate) fn image(name: &str) -> Image {
    Image { url: format!("https://img.example.com/{name}.png"), alt: name.into() }
}

pub(crate) fn mask(paths: &[&str]) -> Option<prost_types::FieldMask> {
    Some(prost_types::FieldMask { paths: paths.iter().map(|path| (*path).to_owned()).collect() })
}

/// The code and the reason of a refusal, which must come from this service.
pub(crate) fn refusal<T: std::fmt::Debug>(answer: Result<Response<T>, Status>) -> (Code, String) {
    let status = answer.unwrap_err();
    (status.code(), reason(&status))
}

pub(crate) fn reason(status: &Status) -> String {
    let info = status.get_details_error_info().unwrap_or_else(|| panic!("no ErrorInfo: {status}"));
    assert_eq!(info.domain, "goods.shopkeeper.dev");
    info.reason
}

pub(crate) fn metadata(status: &Status, key: &str) -> String {
    status.get_details_error_info().unwrap().metadata.get(key).cloned().unwrap_or_default()
}

/// Field and reason of every bad field. (The reader of tonic-types drops the reasons.)
pub(crate) fn bad_fields(status: &Status) -> Vec<(String, String)> {
    assert_eq!(status.code(), Code::InvalidArgument, "{status}");
    let details = tonic_types::pb::Status::decode(status.details()).unwrap().details;
    let any = details.iter().find(|any| any.type_url.ends_with("google.rpc.BadRequest")).unwrap();
    let request = tonic_types::pb::BadRequest::decode(any.value.as_slice()).unwrap();
    request
        .field_violations
        .into_iter()
        .map(|violation| (violation.field, violation.reason))
        .collect()
}

/// Fields and reasons as [`bad_fields`] answers them.
pub(crate) fn fields<const N: usize>(fields: [(&str, &str); N]) -> Vec<(String, String)> {
    fields.map(|(field, reason)| (field.to_owned(), reason.to_owned())).to_vec()
}
