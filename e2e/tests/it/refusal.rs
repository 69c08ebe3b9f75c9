//! What the API server refuses, and what a pod cannot start with, in words that say what to do.

use anyhow::{Result, ensure};
use e2e::shop::{NAME, SOON, Shop, three_pods};
use e2e::waiting;
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_resource_is_refused_by_the_api_server_with_a_message_that_says_what_to_write()
-> Result<()> {
    let shop = Shop::empty().await?;
    let sqlite = json!({"sqlite": {"size": "1Gi"}});
    let cases: [(&str, Value, &str); 4] = [
        (
            "two replicas on SQLite",
            json!({"database": sqlite, "replicas": 2}),
            "SQLite is one file that one pod writes: write replicas: 1, or use database.mysql for more",
        ),
        ("no database", json!({"database": {}}), "write exactly one of sqlite and mysql"),
        (
            "redisLock without Redis",
            json!({"redis": null, "config": {"lockStrategy": "redisLock"}}),
            "lockStrategy: redisLock takes its leases from a Redis: write redis: {urlSecretRef: {name: SECRET, \
             key: url}}, or another lockStrategy",
        ),
        (
            "an unknown strategy",
            json!({"config": {"lockStrategy": "hope"}}),
            "spec.config.lockStrategy: Unsupported value: \"hope\": supported values: \"groupCommit\", \
             \"rowLock\", \"optimistic\", \"conditional\", \"redisLock\"",
        ),
    ];
    for (case, spec, sentence) in cases {
        let mut resource = three_pods();
        for (field, value) in spec.as_object().expect("a case is an object") {
            resource["spec"][field] = value.clone();
        }
        if resource["spec"]["redis"].is_null() {
            resource["spec"].as_object_mut().expect("a spec is an object").remove("redis");
        }
        let refused = match shop.apply(resource).await {
            Ok(_) => anyhow::bail!("{case} was accepted"),
            Err(error) => error.to_string(),
        };
        ensure!(refused.contains(sentence), "{case}: refused without {sentence:?}: {refused}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_database_url_shows_in_a_condition_in_the_pods_own_words_and_heals_when_it_is_mended()
-> Result<()> {
    let shop = Shop::empty().await?;
    let wrong = shop.account.url("10.244.0.1").replace(&shop.account.password, "wrong");
    shop.put_secret("inventory-database", &wrong).await?;
    shop.apply(three_pods()).await?;
    let seen = waiting::until("a condition with the pod's words", SOON, async || {
        let status = shop.resources().get(NAME).await?.status.unwrap_or_default();
        let messages: Vec<String> = status
            .conditions
            .iter()
            .map(|one| format!("{}: {}", one.reason, one.message))
            .collect();
        let found = messages.iter().any(|message| message.to_lowercase().contains("access denied"));
        Ok(if found { Ok(messages) } else { Err(messages.join("; ")) })
    })
    .await?;
    ensure!(
        !seen.iter().any(|message| message.contains("wrong@")),
        "a condition shows a password: {seen:?}"
    );
    shop.put_secret("inventory-database", &shop.account.url("10.244.0.1")).await?;
    shop.until_applied("3/3").await?;
    Ok(())
}
