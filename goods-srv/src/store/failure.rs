//! What it means that a statement did not do what it should.

use srv_runtime::Situation;

/// What became of a statement. Whatever it was, roll the transaction back: some of these undo only the statement.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another writer was in the way; the same again may succeed.
    #[error("another writer was in the way")]
    Conflict(#[source] sqlx::Error),
    /// A key exists that must be unique.
    #[error("the key exists")]
    Duplicate(#[source] sqlx::Error),
    /// The database cannot be reached or refuses to work. Nothing was committed.
    #[error("the database is away")]
    Away(#[source] sqlx::Error),
    /// The connection was lost during COMMIT.
    #[error("the reply to COMMIT was lost")]
    OutcomeUnknown(#[source] sqlx::Error),
    /// Something that must not happen: a fault of ours or of the schema.
    #[error("the database refused a statement")]
    Broken(#[source] sqlx::Error),
}

impl StoreError {
    /// The error of a COMMIT: without an answer it is open whether it happened.
    pub(super) fn of_commit(error: sqlx::Error) -> Self {
        match Self::from(error) {
            Self::Away(lost) => Self::OutcomeUnknown(lost),
            definite => definite,
        }
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        match Situation::of(&error) {
            Situation::Conflict => Self::Conflict(error),
            Situation::Duplicate => Self::Duplicate(error),
            // Without a connection nothing was done, either.
            Situation::Crowded | Situation::Away => Self::Away(error),
            Situation::Broken => Self::Broken(error),
        }
    }
}
