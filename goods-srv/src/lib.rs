//! The catalog service: goods, the tree of categories they stand in, the brands they bear.
//!
//! A call passes through [`grpc`] (parsed, refused if that can be seen by looking), [`store`] (SQL, one transaction for
//! a write) and back. What is parsed is of the types in between; [`tree`] decides what may stand under what.
#![warn(missing_docs)]

pub mod grpc;

pub mod brand;
pub mod category;
pub mod goods;

pub mod image;
pub mod mask;
pub mod money;
pub mod noun;
pub mod page;
pub mod text;
pub mod tree;
pub mod violations;

pub mod error;
pub mod store;

use srv_config::GoodsHot;
use srv_runtime::Settings;
use store::Store;

/// The catalog and what can be done with it. Clones share everything.
#[derive(Clone)]
pub struct Catalog {
    store: Store,
    settings: Settings<GoodsHot>,
}

impl Catalog {
    /// The catalog in this store; how long a page is by default is read from `settings` call by call.
    pub fn new(store: Store, settings: Settings<GoodsHot>) -> Self {
        Self { store, settings }
    }
}
