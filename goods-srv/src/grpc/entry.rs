//! What all entries have in common on the wire.

use crate::error::Error;
use crate::image::{Image, Images};
use crate::noun::{Id, Noun};
use crate::store::RequestKey;
use crate::text::{RequestId, Search};
use crate::violations::{Reason, Violations};
use prost::Message;
use proto::goods::v1 as wire;
use std::collections::HashMap;

/// The most ids of one batch; as many entries as the longest page has.
pub(super) const BATCH_MAX: usize = 100;

/// Parses the id of a call that is about one entry.
pub(super) fn id(id: i64) -> Result<Id, Violations> {
    let mut violations = Violations::default();
    Id::parse(id, "id", &mut violations).ok_or(violations)
}

/// Parses the ids of a batch.
pub(super) fn ids(ids: &[i64]) -> Result<Vec<Id>, Violations> {
    let mut violations = Violations::default();
    let ids = Id::parse_all(ids, BATCH_MAX, "ids", &mut violations);
    violations.none()?;
    Ok(ids)
}

/// The rows in the order of their ids, and the ids that have none; an error if those may not be.
pub(super) fn in_order<T>(
    noun: Noun,
    ids: &[Id],
    rows: Vec<T>,
    id_of: impl Fn(&T) -> i64,
    allow_missing: bool,
) -> Result<(Vec<T>, Vec<i64>), Error> {
    let mut by_id: HashMap<_, _> = rows.into_iter().map(|row| (id_of(&row), row)).collect();
    let (mut found, mut missing) = (Vec::with_capacity(by_id.len()), Vec::new());
    for id in ids {
        match by_id.remove(&id.get()) {
            Some(row) => found.push(row),
            None => missing.push(*id),
        }
    }
    if missing.is_empty() || allow_missing {
        return Ok((found, missing.into_iter().map(Id::get).collect()));
    }
    Err(Error::NotFound { noun, ids: missing })
}

/// The key of a create, for an entry without what callers do not write: a repeat may carry other output.
pub(super) fn request_key(
    request_id: &str,
    entry: &impl Message,
    violations: &mut Violations,
) -> Option<RequestKey> {
    if request_id.is_empty() {
        return None;
    }
    let reason = Reason::InvalidRequestId;
    let id = RequestId::parse(request_id, "request_id", reason, violations)?;
    Some(RequestKey::new(id, &entry.encode_to_vec()))
}

/// What to search for; nothing if it is blank.
pub(super) fn search(text: &str, field: &str, violations: &mut Violations) -> Option<Search> {
    if text.trim().is_empty() {
        return None;
    }
    Search::parse(text, field, Reason::InvalidText, violations)
}

/// Parses an image that may be left out; the outer `None` is one that cannot be taken.
pub(super) fn parse_image(
    image: Option<&wire::Image>,
    field: &str,
    violations: &mut Violations,
) -> Option<Option<Image>> {
    match image {
        None => Some(None),
        Some(image) => Image::parse(&image.url, &image.alt, field, violations).map(Some),
    }
}

/// The images as the wire has them.
pub(super) fn images(images: &Images) -> Vec<wire::Image> {
    images
        .iter()
        .map(|image| wire::Image { url: image.url.clone(), alt: image.alt.clone() })
        .collect()
}

/// The one image of a list that has one at most.
pub(super) fn image(list: &Images) -> Option<wire::Image> {
    images(list).pop()
}

/// A stored moment as the wire has it.
pub(super) fn timestamp(milliseconds: i64) -> prost_types::Timestamp {
    let nanos = milliseconds.rem_euclid(1000) * 1_000_000;
    prost_types::Timestamp {
        seconds: milliseconds.div_euclid(1000),
        nanos: i32::try_from(nanos).expect("less than a second"),
    }
}
