//! Rules of brands.

use crate::shop::{bad_fields, fields, hammer, image, mask, metadata, reason, refusal};
use proto::goods::v1::{
    BatchGetBrandsRequest, Brand, CreateBrandRequest, DeleteBrandRequest, DeleteGoodsRequest,
    GetBrandRequest, ListBrandsRequest, UpdateBrandRequest,
};
use tonic::Code;

fn named(name: &str) -> CreateBrandRequest {
    let brand = Some(Brand { name: name.into(), ..Default::default() });
    CreateBrandRequest { brand, ..Default::default() }
}

fn delete(id: i64) -> DeleteBrandRequest {
    DeleteBrandRequest { id, ..Default::default() }
}

contract! {
    async fn a_brand_is_read_as_it_was_created(shop: &Shop) {
        let brand = Brand { name: "Acme".into(), logo: Some(image("acme")), ..Default::default() };
        let request = CreateBrandRequest { brand: Some(brand.clone()), ..Default::default() };
        let created =
            shop.brands().create_brand(request).await.unwrap().into_inner().brand.unwrap();
        assert_eq!((&created.name, &created.logo), (&brand.name, &brand.logo));
        let got =
            shop.brands().get_brand(GetBrandRequest { id: created.id }).await.unwrap().into_inner();
        assert_eq!(got.brand.unwrap(), created);
    }

    async fn a_bad_brand_is_refused_with_its_fields(shop: &Shop) {
        let mut logo = image("x");
        logo.url = "ftp://img.example.com/x".into();
        let brand = Some(Brand { name: " ".into(), logo: Some(logo), ..Default::default() });
        let request = CreateBrandRequest { brand, request_id: "r".repeat(65) };
        let status = shop.brands().create_brand(request).await.unwrap_err();
        let expected = fields([
            ("request_id", "INVALID_REQUEST_ID"),
            ("brand.name", "INVALID_NAME"),
            ("brand.logo.url", "INVALID_IMAGE"),
        ]);
        assert_eq!(bad_fields(&status), expected);
    }

    async fn a_name_is_taken_whatever_its_case_until_its_brand_is_deleted(shop: &Shop) {
        let acme = shop.brand("Äcme").await;
        let taken = (Code::AlreadyExists, "BRAND_NAME_TAKEN".to_owned());
        for name in ["Äcme", "äCME", " Äcme "] {
            assert_eq!(refusal(shop.brands().create_brand(named(name)).await), taken, "{name}");
        }
        // Another letter is another name, on every database.
        shop.brand("Acme").await;
        let other = shop.brand("Other").await;
        let brand = Some(Brand { id: other, name: "ÄCME".into(), ..Default::default() });
        let rename = UpdateBrandRequest { brand, update_mask: None };
        assert_eq!(refusal(shop.brands().update_brand(rename.clone()).await), taken);
        shop.brands().delete_brand(delete(acme)).await.unwrap();
        shop.brands().update_brand(rename).await.unwrap();
        shop.brands().delete_brand(delete(other)).await.unwrap();
        assert_ne!(shop.brand("Äcme").await, acme);
    }

    async fn a_brand_keeps_its_own_name_in_another_case(shop: &Shop) {
        let id = shop.brand("acme").await;
        let brand = Some(Brand { id, name: "ACME".into(), ..Default::default() });
        let request = UpdateBrandRequest { brand, update_mask: mask(&["name"]) };
        let after = shop.brands().update_brand(request).await.unwrap().into_inner().brand.unwrap();
        assert_eq!(after.name, "ACME");
    }

    async fn a_logo_is_taken_away_by_the_mask(shop: &Shop) {
        let brand = Brand { name: "Acme".into(), logo: Some(image("acme")), ..Default::default() };
        let request = CreateBrandRequest { brand: Some(brand), ..Default::default() };
        let created =
            shop.brands().create_brand(request).await.unwrap().into_inner().brand.unwrap();
        let update = |brand: &Brand| UpdateBrandRequest {
            brand: Some(Brand { logo: None, name: String::new(), ..brand.clone() }),
            update_mask: mask(&["logo"]),
        };
        let after =
            shop.brands().update_brand(update(&created)).await.unwrap().into_inner().brand.unwrap();
        assert_eq!((after.name.as_str(), after.logo), ("Acme", None));
        let stale = shop.brands().update_brand(update(&created)).await;
        assert_eq!(refusal(stale), (Code::Aborted, "ETAG_MISMATCH".into()));
    }

    async fn a_brand_that_goods_bear_is_not_deleted(shop: &Shop) {
        let brand = shop.brand("Acme").await;
        let goods = shop.add(hammer(shop.category("Tools", 0).await, brand)).await;
        let status = shop.brands().delete_brand(delete(brand)).await.unwrap_err();
        assert_eq!(
            (status.code(), reason(&status).as_str()),
            (Code::FailedPrecondition, "BRAND_IN_USE")
        );
        assert_eq!(metadata(&status, "goods"), "1");
        shop.goods()
            .delete_goods(DeleteGoodsRequest { id: goods.id, ..Default::default() })
            .await
            .unwrap();
        shop.brands().delete_brand(delete(brand)).await.unwrap();
        let gone = (Code::NotFound, "BRAND_NOT_FOUND".to_owned());
        assert_eq!(refusal(shop.brands().delete_brand(delete(brand)).await), gone);
        assert_eq!(refusal(shop.brands().get_brand(GetBrandRequest { id: brand }).await), gone);
        let update = UpdateBrandRequest {
            brand: Some(Brand { id: brand, name: "x".into(), ..Default::default() }),
            update_mask: None,
        };
        assert_eq!(refusal(shop.brands().update_brand(update).await), gone);
    }

    async fn a_batch_keeps_the_order_and_tells_what_is_missing(shop: &Shop) {
        let (a, b) = (shop.brand("a").await, shop.brand("b").await);
        let request =
            |allow_missing| BatchGetBrandsRequest { ids: vec![b, 99, a, b], allow_missing };
        let got = shop.brands().batch_get_brands(request(true)).await.unwrap().into_inner();
        let found: Vec<_> = got.brands.iter().map(|brand| brand.id).collect();
        assert_eq!((found, got.missing_ids), (vec![b, a], vec![99]));
        let refused = shop.brands().batch_get_brands(request(false)).await;
        assert_eq!(refusal(refused), (Code::NotFound, "BRAND_NOT_FOUND".into()));
    }

    async fn brands_are_listed_by_name_page_by_page(shop: &Shop) {
        for name in ["delta", "Bravo", "alpha", "Charlie", "x_y", "xzy"] {
            shop.brand(name).await;
        }
        let mut request =
            ListBrandsRequest { page_size: 4, include_total_size: true, ..Default::default() };
        let first = shop.brands().list_brands(request.clone()).await.unwrap().into_inner();
        let names =
            |brands: &[Brand]| brands.iter().map(|brand| brand.name.clone()).collect::<Vec<_>>();
        assert_eq!(names(&first.brands), ["alpha", "Bravo", "Charlie", "delta"]);
        assert_eq!(first.total_size, Some(6));
        request.page_token = first.next_page_token;
        let second = shop.brands().list_brands(request.clone()).await.unwrap().into_inner();
        assert_eq!(
            (names(&second.brands), second.next_page_token),
            (vec!["x_y".into(), "xzy".into()], String::new())
        );
        request.text = "x".into();
        let refused = shop.brands().list_brands(request).await;
        assert_eq!(refusal(refused), (Code::InvalidArgument, "INVALID_PAGE_TOKEN".into()));
        let found = ListBrandsRequest {
            text: "X_".into(),
            order_by: "id desc".into(),
            ..Default::default()
        };
        let found = shop.brands().list_brands(found).await.unwrap().into_inner();
        assert_eq!((names(&found.brands), found.total_size), (vec!["x_y".into()], None));
        let bad = ListBrandsRequest {
            order_by: "logo".into(),
            page_size: -1,
            page_token: "zz".into(),
            ..Default::default()
        };
        let status = shop.brands().list_brands(bad).await.unwrap_err();
        let expected = fields([
            ("page_size", "INVALID_PAGE_SIZE"),
            ("order_by", "UNKNOWN_ORDER"),
            ("page_token", "INVALID_PAGE_TOKEN"),
        ]);
        assert_eq!(bad_fields(&status), expected);
    }
}
