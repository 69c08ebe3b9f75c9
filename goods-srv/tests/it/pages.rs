//! Pages: none repeats or skips, whatever comes and goes meanwhile.

use crate::shop::{Shop, euros, hammer, refusal};
use proto::goods::v1::{DeleteGoodsRequest, Goods, GoodsFilter, ListGoodsRequest};
use srv_config::GoodsHot;
use tonic::Code;

/// Goods with these prices, in this order.
async fn fill(shop: &Shop, prices: &[i64]) -> Vec<Goods> {
    let template = shop.hammer().await;
    let mut all = Vec::new();
    for (index, price) in prices.iter().enumerate() {
        let goods = Goods {
            name: format!("N{}", price % 3),
            goods_sn: index.to_string(),
            shop_price: Some(euros(*price)),
            ..template.clone()
        };
        all.push(shop.add(goods).await);
    }
    all
}

/// All ids, page by page.
async fn walk(shop: &Shop, order_by: &str, page_size: i32) -> Vec<i64> {
    let mut request =
        ListGoodsRequest { order_by: order_by.into(), page_size, ..Default::default() };
    let mut ids = Vec::new();
    loop {
        let page = shop.list(request.clone()).await;
        assert!(page.goods.len() <= usize::try_from(page_size).unwrap());
        ids.extend(page.goods.iter().map(|goods| goods.id));
        assert!(ids.len() <= 100, "pages that never end");
        if page.next_page_token.is_empty() {
            return ids;
        }
        request.page_token = page.next_page_token;
    }
}

contract! {
    async fn pages_of_every_size_add_up_to_the_list(shop: &Shop) {
        // Many entries share a key, so that pages end between equals.
        fill(shop, &[5, 1, 5, 3, 5, 1, 2, 5, 3, 5, 5]).await;
        for order_by in [
            "id",
            "id desc",
            "shop_price",
            "shop_price desc",
            "name",
            "name desc",
            "update_time",
            "update_time desc",
        ] {
            let whole = walk(shop, order_by, 100).await;
            assert_eq!(whole.len(), 11);
            for page_size in [1, 2, 3, 5, 10, 11] {
                assert_eq!(
                    walk(shop, order_by, page_size).await,
                    whole,
                    "{order_by}, {page_size} a page"
                );
            }
        }
    }

    async fn what_comes_or_goes_meanwhile_makes_no_page_repeat_or_skip(shop: &Shop) {
        let all = fill(shop, &[10, 20, 30, 40, 50, 60]).await;
        let mut request =
            ListGoodsRequest { order_by: "shop_price".into(), page_size: 3, ..Default::default() };
        let first = shop.list(request.clone()).await;
        let before = Goods {
            goods_sn: "new".into(),
            shop_price: Some(euros(5)),
            ..hammer(all[0].category_id, all[0].brand_id)
        };
        shop.add(before).await;
        // The very entry at which the first page ended goes, too.
        for gone in [all[0].id, all[2].id] {
            shop.goods()
                .delete_goods(DeleteGoodsRequest { id: gone, ..Default::default() })
                .await
                .unwrap();
        }
        request.page_token = first.next_page_token;
        let second: Vec<_> = shop.list(request).await.goods.iter().map(|goods| goods.id).collect();
        assert_eq!(second, [all[3].id, all[4].id, all[5].id]);
    }

    async fn a_token_of_another_list_is_refused(shop: &Shop) {
        fill(shop, &[1, 2, 3]).await;
        let filter = Some(GoodsFilter { on_sale: Some(false), ..Default::default() });
        let request = ListGoodsRequest {
            filter,
            order_by: "name".into(),
            page_size: 1,
            ..Default::default()
        };
        let page_token = shop.list(request.clone()).await.next_page_token;
        let next = ListGoodsRequest { page_token, ..request };
        assert_eq!(shop.list(next.clone()).await.goods.len(), 1);
        assert_eq!(
            shop.list(ListGoodsRequest { page_size: 2, ..next.clone() }).await.goods.len(),
            2,
            "the size may change"
        );
        let refused = (Code::InvalidArgument, "INVALID_PAGE_TOKEN".to_owned());
        for other in [
            ListGoodsRequest { filter: None, ..next.clone() },
            ListGoodsRequest {
                filter: Some(GoodsFilter { on_sale: Some(true), ..Default::default() }),
                ..next.clone()
            },
            ListGoodsRequest { order_by: "name desc".into(), ..next.clone() },
            ListGoodsRequest { order_by: "id".into(), ..next.clone() },
            ListGoodsRequest { page_token: next.page_token[2..].into(), ..next.clone() },
            ListGoodsRequest { page_token: format!("{}00", next.page_token), ..next.clone() },
            ListGoodsRequest { page_token: "é".into(), ..next.clone() },
            ListGoodsRequest { page_token: "f".repeat(100_000), ..next },
        ] {
            assert_eq!(refusal(shop.goods().list_goods(other).await), refused);
        }
    }

    async fn a_page_is_as_long_as_asked_or_configured_and_never_longer_than_100(shop: &Shop) {
        fill(shop, &[1; 101]).await;
        let asking = |page_size| ListGoodsRequest { page_size, ..Default::default() };
        assert_eq!(shop.list(asking(0)).await.goods.len(), 20);
        shop.settings.replace(GoodsHot { page_size: 7, ..Default::default() });
        assert_eq!(shop.list(asking(0)).await.goods.len(), 7);
        assert_eq!(shop.list(asking(100)).await.goods.len(), 100);
        assert_eq!(shop.list(asking(i32::MAX)).await.goods.len(), 100);
        let refused = shop.goods().list_goods(asking(-1)).await;
        assert_eq!(refusal(refused), (Code::InvalidArgument, "INVALID_PAGE_SIZE".into()));
    }

    async fn a_page_that_ends_with_the_list_has_no_next(shop: &Shop) {
        fill(shop, &[1, 2]).await;
        let page = shop.list(ListGoodsRequest { page_size: 2, ..Default::default() }).await;
        assert_eq!((page.goods.len(), page.next_page_token.as_str()), (2, ""));
    }
}
