//! The services as callers see them: a table of contents. Each call is checked, made and converted in the file of its
//! noun.

mod brand;
mod category;
mod entry;
mod goods;

use crate::Catalog;
use proto::goods::v1::brand_service_server::{BrandService, BrandServiceServer};
use proto::goods::v1::category_service_server::{CategoryService, CategoryServiceServer};
use proto::goods::v1::goods_service_server::{GoodsService, GoodsServiceServer};
use proto::goods::v1::*;
use tonic::service::{Routes, RoutesBuilder};
use tonic::{Request, Response, Status};

/// The full names of the services.
pub const SERVICES: [&str; 3] =
    ["goods.v1.GoodsService", "goods.v1.CategoryService", "goods.v1.BrandService"];

/// All three services over one catalog.
struct Server(Catalog);

/// The services over this catalog, to be served.
pub fn routes(catalog: &Catalog) -> Routes {
    let mut routes = RoutesBuilder::default();
    routes.add_service(GoodsServiceServer::new(Server(catalog.clone())));
    routes.add_service(CategoryServiceServer::new(Server(catalog.clone())));
    routes.add_service(BrandServiceServer::new(Server(catalog.clone())));
    routes.routes()
}

type Answer<T> = Result<Response<T>, Status>;

/// One line per call: the request's message in, the answer's message out.
macro_rules! calls {
    ($($call:ident: $request:ident -> $response:ident = $function:path;)*) => {$(
        fn $call<'a, 'async_trait>(
            &'a self,
            request: Request<$request>,
        ) -> std::pin::Pin<Box<dyn Future<Output = Answer<$response>> + Send + 'async_trait>>
        where
            'a: 'async_trait,
            Self: 'async_trait,
        {
            Box::pin(async move {
                Ok(Response::new($function(&self.0, request.into_inner()).await?))
            })
        }
    )*};
}

impl GoodsService for Server {
    calls! {
        create_goods: CreateGoodsRequest -> CreateGoodsResponse = goods::create;
        get_goods: GetGoodsRequest -> GetGoodsResponse = goods::get;
        batch_get_goods: BatchGetGoodsRequest -> BatchGetGoodsResponse = goods::batch_get;
        update_goods: UpdateGoodsRequest -> UpdateGoodsResponse = goods::update;
        delete_goods: DeleteGoodsRequest -> DeleteGoodsResponse = goods::delete;
        list_goods: ListGoodsRequest -> ListGoodsResponse = goods::list;
    }
}

impl CategoryService for Server {
    calls! {
        create_category: CreateCategoryRequest -> CreateCategoryResponse = category::create;
        get_category: GetCategoryRequest -> GetCategoryResponse = category::get;
        batch_get_categories: BatchGetCategoriesRequest -> BatchGetCategoriesResponse = category::batch_get;
        update_category: UpdateCategoryRequest -> UpdateCategoryResponse = category::update;
        delete_category: DeleteCategoryRequest -> DeleteCategoryResponse = category::delete;
        list_categories: ListCategoriesRequest -> ListCategoriesResponse = category::list;
    }
}

impl BrandService for Server {
    calls! {
        create_brand: CreateBrandRequest -> CreateBrandResponse = brand::create;
        get_brand: GetBrandRequest -> GetBrandResponse = brand::get;
        batch_get_brands: BatchGetBrandsRequest -> BatchGetBrandsResponse = brand::batch_get;
        update_brand: UpdateBrandRequest -> UpdateBrandResponse = brand::update;
        delete_brand: DeleteBrandRequest -> DeleteBrandResponse = brand::delete;
        list_brands: ListBrandsRequest -> ListBrandsResponse = brand::list;
    }
}
