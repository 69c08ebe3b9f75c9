//! Goods and their filter, from the wire to the types that hold what they promise.

use crate::goods::{GoodsChange, GoodsFilter};
use crate::grpc::entry::{parse_image, search};
use crate::image::Images;
use crate::mask::Mask;
use crate::money::{Money, PriceRange};
use crate::noun::Id;
use crate::text::{Brief, Description, GoodsName, GoodsSn};
use crate::violations::{Reason, Violations};
use proto::goods::v1 as wire;

/// The most categories, and the most brands, of one filter: more than a person ticks.
const FILTER_IDS_MAX: usize = 50;

/// Parses goods that are to be added.
pub(super) fn new_goods(goods: &wire::Goods, violations: &mut Violations) -> GoodsChange {
    masked(goods, &Mask::everything(&fields(goods)), violations)
}

/// Parses the change of goods that the mask describes.
pub(super) fn change(
    goods: &wire::Goods,
    paths: &[String],
    violations: &mut Violations,
) -> GoodsChange {
    let mask = Mask::parse(paths, &fields(goods), violations);
    masked(goods, &mask, violations)
}

/// The writable fields, each with whether it has another value than its default.
fn fields(goods: &wire::Goods) -> [(&'static str, bool); 15] {
    [
        ("name", !goods.name.is_empty()),
        ("goods_sn", !goods.goods_sn.is_empty()),
        ("category_id", goods.category_id != 0),
        ("brand_id", goods.brand_id != 0),
        ("shop_price", goods.shop_price.is_some()),
        ("market_price", goods.market_price.is_some()),
        ("brief", !goods.brief.is_empty()),
        ("description", !goods.description.is_empty()),
        ("front_image", goods.front_image.is_some()),
        ("images", !goods.images.is_empty()),
        ("description_images", !goods.description_images.is_empty()),
        ("on_sale", goods.on_sale),
        ("ship_free", goods.ship_free),
        ("is_new", goods.is_new),
        ("is_hot", goods.is_hot),
    ]
}

fn masked(goods: &wire::Goods, mask: &Mask, violations: &mut Violations) -> GoodsChange {
    let mut change = GoodsChange::default();
    if mask.names("name") {
        change.name = GoodsName::parse(&goods.name, "goods.name", Reason::InvalidName, violations);
    }
    if mask.names("goods_sn") {
        let reason = Reason::InvalidGoodsSn;
        change.goods_sn = GoodsSn::parse(&goods.goods_sn, "goods.goods_sn", reason, violations);
    }
    if mask.names("category_id") {
        change.category = Id::parse(goods.category_id, "goods.category_id", violations);
    }
    if mask.names("brand_id") {
        change.brand = Id::parse(goods.brand_id, "goods.brand_id", violations);
    }
    if mask.names("shop_price") {
        change.shop_price = price(goods.shop_price.as_ref(), violations);
    }
    if mask.names("market_price") {
        change.market_price = match &goods.market_price {
            None => Some(None),
            Some(price) => money(price, "goods.market_price", violations).map(Some),
        };
    }
    if mask.names("brief") {
        change.brief = Brief::parse(&goods.brief, "goods.brief", Reason::InvalidText, violations);
    }
    if mask.names("description") {
        change.description =
            Description::parse(&goods.description, "goods.description", violations);
    }
    if mask.names("front_image") {
        let image = goods.front_image.as_ref();
        change.front_image = parse_image(image, "goods.front_image", violations);
    }
    if mask.names("images") {
        change.images = images(&goods.images, "goods.images", violations);
    }
    if mask.names("description_images") {
        change.description_images =
            images(&goods.description_images, "goods.description_images", violations);
    }
    change.on_sale = mask.names("on_sale").then_some(goods.on_sale);
    change.ship_free = mask.names("ship_free").then_some(goods.ship_free);
    change.is_new = mask.names("is_new").then_some(goods.is_new);
    change.is_hot = mask.names("is_hot").then_some(goods.is_hot);
    change
}

fn price(price: Option<&wire::Money>, violations: &mut Violations) -> Option<Money> {
    if price.is_none() {
        violations.add("goods.shop_price", Reason::InvalidPrice, "must be given");
    }
    money(price?, "goods.shop_price", violations)
}

fn money(price: &wire::Money, field: &str, violations: &mut Violations) -> Option<Money> {
    Money::parse(price.minor_units, &price.currency_code, field, violations)
}

fn images(images: &[wire::Image], field: &str, violations: &mut Violations) -> Option<Images> {
    let images = images.iter().map(|image| (image.url.as_str(), image.alt.as_str()));
    Images::parse(images, field, violations)
}

/// Parses a filter.
pub(super) fn filter(filter: &wire::GoodsFilter, violations: &mut Violations) -> GoodsFilter {
    let wire::GoodsFilter {
        category_ids,
        brand_ids,
        shop_price,
        text,
        on_sale,
        ship_free,
        is_new,
        is_hot,
        is_tab,
    } = filter;
    let categories = Id::parse_all(category_ids, FILTER_IDS_MAX, "filter.category_ids", violations);
    let brands = Id::parse_all(brand_ids, FILTER_IDS_MAX, "filter.brand_ids", violations);
    let shop_price = shop_price.as_ref().and_then(|range| {
        PriceRange::parse(
            &range.currency_code,
            range.minimum_minor_units,
            range.maximum_minor_units,
            "filter.shop_price",
            violations,
        )
    });
    let text = search(text, "filter.text", violations);
    GoodsFilter {
        categories,
        brands,
        shop_price,
        text,
        on_sale: *on_sale,
        ship_free: *ship_free,
        is_new: *is_new,
        is_hot: *is_hot,
        is_tab: *is_tab,
    }
}
