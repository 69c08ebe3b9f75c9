//! Sizes: what the wire carries stays below what clients accept.

use crate::shop::{preconditions, reason, stock_lines};

/// What the HTTP/2 mapping of gRPC suggests for trailers, and what clients refuse above.
const TRAILERS_MAX: usize = 8 * 1024;

contract! {
    async fn the_trailers_of_57_short_lines_stay_below_8_kib(shop: &Shop) {
        let goods: Vec<i64> = (0..57).map(|index| i64::MAX - index).collect();
        shop.stock(&goods.iter().map(|id| (*id, 999_999_999)).collect::<Vec<_>>()).await;
        let lines: Vec<_> = goods.iter().map(|id| (*id, 1_000_000_000)).collect();
        let status = shop.sell("o-1", &lines).await.unwrap_err();
        assert_eq!(reason(&status), "INSUFFICIENT_STOCK");
        let errors = stock_lines(&status);
        assert_eq!((errors.lines.len(), errors.total, errors.truncated), (20, 57, true));
        assert_eq!(preconditions(&status).len(), 20);
        // As on the wire: the details in base64, the message percent-encoded at worst.
        let size = status.details().len().div_ceil(3) * 4 + status.message().len() * 3;
        assert!(size < TRAILERS_MAX, "{size} bytes");
    }

    async fn the_trailers_of_200_bad_lines_stay_below_8_kib(shop: &Shop) {
        let lines: Vec<_> = (0..200).map(|_| (i64::MIN, i64::MIN)).collect();
        let status = shop.sell(&"\u{7}".repeat(65), &lines).await.unwrap_err();
        assert_eq!(crate::shop::info(&status).metadata["total"], "401");
        assert_eq!(crate::shop::bad_request(&status).len(), 20);
        let size = status.details().len().div_ceil(3) * 4 + status.message().len() * 3;
        assert!(size < TRAILERS_MAX, "{size} bytes");
    }

    async fn orders_up_to_the_cap_are_sold(shop: &Shop) {
        shop.stock(&[(i64::MAX, 1_000_000_000)]).await;
        shop.sell("o-1", &[(i64::MAX, 1_000_000_000)]).await.unwrap();
        assert_eq!(shop.on_hand(i64::MAX).await, 0);
        shop.reback("o-1").await.unwrap();
        assert_eq!(shop.on_hand(i64::MAX).await, 1_000_000_000);
    }
}
