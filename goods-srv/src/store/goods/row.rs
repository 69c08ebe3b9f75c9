//! A row of goods: what callers write, what the service adds, and what is read beside it.

use crate::error::Error;
use crate::goods::GoodsChange;
use crate::image::Images;
use crate::store::statement::{Assignments, Value};
use crate::text::folded;
use crate::violations::{Reason, Violations};
use sqlx::FromRow;

/// What a [`GoodsRow`] is read from.
pub(super) const FROM: &str =
    "FROM goods g JOIN categories c ON c.id = g.category_id JOIN brands b ON b.id = g.brand_id";

/// The columns of a [`GoodsRow`].
pub(super) const COLUMNS: &str = "g.id, g.name, g.goods_sn, g.category_id, g.brand_id, g.currency, g.shop_price, \
     g.market_price, g.brief, g.description, g.front_image, g.images, g.description_images, g.on_sale, g.ship_free, \
     g.is_new, g.is_hot, g.version, g.create_time, g.update_time, g.delete_time, c.name AS category_name, \
     b.name AS brand_name, b.logo AS brand_logo";

/// Between the texts that are searched together; no text that is searched for can hold it.
const SEPARATOR: char = '\n';

/// Goods with their category's and brand's names.
#[derive(Clone, Debug, FromRow)]
pub struct GoodsRow {
    /// Which goods.
    pub id: i64,
    /// What callers write.
    #[sqlx(flatten)]
    pub columns: Writable,
    /// Counts the changes.
    pub version: i64,
    /// Milliseconds UTC.
    pub create_time: i64,
    /// Milliseconds UTC.
    pub update_time: i64,
    /// Milliseconds UTC.
    pub delete_time: Option<i64>,
    /// What the category is called.
    pub category_name: String,
    /// What the brand is called.
    pub brand_name: String,
    /// The brand's logo, if it has one.
    #[sqlx(try_from = "String")]
    pub brand_logo: Images,
}

/// The columns that callers write.
#[derive(Clone, Debug, Default, FromRow)]
pub struct Writable {
    /// What they are called.
    pub name: String,
    /// The shop's own number.
    pub goods_sn: String,
    /// The category they stand in.
    pub category_id: i64,
    /// The brand they bear.
    pub brand_id: i64,
    /// Of both prices.
    pub currency: String,
    /// In minor units.
    pub shop_price: i64,
    /// In minor units.
    pub market_price: Option<i64>,
    /// One line.
    pub brief: String,
    /// All.
    pub description: String,
    /// One at most.
    #[sqlx(try_from = "String")]
    pub front_image: Images,
    /// Pictures.
    #[sqlx(try_from = "String")]
    pub images: Images,
    /// Pictures of the description.
    #[sqlx(try_from = "String")]
    pub description_images: Images,
    /// Can be bought.
    pub on_sale: bool,
    /// Shipping costs nothing.
    pub ship_free: bool,
    /// Among the new ones.
    pub is_new: bool,
    /// Among the hot ones.
    pub is_hot: bool,
}

impl Writable {
    /// Takes the new values over. An error if the prices then are of two currencies.
    pub(super) fn take(&mut self, change: &GoodsChange) -> Result<(), Error> {
        let GoodsChange {
            name,
            goods_sn,
            category,
            brand,
            shop_price,
            market_price,
            brief,
            description,
            front_image,
            images,
            description_images,
            on_sale,
            ship_free,
            is_new,
            is_hot,
        } = change.clone();
        self.take_prices(shop_price, market_price)?;
        set(&mut self.name, name.map(|name| name.into_string()));
        set(&mut self.goods_sn, goods_sn.map(|sn| sn.into_string()));
        set(&mut self.category_id, category.map(|id| id.get()));
        set(&mut self.brand_id, brand.map(|id| id.get()));
        set(&mut self.brief, brief.map(|brief| brief.into_string()));
        set(&mut self.description, description.map(|text| text.into_string()));
        set(&mut self.front_image, front_image.map(Images::from));
        set(&mut self.images, images);
        set(&mut self.description_images, description_images);
        set(&mut self.on_sale, on_sale);
        set(&mut self.ship_free, ship_free);
        set(&mut self.is_new, is_new);
        set(&mut self.is_hot, is_hot);
        Ok(())
    }

    fn take_prices(
        &mut self,
        shop_price: Option<crate::money::Money>,
        market_price: Option<Option<crate::money::Money>>,
    ) -> Result<(), Error> {
        let mut market_currency = self.market_price.map(|_| self.currency.clone());
        if let Some(price) = shop_price {
            self.shop_price = price.minor_units;
            self.currency = price.currency.as_str().to_owned();
        }
        if let Some(price) = market_price {
            self.market_price = price.as_ref().map(|price| price.minor_units);
            market_currency = price.map(|price| price.currency.as_str().to_owned());
        }
        match market_currency {
            Some(currency) if currency != self.currency => {
                let complaint =
                    format!("must be {}, as that of shop_price, is {currency}", self.currency);
                let field = "goods.market_price.currency_code";
                Err(Violations::one(field, Reason::InvalidCurrency, complaint).into())
            }
            _ => Ok(()),
        }
    }

    /// All of them, and what is derived from them.
    pub(super) fn assignments(&self) -> Assignments {
        let name_key = folded(&self.name);
        let search_text = [name_key.as_str(), &folded(&self.goods_sn), &folded(&self.brief)]
            .join(&SEPARATOR.to_string());
        vec![
            ("name", self.name.as_str().into()),
            ("name_key", name_key.into()),
            ("search_text", search_text.into()),
            ("goods_sn", self.goods_sn.as_str().into()),
            ("live_goods_sn", Value::Bytes(self.goods_sn.as_bytes().to_vec())),
            ("category_id", self.category_id.into()),
            ("brand_id", self.brand_id.into()),
            ("currency", self.currency.as_str().into()),
            ("shop_price", self.shop_price.into()),
            ("market_price", self.market_price.into()),
            ("brief", self.brief.as_str().into()),
            ("description", self.description.as_str().into()),
            ("front_image", self.front_image.to_column().into()),
            ("images", self.images.to_column().into()),
            ("description_images", self.description_images.to_column().into()),
            ("on_sale", self.on_sale.into()),
            ("ship_free", self.ship_free.into()),
            ("is_new", self.is_new.into()),
            ("is_hot", self.is_hot.into()),
        ]
    }
}

fn set<T>(field: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *field = value;
    }
}
