//! Goods as callers write and list them, parsed.

use crate::image::{Image, Images};
use crate::money::{Money, PriceRange};
use crate::noun::Id;
use crate::page::{Column, Order};
use crate::text::{Brief, Description, GoodsName, GoodsSn, Search};

/// New values of fields of goods; `None` leaves a field as it is. A create has all of them.
#[derive(Clone, Debug, Default)]
pub struct GoodsChange {
    /// What they are called.
    pub name: Option<GoodsName>,
    /// The shop's own number.
    pub goods_sn: Option<GoodsSn>,
    /// The category they stand in.
    pub category: Option<Id>,
    /// The brand they bear.
    pub brand: Option<Id>,
    /// What they cost.
    pub shop_price: Option<Money>,
    /// What they cost elsewhere; `Some(None)` takes it away.
    pub market_price: Option<Option<Money>>,
    /// One line.
    pub brief: Option<Brief>,
    /// All.
    pub description: Option<Description>,
    /// The picture in lists; `Some(None)` takes it away.
    pub front_image: Option<Option<Image>>,
    /// Pictures.
    pub images: Option<Images>,
    /// Pictures of the description.
    pub description_images: Option<Images>,
    /// Can be bought.
    pub on_sale: Option<bool>,
    /// Shipping costs nothing.
    pub ship_free: Option<bool>,
    /// Among the new ones.
    pub is_new: Option<bool>,
    /// Among the hot ones.
    pub is_hot: Option<bool>,
}

/// Which goods are listed: those that every given field lets through.
#[derive(Clone, Debug, Default)]
pub struct GoodsFilter {
    /// In one of these or under it.
    pub categories: Vec<Id>,
    /// Of one of these.
    pub brands: Vec<Id>,
    /// At such a price.
    pub shop_price: Option<PriceRange>,
    /// With this text.
    pub text: Option<Search>,
    /// Can be bought, or not.
    pub on_sale: Option<bool>,
    /// Shipping costs nothing, or something.
    pub ship_free: Option<bool>,
    /// Among the new ones, or not.
    pub is_new: Option<bool>,
    /// Among the hot ones, or not.
    pub is_hot: Option<bool>,
    /// In a category that is a tab, or not.
    pub is_tab: Option<bool>,
}

/// The orders in which goods can be listed.
pub const ORDERS: &[(&str, &[Column])] = &[
    ("id", &[Column::Number("g.id")]),
    (
        "shop_price",
        &[Column::Text("g.currency"), Column::Number("g.shop_price"), Column::Number("g.id")],
    ),
    ("name", &[Column::Text("g.name_key"), Column::Number("g.id")]),
    ("update_time", &[Column::Number("g.update_time"), Column::Number("g.id")]),
];

/// The newest first.
pub const DEFAULT_ORDER: Order =
    Order { name: "id", columns: &[Column::Number("g.id")], descending: true };
