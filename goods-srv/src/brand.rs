//! Brands as callers write and list them, parsed.

use crate::image::Image;
use crate::page::{Column, Order};
use crate::text::BrandName;

/// New values of fields of a brand; `None` leaves a field as it is. A create has all of them.
#[derive(Clone, Debug, Default)]
pub struct BrandChange {
    /// What it is called.
    pub name: Option<BrandName>,
    /// Its logo; `Some(None)` takes it away.
    pub logo: Option<Option<Image>>,
}

const BY_NAME: &[Column] = &[Column::Text("b.name_key"), Column::Number("b.id")];

/// The orders in which brands can be listed.
pub const ORDERS: &[(&str, &[Column])] = &[("id", &[Column::Number("b.id")]), ("name", BY_NAME)];

/// As in a dictionary.
pub const DEFAULT_ORDER: Order = Order { name: "name", columns: BY_NAME, descending: false };
