//! The wire contract: messages, clients and servers of `goods.v1` and `inventory.v1`, generated from the `.proto` files
//! beside `src/`. Nothing here is written by hand but [`codec`].
#![expect(
    unused_qualifications,
    clippy::allow_attributes_without_reason,
    clippy::doc_markdown,
    reason = "the generator qualifies every path and allows without reasons; its docs are the prose of the contract"
)]

pub mod codec;

/// The catalog.
pub mod goods {
    /// Package `goods.v1`.
    pub mod v1 {
        tonic::include_proto!("goods.v1");
        /// The package's descriptors with their imports and comments, for server reflection.
        pub const FILE_DESCRIPTOR_SET: &[u8] =
            include_bytes!(concat!(env!("OUT_DIR"), "/goods.v1.bin"));
    }
}

/// The stock.
pub mod inventory {
    /// Package `inventory.v1`.
    pub mod v1 {
        tonic::include_proto!("inventory.v1");
        /// The package's descriptors with their imports and comments, for server reflection.
        pub const FILE_DESCRIPTOR_SET: &[u8] =
            include_bytes!(concat!(env!("OUT_DIR"), "/inventory.v1.bin"));
    }
}
