//! A create with a request id takes effect once.

use crate::shop::refusal;
use proto::goods::v1::{
    Brand, Category, CreateBrandRequest, CreateCategoryRequest, CreateGoodsRequest,
    DeleteGoodsRequest, Goods, GoodsFilter, ListBrandsRequest,
};
use tonic::Code;

const MISMATCH: &str = "REQUEST_PAYLOAD_MISMATCH";

fn request(goods: &Goods, request_id: &str) -> CreateGoodsRequest {
    CreateGoodsRequest { goods: Some(goods.clone()), request_id: request_id.into() }
}

fn brand(name: &str, request_id: &str) -> CreateBrandRequest {
    let brand = Some(Brand { name: name.into(), ..Default::default() });
    CreateBrandRequest { brand, request_id: request_id.into() }
}

contract! {
    async fn the_same_create_again_adds_nothing(shop: &Shop) {
        let goods = shop.hammer().await;
        let first = shop.goods().create_goods(request(&goods, "r-1")).await.unwrap().into_inner();
        assert!(!first.replayed);
        let again = shop.goods().create_goods(request(&goods, "r-1")).await.unwrap().into_inner();
        assert!(again.replayed);
        assert_eq!(again.goods, first.goods);
        assert_eq!(shop.names(GoodsFilter::default()).await.len(), 1);
    }

    /// Whoever builds the request again from what is there sends output fields as well.
    async fn output_fields_make_no_other_create(shop: &Shop) {
        let goods = shop.hammer().await;
        let first = shop.goods().create_goods(request(&goods, "r-1")).await.unwrap().into_inner();
        let again = request(&first.goods.unwrap(), "r-1");
        assert!(shop.goods().create_goods(again).await.unwrap().into_inner().replayed);
        let first = shop.brands().create_brand(brand("Acme Tools", "r-1")).await.unwrap();
        let again = CreateBrandRequest { brand: first.into_inner().brand, request_id: "r-1".into() };
        assert!(shop.brands().create_brand(again).await.unwrap().into_inner().replayed);
        let category = Some(Category { name: "Saws".into(), ..Default::default() });
        let first = CreateCategoryRequest { category, request_id: "r-1".into() };
        let category = shop.categories().create_category(first).await.unwrap().into_inner().category;
        let again = CreateCategoryRequest { category, request_id: "r-1".into() };
        assert!(shop.categories().create_category(again).await.unwrap().into_inner().replayed);
    }

    async fn another_create_under_the_same_id_is_refused(shop: &Shop) {
        let goods = shop.hammer().await;
        shop.goods().create_goods(request(&goods, "r-1")).await.unwrap();
        let other = Goods { goods_sn: "H-2".into(), ..goods };
        let refused = shop.goods().create_goods(request(&other, "r-1")).await;
        assert_eq!(refusal(refused), (Code::AlreadyExists, MISMATCH.into()));
        shop.goods().create_goods(request(&other, "r-2")).await.unwrap();
    }

    async fn a_replay_of_deleted_goods_adds_none(shop: &Shop) {
        let goods = shop.hammer().await;
        let first = shop
            .goods()
            .create_goods(request(&goods, "r-1"))
            .await
            .unwrap()
            .into_inner()
            .goods
            .unwrap();
        shop.goods()
            .delete_goods(DeleteGoodsRequest { id: first.id, ..Default::default() })
            .await
            .unwrap();
        let again = shop.goods().create_goods(request(&goods, "r-1")).await.unwrap().into_inner();
        assert!(again.replayed && again.goods.unwrap().delete_time.is_some());
        assert!(shop.names(GoodsFilter::default()).await.is_empty());
    }

    async fn a_refused_create_leaves_its_id_free(shop: &Shop) {
        let goods = shop.hammer().await;
        shop.add(goods.clone()).await;
        let taken = shop.goods().create_goods(request(&goods, "r-1")).await;
        assert_eq!(refusal(taken), (Code::AlreadyExists, "GOODS_SN_TAKEN".into()));
        let other = Goods { goods_sn: "H-2".into(), ..goods };
        assert!(
            !shop.goods().create_goods(request(&other, "r-1")).await.unwrap().into_inner().replayed
        );
    }

    async fn of_many_at_once_one_creates_and_all_answer_the_same(shop: &Shop) {
        let create = brand("Acme", "r-1");
        let calls = (0..12).map(|_| async {
            shop.brands().create_brand(create.clone()).await.unwrap().into_inner()
        });
        let answers = futures::future::join_all(calls).await;
        assert_eq!(answers.iter().filter(|answer| !answer.replayed).count(), 1);
        assert!(answers.iter().all(|answer| answer.brand == answers[0].brand));
        let listed =
            shop.brands().list_brands(ListBrandsRequest::default()).await.unwrap().into_inner();
        assert_eq!(listed.brands.len(), 1);
        let refused = shop.brands().create_brand(brand("Other", "r-1")).await;
        assert_eq!(refusal(refused), (Code::AlreadyExists, MISMATCH.into()));
    }

    async fn categories_are_replayed_too(shop: &Shop) {
        let create = |name: &str| CreateCategoryRequest {
            category: Some(Category { name: name.into(), ..Default::default() }),
            request_id: "r-1".into(),
        };
        let first = shop.categories().create_category(create("a")).await.unwrap().into_inner();
        let again = shop.categories().create_category(create("a")).await.unwrap().into_inner();
        assert!(!first.replayed && again.replayed && first.category == again.category);
        let refused = shop.categories().create_category(create("b")).await;
        assert_eq!(refusal(refused), (Code::AlreadyExists, MISMATCH.into()));
    }
}
