//! Creates that are known again: an entry keeps the id and the fingerprint of the request that made it.

use super::failure::StoreError;
use super::session::Session;
use super::statement::{Assignments, Statement, Value, table};
use crate::error::Error;
use crate::noun::Noun;
use crate::text::RequestId;
use sha2::{Digest, Sha256};

/// The key under which a create is known again, and what was asked under it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestKey {
    id: RequestId,
    fingerprint: Vec<u8>,
}

impl RequestKey {
    /// The key of a request with this encoded payload.
    pub fn new(id: RequestId, payload: &[u8]) -> Self {
        Self { id, fingerprint: Sha256::digest(payload).to_vec() }
    }
}

/// What a create answers.
#[derive(Clone, Debug)]
pub struct Created<T> {
    /// The entry as it is now.
    pub entry: T,
    /// It was there before this call.
    pub replayed: bool,
}

/// The columns that keep the key.
pub(super) fn assignments(key: Option<&RequestKey>) -> Assignments {
    vec![
        ("request_id", key.map(|key| key.id.as_str().as_bytes().to_vec()).into()),
        ("request_fingerprint", key.map(|key| key.fingerprint.clone()).into()),
    ]
}

/// The entry that an earlier call with this key made. An error if that call asked for something else.
pub(super) async fn replay(
    session: &mut Session<'_>,
    noun: Noun,
    key: Option<&RequestKey>,
) -> Result<Option<i64>, Error> {
    let Some(key) = key else { return Ok(None) };
    match session.one::<(i64, Vec<u8>)>(find(noun, key.id.as_str())).await? {
        None => Ok(None),
        Some((id, fingerprint)) if fingerprint == key.fingerprint => Ok(Some(id)),
        Some(_) => Err(Error::RequestPayloadMismatch(key.id.clone())),
    }
}

/// What became of the insert of an entry.
pub(super) enum Inserted {
    /// It has this id.
    New(i64),
    /// A rival made it under the same key.
    Replayed(i64),
    /// What must be unique is another entry's.
    Taken,
}

/// Inserts an entry that keeps its key.
pub(super) async fn insert(
    session: &mut Session<'_>,
    noun: Noun,
    key: Option<&RequestKey>,
    assignments: Assignments,
) -> Result<Inserted, Error> {
    match session.run(Statement::insert(noun, assignments)).await {
        Ok(id) => Ok(Inserted::New(id)),
        // The statement waited for the rival's commit, so the rival's entry can be seen now.
        Err(StoreError::Duplicate(_)) => Ok(match replay(session, noun, key).await? {
            Some(id) => Inserted::Replayed(id),
            None => Inserted::Taken,
        }),
        Err(error) => Err(error.into()),
    }
}

pub(super) fn find(noun: Noun, id: &str) -> Statement {
    let text = format!("SELECT id, request_fingerprint FROM {} WHERE request_id = ?", table(noun));
    Statement::new(text).bind(Value::Bytes(id.as_bytes().to_vec()))
}
