//! What a database URL means.

use super::{DatabaseError, UrlSource};
use sqlx::{mysql::MySqlConnectOptions, sqlite::SqliteConnectOptions};
use std::str::FromStr;

/// How many statements a connection keeps prepared. The stock service's texts grow with a batch in powers of two: at
/// most 240 in all. One that falls out would cost a round trip each time it is needed again. MySQL allows 16,382 over
/// all connections by default.
const STATEMENTS_MAX: usize = 256;

/// A parsed URL.
#[derive(Clone, Debug)]
pub(super) enum Target {
    MySql(MySqlConnectOptions),
    Sqlite(SqliteConnectOptions),
}

impl Target {
    /// Reads `url`; `source` is told in the error instead of it, because it may hold a password.
    pub(super) fn parse(url: &str, source: &UrlSource) -> Result<Self, DatabaseError> {
        let refuse = |reason: &str| DatabaseError::NotAUrl {
            place: place(source),
            reason: reason.to_owned(),
        };
        let malformed = |error: sqlx::Error| refuse(&error.to_string());
        match url.split_once("://").map(|(scheme, _)| scheme) {
            Some("mysql" | "mariadb") => {
                let options = MySqlConnectOptions::from_str(url)
                    .map_err(malformed)?
                    .statement_cache_capacity(STATEMENTS_MAX);
                match options.get_database() {
                    Some(_) => Ok(Self::MySql(options)),
                    None => Err(refuse("it names no database after the host")),
                }
            }
            Some("sqlite") => {
                let options = SqliteConnectOptions::from_str(url)
                    .map_err(malformed)?
                    .statement_cache_capacity(STATEMENTS_MAX);
                if url.contains(":memory:") || url.contains("mode=memory") {
                    return Err(refuse("a database in memory forgets; name a file"));
                }
                Ok(Self::Sqlite(options))
            }
            Some(_) => Err(refuse("it is neither MySQL nor SQLite")),
            None => Err(refuse("it has no scheme")),
        }
    }
}

/// `MySQL 10.0.0.5:3306/inventory`.
pub(super) fn name_of(options: &MySqlConnectOptions) -> String {
    let database = options.get_database().unwrap_or_default();
    match options.get_socket() {
        Some(socket) => format!("MySQL {}/{database}", socket.display()),
        None => format!("MySQL {}:{}/{database}", options.get_host(), options.get_port()),
    }
}

fn place(source: &UrlSource) -> String {
    match source {
        UrlSource::Given(_) => "--database-url".to_owned(),
        UrlSource::File(file) => file.display().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(url: &str) -> String {
        let error = Target::parse(url, &UrlSource::Given(url.to_owned()))
            .expect_err("the URL was accepted");
        error.to_string()
    }

    #[test]
    fn the_scheme_decides_which_database() {
        let given = UrlSource::Given(String::new());
        assert!(matches!(Target::parse("mysql://u:p@h/shop", &given), Ok(Target::MySql(_))));
        assert!(matches!(Target::parse("sqlite://goods.db", &given), Ok(Target::Sqlite(_))));
    }

    #[test]
    fn a_url_that_is_none_is_refused_with_what_to_write_and_without_its_password() {
        for url in
            ["", "postgres://u:secret@h/shop", "mysql://u:secret@h", "mysql://u:secret@h:port/x"]
        {
            let message = refused(url);
            assert!(message.contains("write mysql://"), "{message}");
            assert!(!message.contains("secret"), "the password was told: {message}");
        }
        assert!(refused("sqlite::memory:").contains("no scheme"));
        assert!(refused("sqlite://:memory:").contains("forgets"));
    }
}
