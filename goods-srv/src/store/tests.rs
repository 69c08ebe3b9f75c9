//! Every statement is understood by both databases, whether or not a test happens to run it.

use super::statement::Statement;
use super::{
    RequestKey, Store, brand, category, goods, migrate, missing_versions, request, session,
};
use crate::noun::{Id, Noun};
use crate::text::RequestId;
use crate::violations::{Reason, Violations};
use sqlx::{AssertSqlSafe, Executor, SqlSafeStr};
use srv_runtime::Database;

const NOUNS: [Noun; 3] = [Noun::Goods, Noun::Category, Noun::Brand];

fn every_statement(row_lock: &str) -> Vec<Statement> {
    let mut violations = Violations::default();
    let ids = Id::parse_all(&[1, 2], 2, "ids", &mut violations);
    let id = RequestId::parse("x", "request_id", Reason::InvalidRequestId, &mut violations);
    let key = RequestKey::new(id.unwrap(), b"payload");
    let mut statements = goods::every_statement(&ids, &key);
    statements.extend(category::every_statement(&ids, &key));
    statements.extend(brand::every_statement(&ids, &key));
    for noun in NOUNS {
        statements.extend([
            session::hold(noun, row_lock, ids[0]),
            session::there(noun, &ids),
            request::find(noun, "x"),
        ]);
    }
    statements
}

#[tokio::test]
async fn every_statement_can_be_prepared_on_mariadb() {
    let url = testkit::MariaDb::shared().fresh_database();
    let database = Database::connect(&url, 1).await.unwrap();
    migrate(&database).await.unwrap();
    let Database::MySql(pool) = &database else { unreachable!("a MySQL URL") };
    for statement in every_statement(" FOR UPDATE") {
        let text = statement.text.clone();
        let prepared = pool.prepare(AssertSqlSafe(text.clone()).into_sql_str()).await;
        let parameters = parameters(prepared.unwrap_or_else(|error| panic!("{text}: {error}")));
        assert_eq!(parameters, statement.values.len(), "{text}");
    }
}

#[tokio::test]
async fn every_statement_can_be_prepared_on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("goods.db").display());
    let database = Database::connect(&url, 1).await.unwrap();
    migrate(&database).await.unwrap();
    let Database::Sqlite(pools) = &database else { unreachable!("a SQLite URL") };
    for statement in every_statement("") {
        let text = statement.text.clone();
        let prepared = pools.write.prepare(AssertSqlSafe(text.clone()).into_sql_str()).await;
        let parameters = parameters(prepared.unwrap_or_else(|error| panic!("{text}: {error}")));
        assert_eq!(parameters, statement.values.len(), "{text}");
    }
}

fn parameters(statement: impl sqlx::Statement) -> usize {
    match statement.parameters() {
        Some(sqlx::Either::Left(types)) => types.len(),
        Some(sqlx::Either::Right(count)) => count,
        None => 0,
    }
}

#[tokio::test]
async fn a_database_without_the_schema_lacks_versions_until_it_is_migrated() {
    let url = testkit::MariaDb::shared().fresh_database();
    let database = Database::connect(&url, 1).await.unwrap();
    assert_ne!(missing_versions(&database).await.unwrap(), 0);
    migrate(&database).await.unwrap();
    assert_eq!(missing_versions(&database).await.unwrap(), 0);
    let _ = Store::new(database);
}
