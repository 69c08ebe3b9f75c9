//! Inside a crate: which files may name which library. The pure middle stays pure by these.

use super::{
    Finding,
    source::{Source, is_word, line_of},
};

/// A library that only some files below a folder may name.
struct Wall {
    below: &'static [&'static str],
    libraries: &'static [&'static str],
    /// Files that may name them: a part of their path below `src/` begins so.
    but: &'static [&'static str],
    why: &'static str,
    remedy: &'static str,
}

const SERVICES: &[&str] = &["goods-srv/src/", "inventory-srv/src/"];

const WALLS: [Wall; 7] = [
    Wall {
        below: SERVICES,
        libraries: &[
            "tonic",
            "tonic_types",
            "tonic_health",
            "tonic_reflection",
            "prost",
            "prost_types",
        ],
        but: &["grpc", "error", "main.rs"],
        why: "the wire ends in grpc*, so that what decides can be tested without it",
        remedy: "convert in grpc*, and let this file speak in our own types",
    },
    Wall {
        below: SERVICES,
        libraries: &["sqlx"],
        but: &["store"],
        why: "SQL stands in store* and nowhere else, so that both databases stay in one place",
        remedy: "put the statement behind a function of the store named for what it does",
    },
    Wall {
        below: SERVICES,
        libraries: &["redis", "lease_lock"],
        but: &["redis_lock"],
        why: "Redis is the business of the lock and of the one strategy that takes it",
        remedy: "go through the redisLock strategy",
    },
    Wall {
        below: &[
            "goods-srv/src/",
            "inventory-srv/src/",
            "lease-lock/src/",
            "srv-config/src/",
            "proto/src/",
        ],
        libraries: &["kube", "k8s_openapi", "crds"],
        but: &[],
        why: "a service runs without Kubernetes; only srv-runtime's configuration watch knows it",
        remedy: "read it from the configuration",
    },
    Wall {
        below: &["srv-runtime/src/"],
        libraries: &["kube", "k8s_openapi", "crds"],
        but: &["config_watch"],
        why: "of all that a service runs on, only its configuration watch knows Kubernetes",
        remedy: "put it behind a function of config_watch*",
    },
    Wall {
        below: &["operator/src/", "crds/src/"],
        libraries: &["sqlx", "redis", "tonic", "prost", "proto", "lease_lock"],
        but: &[],
        why: "the operator knows no SQL, no Redis and no wire contract of ours",
        remedy: "let the service do it and tell the operator by its acknowledgement",
    },
    Wall {
        below: &["operator/src/build"],
        libraries: &["tokio", "futures", "rand", "reqwest"],
        but: &[],
        why: "build is pure: the same resource gives the same children, and its tests need no server",
        remedy: "read it in dereference.rs and hand it in",
    },
];

/// What must not stand in `operator/src/build*`: waiting, clients, clocks, chance, the environment.
const IMPURE: [&str; 14] = [
    "async",
    "await",
    "Client",
    "Api",
    "SystemTime",
    "Instant",
    "now",
    "RandomState",
    "HashMap",
    "std::env",
    "env::var",
    "std::fs",
    "std::net",
    "std::process",
];

/// How statements begin; a text of a service that begins so belongs into the store.
const SQL: [&str; 7] =
    ["SELECT ", "INSERT ", "UPDATE ", "DELETE FROM ", "CREATE TABLE ", "BEGIN", "ALTER TABLE "];

/// Checks one file against the walls.
pub fn check(source: &Source) -> Vec<Finding> {
    let mut findings: Vec<Finding> = WALLS.iter().flat_map(|wall| wall.check(source)).collect();
    findings.extend(statements(source));
    if source.path.starts_with("operator/src/build") {
        findings.extend(impure(source));
    }
    findings
}

impl Wall {
    fn check(&self, source: &Source) -> Vec<Finding> {
        let below =
            self.below.iter().find_map(|folder| Some((folder, source.path.strip_prefix(folder)?)));
        let Some((_, file)) = below else { return Vec::new() };
        if file.split('/').any(|part| self.but.iter().any(|allowed| part.starts_with(allowed))) {
            return Vec::new();
        }
        let found = self.libraries.iter().flat_map(|library| {
            source.lines_naming(library).into_iter().map(move |line| Finding {
                at: format!("{}:{line}", source.path),
                wrong: format!("{file} names `{library}`"),
                why: self.why,
                remedy: self.remedy,
            })
        });
        found.collect()
    }
}

fn statements(source: &Source) -> Vec<Finding> {
    let in_service = SERVICES.iter().find_map(|folder| source.path.strip_prefix(folder));
    let Some(file) = in_service.filter(|file| !file.starts_with("store")) else {
        return Vec::new();
    };
    let begins = |text: &str| SQL.iter().any(|keyword| text.trim_start().starts_with(keyword));
    let in_product = |line: usize| {
        source.product.lines().nth(line - 1).is_some_and(|code| !code.trim().is_empty())
    };
    source
        .strings
        .iter()
        .filter(|(line, text)| begins(text) && in_product(*line))
        .map(|(line, _)| Finding {
            at: format!("{}:{line}", source.path),
            wrong: format!("{file} holds an SQL statement"),
            why: "SQL stands in store* and nowhere else, so that both databases stay in one place",
            remedy: "put the statement behind a function of the store named for what it does",
        })
        .collect()
}

fn impure(source: &Source) -> Vec<Finding> {
    let whole_word = |at: usize, word: &str| {
        !source.product[..at].ends_with(is_word)
            && !source.product[at + word.len()..].starts_with(is_word)
    };
    let mut findings = Vec::new();
    for word in IMPURE {
        for (at, _) in source.product.match_indices(word).filter(|(at, _)| whole_word(*at, word)) {
            findings.push(Finding {
                at: format!("{}:{}", source.path, line_of(&source.product, at)),
                wrong: format!("`{word}` stands in the operator's build"),
                why: "build is pure: the same resource gives the same children, and its tests need no server",
                remedy: "read it in dereference.rs and hand it in (for HashMap: a BTreeMap keeps one order)",
            });
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrongs(path: &str, text: &str) -> Vec<String> {
        check(&Source::new(path.into(), text.into()))
            .into_iter()
            .map(|finding| finding.wrong)
            .collect()
    }

    #[track_caller]
    fn caught(path: &str, text: &str, expect: &str) {
        let found = wrongs(path, text);
        assert!(
            found.iter().any(|wrong| wrong.contains(expect)),
            "{path}: {expect:?} is not in {found:?}"
        );
    }

    #[test]
    fn tonic_outside_the_wire_is_caught() {
        for file in ["sell.rs", "decide.rs", "store/mysql.rs", "lib.rs"] {
            caught(&format!("inventory-srv/src/{file}"), "use tonic::Status;", "`tonic`");
        }
        for file in ["grpc.rs", "grpc/sell.rs", "error.rs", "error/refused.rs", "main.rs"] {
            assert!(
                wrongs(&format!("inventory-srv/src/{file}"), "use tonic::Status;").is_empty(),
                "{file}"
            );
        }
    }

    #[test]
    fn sql_outside_the_store_is_caught() {
        caught("goods-srv/src/grpc/goods.rs", "sqlx::query(x)", "`sqlx`");
        caught("goods-srv/src/grpc.rs", "query(\"\n  SELECT 1\")", "an SQL statement");
        assert!(wrongs("goods-srv/src/store/goods.rs", "sqlx::query(\"SELECT 1\")").is_empty());
        assert!(
            wrongs("goods-srv/src/grpc.rs", "#[cfg(test)]\nmod tests {\n  \"SELECT 1\"\n}")
                .is_empty()
        );
    }

    #[test]
    fn redis_outside_its_strategy_is_caught() {
        caught("inventory-srv/src/sell.rs", "use redis::Client;", "`redis`");
        caught("inventory-srv/src/sell/row_lock.rs", "lease_lock::Locks", "`lease_lock`");
        for file in ["sell/redis_lock.rs", "sell/redis_lock/locks.rs"] {
            let file = format!("inventory-srv/src/{file}");
            assert!(wrongs(&file, "use lease_lock::Locks;").is_empty(), "{file}");
        }
    }

    #[test]
    fn kubernetes_in_a_service_is_caught() {
        caught("goods-srv/src/main.rs", "use kube::Client;", "`kube`");
        caught("inventory-srv/src/main.rs", "crds::InventoryService", "`crds`");
        caught("srv-runtime/src/process.rs", "fn f() -> kube::Error {}", "`kube`");
        for file in ["config_watch.rs", "config_watch/api.rs"] {
            assert!(wrongs(&format!("srv-runtime/src/{file}"), "use kube::Api;").is_empty());
        }
    }

    #[test]
    fn sql_redis_and_proto_in_the_operator_are_caught() {
        for library in ["sqlx", "redis", "proto"] {
            caught("operator/src/lib.rs", &format!("use {library}::x;"), &format!("`{library}`"));
        }
    }

    #[test]
    fn an_impure_build_is_caught() {
        let build = "operator/src/build/deployment.rs";
        for (text, expect) in [
            ("pub async fn deployment() {}", "`async`"),
            ("fn f(client: &Client) {}", "`Client`"),
            ("Timestamp::now()", "`now`"),
            ("std::env::var(x)", "`std::env`"),
            ("rand::random()", "`rand`"),
            ("Instant::now()", "`Instant`"),
        ] {
            caught(build, text, expect);
        }
        caught("operator/src/build.rs", "tokio::spawn(x)", "`tokio`");
        assert!(wrongs(build, "Container { env: vec![], ..x } // await now").is_empty());
        assert!(
            wrongs("operator/src/apply.rs", "pub async fn apply(client: Client) {}").is_empty()
        );
    }
}
