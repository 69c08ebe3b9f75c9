//! Our own error details, which `tonic-types` does not know.

use prost::Message;
use tonic::Status;

/// The detail of this full name, such as `inventory.v1.StockLineErrors`, if the status carries one.
pub fn find<M: Message + Default>(status: &Status, full_name: &str) -> Option<M> {
    let rich = tonic_types::pb::Status::decode(status.details()).ok()?;
    let any = rich.details.into_iter().find(|any| any.type_url.ends_with(full_name))?;
    M::decode(any.value.as_slice()).ok()
}
