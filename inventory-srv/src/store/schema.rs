//! The schema's versions.

use srv_runtime::{Database, Schema, SchemaError};
use std::sync::LazyLock;

pub(super) static SCHEMA: LazyLock<Schema> = LazyLock::new(|| {
    Schema::new(sqlx::migrate!("migrations/mysql"), sqlx::migrate!("migrations/sqlite"))
});

/// Brings the schema up to date. Several processes may do so at once; one works and the others wait.
pub async fn migrate(database: &Database) -> Result<(), SchemaError> {
    SCHEMA.migrate(database).await
}

/// How many versions the schema of `database` lacks.
pub async fn missing_versions(database: &Database) -> Result<usize, SchemaError> {
    SCHEMA.missing_versions(database).await
}
