//! Whether a server keeps what it has acknowledged, and guards it as the services rely on, by its own settings.

use sqlx::{MySqlConnection, Row, mysql::MySqlRow};
use std::{collections::BTreeMap, fmt};

/// A setting by which a server may forget an acknowledged order, or cannot take one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Weakness {
    /// Commits reach the disk up to a second late.
    LazyFlush(String),
    /// The binary log reaches the disk late, so replicas and point-in-time restores lose commits.
    LazyBinlog(String),
    /// Galera certifies at COMMIT: row locks do not hold against writers on other nodes.
    MultiWriter,
    /// The server takes no writes, by the setting of this name.
    ReadOnly(&'static str),
    /// TiDB ignores the CHECKs of tables that are made now: the last guard is not there.
    NoChecks(String),
    /// The tables were made by a TiDB that ignored their CHECKs, and so have none, whatever is set now.
    TablesWithoutChecks,
    /// TiDB locks no rows until COMMIT: what was decided while they were held still may be undone there.
    Optimistic(String),
    /// TiDB without TiKV: its embedded store, which is for trying it out, keeps nothing.
    Embedded,
}

impl Weakness {
    /// Whether `--allow-weak-durability` accepts it: that flag is about what a server may forget. One that cannot
    /// write, or guards nothing, is never fit.
    pub(super) fn may_be_accepted(&self) -> bool {
        match self {
            Self::LazyFlush(_) | Self::LazyBinlog(_) | Self::MultiWriter | Self::Embedded => true,
            Self::ReadOnly(_)
            | Self::NoChecks(_)
            | Self::TablesWithoutChecks
            | Self::Optimistic(_) => false,
        }
    }
}

impl fmt::Display for Weakness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const OVERRIDE: &str = "or accept the risk with --allow-weak-durability";
        match self {
            Self::LazyFlush(value) => write!(
                f,
                "innodb_flush_log_at_trx_commit is {value}, so acknowledged orders are lost when its power fails; \
                 set it to 1, {OVERRIDE}"
            ),
            Self::LazyBinlog(value) => write!(
                f,
                "log_bin is on and sync_binlog is {value}, so replicas and restores lose acknowledged orders; \
                 set it to 1, {OVERRIDE}"
            ),
            Self::MultiWriter => write!(
                f,
                "wsrep_on is ON (Galera), where another node's write can undo a decision at COMMIT; \
                 send all writes to one server without it, {OVERRIDE}"
            ),
            Self::ReadOnly(setting) => {
                write!(f, "{setting} is ON; name the primary in the URL, or set it OFF")
            }
            Self::NoChecks(value) => write!(
                f,
                "tidb_enable_check_constraint is {value}, so tables are made without their CHECKs and stock may be \
                 sold that is not there; as an administrator, before `migrate`: \
                 SET GLOBAL tidb_enable_check_constraint = ON"
            ),
            Self::TablesWithoutChecks => write!(
                f,
                "its tables were made while tidb_enable_check_constraint was OFF and have no CHECKs, so stock may be \
                 sold that is not there; have `migrate` make them in a new database, with it ON, and move the rows"
            ),
            Self::Optimistic(value) => write!(
                f,
                "tidb_txn_mode is {value}, so rows are not locked until COMMIT and orders fail there; as an \
                 administrator: SET GLOBAL tidb_txn_mode = 'pessimistic'"
            ),
            Self::Embedded => write!(
                f,
                "TiDB runs on its embedded store, which keeps nothing; start tidb-server with --store=tikv, {OVERRIDE}"
            ),
        }
    }
}

/// Asks the server and judges its answer.
pub(super) async fn weaknesses(
    connection: &mut MySqlConnection,
) -> Result<Vec<Weakness>, sqlx::Error> {
    // Names that a server does not know are simply not in the answer.
    const SETTINGS: &str = "SHOW GLOBAL VARIABLES WHERE Variable_name IN \
        ('innodb_flush_log_at_trx_commit', 'log_bin', 'sync_binlog', 'wsrep_on', 'read_only', \
        'tidb_enable_check_constraint', 'tidb_txn_mode', 'tidb_super_read_only', 'tidb_restricted_read_only')";
    let rows = sqlx::query(SETTINGS).fetch_all(&mut *connection).await?;
    let settings = rows.iter().map(|row| Ok((text(row, 0)?, text(row, 1)?)));
    let mut settings: Settings = settings.collect::<Result<_, sqlx::Error>>()?;
    if is_tidb(&settings) {
        settings.extend(of_tidb(connection).await?);
    }
    Ok(judge(&settings))
}

/// What TiDB tells elsewhere than in its variables.
async fn of_tidb(connection: &mut MySqlConnection) -> Result<Settings, sqlx::Error> {
    const STORE: &str = "SELECT JSON_UNQUOTE(JSON_EXTRACT(@@tidb_config, '$.store'))";
    const TABLES: &str = "SELECT \
        CAST((SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE()) AS CHAR), \
        CAST((SELECT COUNT(*) FROM information_schema.TIDB_CHECK_CONSTRAINTS \
            WHERE CONSTRAINT_SCHEMA = DATABASE()) AS CHAR)";
    let tables = sqlx::query(TABLES).fetch_one(&mut *connection).await?;
    let mut settings = Settings::new();
    settings.insert(TABLES_MADE.to_owned(), text(&tables, 0)?);
    settings.insert(CHECKS_MADE.to_owned(), text(&tables, 1)?);
    match sqlx::query(STORE).fetch_one(connection).await {
        Ok(store) => drop(settings.insert(STORE_KIND.to_owned(), text(&store, 0)?)),
        // A server that hides its configuration from its users is run by somebody else, and never on this store.
        Err(sqlx::Error::Database(_)) => {}
        Err(error) => return Err(error),
    }
    Ok(settings)
}

/// MySQL sends these as text, MariaDB as bytes in some versions.
fn text(row: &MySqlRow, column: usize) -> Result<String, sqlx::Error> {
    let bytes: Vec<u8> = row.try_get_unchecked(column)?;
    Ok(String::from_utf8_lossy(&bytes).to_lowercase())
}

/// Name and value, in small letters.
type Settings = BTreeMap<String, String>;

/// Names of our own for what TiDB tells elsewhere.
const STORE_KIND: &str = "store";
const TABLES_MADE: &str = "tables";
const CHECKS_MADE: &str = "checks";

/// By a variable that only TiDB has: what it says of its version can be configured.
fn is_tidb(settings: &Settings) -> bool {
    settings.contains_key("tidb_txn_mode")
}

fn judge(settings: &Settings) -> Vec<Weakness> {
    if is_tidb(settings) { judge_tidb(settings) } else { judge_mysql(settings) }
}

fn judge_mysql(settings: &Settings) -> Vec<Weakness> {
    let other_than_1 = |name: &str| settings.get(name).filter(|value| *value != "1").cloned();
    let mut found = Vec::new();
    found.extend(other_than_1("innodb_flush_log_at_trx_commit").map(Weakness::LazyFlush));
    if is_on(settings, "log_bin") {
        found.extend(other_than_1("sync_binlog").map(Weakness::LazyBinlog));
    }
    if is_on(settings, "wsrep_on") {
        found.push(Weakness::MultiWriter);
    }
    found.extend(read_only(settings, &["read_only"]));
    found
}

/// What TiDB says of InnoDB and of a binlog means nothing: TiKV syncs its logs before it answers, always.
fn judge_tidb(settings: &Settings) -> Vec<Weakness> {
    let value = |name: &str| match settings.get(name).map(String::as_str) {
        Some("") => "not set".to_owned(),
        Some(value) => value.to_owned(),
        // Before 7.2 there is no such setting, and no CHECK.
        None => "not known to this version".to_owned(),
    };
    let mut found = Vec::new();
    if !is_on(settings, "tidb_enable_check_constraint") {
        found.push(Weakness::NoChecks(value("tidb_enable_check_constraint")));
    }
    if value("tidb_txn_mode") != "pessimistic" {
        found.push(Weakness::Optimistic(value("tidb_txn_mode")));
    }
    // sqlx's own table has no CHECK, and each service's schema has some.
    let made = |name| settings.get(name).and_then(|count| count.parse().ok()).unwrap_or(0);
    if made(TABLES_MADE) > 1 && made(CHECKS_MADE) == 0 {
        found.push(Weakness::TablesWithoutChecks);
    }
    if settings.get(STORE_KIND).is_some_and(|store| store == "unistore" || store == "mocktikv") {
        found.push(Weakness::Embedded);
    }
    found.extend(read_only(settings, &["tidb_super_read_only", "tidb_restricted_read_only"]));
    found
}

fn read_only(settings: &Settings, names: &[&'static str]) -> Option<Weakness> {
    names.iter().copied().find(|name| is_on(settings, name)).map(Weakness::ReadOnly)
}

fn is_on(settings: &Settings, name: &str) -> bool {
    settings.get(name).is_some_and(|value| value == "on" || value == "1")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(settings: &[(&str, &str)]) -> Vec<Weakness> {
        judge(
            &settings
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
        )
    }

    #[test]
    fn a_server_that_flushes_every_commit_is_fit() {
        assert_eq!(
            judged(&[
                ("innodb_flush_log_at_trx_commit", "1"),
                ("log_bin", "off"),
                ("sync_binlog", "0")
            ]),
            []
        );
        assert_eq!(judged(&[("log_bin", "on"), ("sync_binlog", "1"), ("read_only", "off")]), []);
    }

    #[test]
    fn each_setting_that_forgets_is_named() {
        assert_eq!(
            judged(&[("innodb_flush_log_at_trx_commit", "2")]),
            [Weakness::LazyFlush("2".into())]
        );
        assert_eq!(
            judged(&[("log_bin", "on"), ("sync_binlog", "0")]),
            [Weakness::LazyBinlog("0".into())]
        );
        assert_eq!(
            judged(&[("wsrep_on", "on"), ("read_only", "on")]),
            [Weakness::MultiWriter, Weakness::ReadOnly("read_only")]
        );
    }

    #[test]
    fn a_tidb_is_judged_by_its_own_settings_and_not_by_what_it_says_of_innodb() {
        const FIT: [(&str, &str); 8] = [
            ("tidb_enable_check_constraint", "on"),
            ("tidb_txn_mode", "pessimistic"),
            ("store", "tikv"),
            ("tables", "6"),
            ("checks", "5"),
            ("innodb_flush_log_at_trx_commit", "2"),
            ("log_bin", "on"),
            ("sync_binlog", "0"),
        ];
        assert_eq!(judged(&FIT), []);
        let but = |name: &'static str, value: &'static str| {
            judged(&[&FIT[..], &[(name, value)]].concat())
        };
        assert_eq!(but("tidb_enable_check_constraint", "off"), [Weakness::NoChecks("off".into())]);
        assert_eq!(but("tidb_txn_mode", "optimistic"), [Weakness::Optimistic("optimistic".into())]);
        assert_eq!(but("tidb_txn_mode", ""), [Weakness::Optimistic("not set".into())]);
        assert_eq!(but("store", "unistore"), [Weakness::Embedded]);
        assert_eq!(but("checks", "0"), [Weakness::TablesWithoutChecks]);
        assert_eq!(judged(&[&FIT[..], &[("checks", "0"), ("tables", "1")]].concat()), []);
        assert_eq!(but("tidb_super_read_only", "on"), [Weakness::ReadOnly("tidb_super_read_only")]);
        assert_eq!(
            judged(&[("tidb_txn_mode", "pessimistic")]),
            [Weakness::NoChecks("not known to this version".into())]
        );
    }
}
