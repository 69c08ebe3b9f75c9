//! What things are called: the children of a custom resource, their labels, and the paths in a pod.

use crds::ManagedService;
use std::collections::BTreeMap;

/// The field manager of every server-side apply, and the name under which Events are reported.
pub(crate) const MANAGER: &str = "shopkeeper";

/// On each child: the hash of what the operator last asked for. A child that carries another one is written again, so
/// that fields which are no longer asked for go away.
pub(crate) const INTENT: &str = "shopkeeper.dev/intent";
/// On the pod template: the hash of what only a new process takes over. A changed one is a rolling update.
pub(crate) const RESTART_HASH: &str = "shopkeeper.dev/restart-hash";

/// On the pod template: the UID of the `ServiceAccount`. A token is good for the account that it was issued for, so
/// pods of one that was deleted and made again are replaced.
pub(crate) const ACCOUNT: &str = "shopkeeper.dev/account";

pub(crate) const NAME_LABEL: &str = "app.kubernetes.io/name";
pub(crate) const INSTANCE_LABEL: &str = "app.kubernetes.io/instance";
pub(crate) const COMPONENT_LABEL: &str = "app.kubernetes.io/component";
pub(crate) const MANAGED_BY_LABEL: &str = "app.kubernetes.io/managed-by";
/// On an `EndpointSlice`: the Service that it belongs to.
pub(crate) const SERVICE_NAME_LABEL: &str = "kubernetes.io/service-name";

/// Name of the init container that brings a `MySQL` schema up to date.
pub(crate) const MIGRATE: &str = "migrate";

pub(crate) const CONFIG_DIR: &str = "/etc/shopkeeper/config";
pub(crate) const DATABASE_DIR: &str = "/etc/shopkeeper/database";
pub(crate) const REDIS_DIR: &str = "/etc/shopkeeper/redis";
pub(crate) const DATA_DIR: &str = "/var/lib/shopkeeper";
pub(crate) const TOKEN_DIR: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// The file in [`DATABASE_DIR`] and [`REDIS_DIR`] that holds the URL, whatever the Secret's key is called.
pub(crate) const URL_FILE: &str = "url";

pub(crate) fn config_map(service: &str) -> String {
    format!("{service}-config")
}

pub(crate) fn acknowledgements(service: &str, shard: u32) -> String {
    format!("{service}-config-acks-{shard}")
}

pub(crate) fn headless(service: &str) -> String {
    format!("{service}-headless")
}

pub(crate) fn claim(service: &str) -> String {
    format!("{service}-data")
}

/// The labels of everything that belongs to the service of this name, its pods included.
pub(crate) fn labels<S: ManagedService>(service: &str) -> BTreeMap<String, String> {
    let mut labels = selector::<S>(service);
    labels.insert(COMPONENT_LABEL.to_owned(), S::COMPONENT.to_owned());
    labels.insert(MANAGED_BY_LABEL.to_owned(), MANAGER.to_owned());
    labels
}

/// The labels by which Deployment, Services and budget find the pods. They can never change.
pub(crate) fn selector<S: ManagedService>(service: &str) -> BTreeMap<String, String> {
    [(NAME_LABEL, S::BINARY), (INSTANCE_LABEL, service)]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into()
}

/// A label selector as the API takes it in a query: `a=b,c=d`.
pub(crate) fn query<'a>(labels: impl IntoIterator<Item = (&'a String, &'a String)>) -> String {
    labels.into_iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",")
}
