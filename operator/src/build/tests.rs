//! YAML in, YAML out: the children of whole custom resources, as they would be applied.

use super::*;
use crate::dereference::{Kept, Observed};
use crds::{GoodsService, InventoryService};
use std::{collections::BTreeSet, sync::Arc};

fn observed<S: ManagedService>(yaml: &str) -> Observed<S> {
    Observed {
        service: Arc::new(serde_yaml::from_str(yaml).unwrap()),
        service_accounts: Kept::new(),
        roles: Kept::new(),
        role_bindings: Kept::new(),
        config_maps: Kept::new(),
        claims: Kept::new(),
        services: Kept::new(),
        budgets: Kept::new(),
        deployments: Kept::new(),
        pods: Vec::new(),
        slices: Vec::new(),
        gone: BTreeSet::new(),
    }
}

fn built<S: ManagedService>(yaml: &str) -> Box<Children> {
    let settings = Settings { default_image: format!("shopkeeper.local/{}:1", S::BINARY) };
    match children(&observed::<S>(yaml), &settings) {
        Desired::Children(children) => children,
        Desired::Unchanged(obstacle) => panic!("{obstacle:?}"),
    }
}

/// What the API makes of the account.
fn account() -> ServiceAccount {
    let uid = Some("00000000-0000-0000-0000-000000000009".to_owned());
    ServiceAccount {
        metadata: ObjectMeta { uid, ..ObjectMeta::default() },
        ..ServiceAccount::default()
    }
}

/// All children as one YAML stream, in the order in which they are applied.
fn yaml(children: &Children) -> String {
    let Children {
        service_account,
        role,
        role_binding,
        acknowledgements,
        claim,
        config_map,
        services,
        budget,
        deployment,
    } = children;
    fn one(object: &impl serde::Serialize) -> String {
        serde_yaml::to_string(object).unwrap()
    }
    let mut documents = vec![one(service_account), one(role), one(role_binding)];
    documents.extend(acknowledgements.iter().map(one));
    documents.push(one(config_map));
    documents.extend(claim.iter().map(one));
    documents.extend(services.iter().map(one));
    documents.extend(budget.iter().map(one));
    documents.push(one(&deployment.clone().under(&account())));
    documents.join("---\n")
}

const GOODS_ON_SQLITE: &str = "
apiVersion: shopkeeper.dev/v1alpha1
kind: GoodsService
metadata: {name: goods, namespace: shop, uid: 00000000-0000-0000-0000-000000000001}
spec:
  replicas: 1
  database: {sqlite: {size: 1Gi}}
  tls: {mode: disabled}
";

const INVENTORY_ON_MYSQL: &str = "
apiVersion: shopkeeper.dev/v1alpha1
kind: InventoryService
metadata: {name: inventory, namespace: shop, uid: 00000000-0000-0000-0000-000000000002}
spec:
  image: registry.example/inventory-srv:2
  replicas: 5
  imagePullSecrets: [{name: registry}]
  resources: {requests: {cpu: 1, memory: 128Mi}, limits: {memory: 512Mi}}
  database: {mysql: {urlSecretRef: {name: inventory-database, key: dsn}}}
  redis: {urlSecretRef: {name: inventory-redis, key: url}}
  tls: {mode: disabled}
  config:
    logLevel: debug
    lockStrategy: redisLock
    restart: {grpcPort: 6000, drainDelaySeconds: 7, drainSeconds: 30}
";

#[test]
fn the_children_of_a_goods_service_on_sqlite() {
    insta::assert_snapshot!(yaml(&built::<GoodsService>(GOODS_ON_SQLITE)));
}

#[test]
fn the_children_of_an_inventory_service_on_mysql_with_everything_set() {
    insta::assert_snapshot!(yaml(&built::<InventoryService>(INVENTORY_ON_MYSQL)));
}

#[test]
fn the_same_resource_always_gives_the_same_children() {
    let [once, again] = [(); 2].map(|()| yaml(&built::<InventoryService>(INVENTORY_ON_MYSQL)));
    assert_eq!(once, again);
}

#[test]
fn a_pod_is_given_longer_to_end_than_it_takes_to_drain() {
    for (delay, drain) in [(0, 1), (5, 20), (60, 120)] {
        let spec = format!(
            "{GOODS_ON_SQLITE}  config: {{restart: {{drainDelaySeconds: {delay}, drainSeconds: {drain}}}}}\n"
        );
        let children = built::<GoodsService>(&spec);
        let pod = children.deployment.under(&account()).spec.unwrap().template.spec.unwrap();
        assert!(pod.termination_grace_period_seconds.unwrap() >= delay + drain + 7 + 5);
    }
}

#[test]
fn a_configuration_that_breaks_a_rule_changes_nothing() {
    let spec = format!("{GOODS_ON_SQLITE}  config: {{pageSize: 1000}}\n");
    let settings = Settings { default_image: "x".to_owned() };
    match children(&observed::<GoodsService>(&spec), &settings) {
        Desired::Unchanged(Obstacle::InvalidConfig(report)) => {
            assert!(report.contains("page_size"), "{report}")
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_revision_keeps_its_number_while_the_text_is_the_same_and_never_goes_back() {
    let revision = |number, text: &str| Revision { number, hash: srv_config::hash_of(text) };
    assert_eq!(next_revision("a", None), revision(1, "a"));
    assert_eq!(next_revision("a", Some(revision(7, "a"))), revision(7, "a"));
    assert_eq!(next_revision("a", Some(revision(7, "b"))), revision(8, "a"));
}
