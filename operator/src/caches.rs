//! What the watches brought: every object of ours in memory, and a stream of what touches which custom resource.

use crate::{
    backoff::{Failures, Waits},
    names,
};
use crds::ManagedService;
use futures::{
    Stream, StreamExt as _, TryStreamExt as _,
    stream::{self, BoxStream},
};
use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{ConfigMap, Pod, Service, ServiceAccount},
    discovery::v1::EndpointSlice,
    policy::v1::PodDisruptionBudget,
    rbac::v1::{Role, RoleBinding},
};
use kube::{
    Api, Client, Resource, ResourceExt,
    api::ObjectMeta,
    core::{DeserializeGuard, NamespaceResourceScope},
    runtime::{
        WatchStreamExt as _,
        controller::ReconcileRequest,
        reflector::{ObjectRef, Store, store},
        watcher,
    },
};
use serde::de::DeserializeOwned;
use std::{collections::HashMap, fmt::Debug, time::Duration};

/// How long after its first failure a watch is opened again, and the longest wait: short enough that an API server that
/// comes back is noticed, long enough that a hundred waiting watches do not keep it from coming back.
const REOPEN: Waits = Waits { first: Duration::from_millis(500), longest: Duration::from_secs(10) };

/// The longest wait for the watch to bring back our own write. It usually takes a millisecond.
const ECHO_WITHIN: Duration = Duration::from_millis(100);
const LISTEN_EVERY: Duration = Duration::from_millis(1);

/// Requests to reconcile a custom resource of kind `S`.
pub(crate) type Triggers<S> =
    BoxStream<'static, Result<ReconcileRequest<DeserializeGuard<S>>, watcher::Error>>;

/// The objects of one kind that the watch knows.
pub(crate) struct Cached<K: Resource<DynamicType = ()> + Clone + 'static> {
    pub store: Store<K>,
}

/// All objects of ours in one scope: one namespace, or all of them. Never two namespaces into one store: a relist of
/// the one would drop the other.
pub(crate) struct Caches<S: ManagedService> {
    pub primaries: Store<DeserializeGuard<S>>,
    pub service_accounts: Cached<ServiceAccount>,
    pub roles: Cached<Role>,
    pub role_bindings: Cached<RoleBinding>,
    pub config_maps: Cached<ConfigMap>,
    pub services: Cached<Service>,
    pub budgets: Cached<PodDisruptionBudget>,
    pub deployments: Cached<Deployment>,
    pub pods: Cached<Pod>,
    pub slices: Cached<EndpointSlice>,
}

impl<S: ManagedService> Caches<S> {
    /// The caches, empty yet, and the streams that fill them and tell what touched which custom resource. `namespace`
    /// is one namespace, or `None` for all.
    pub(crate) fn open(client: &Client, namespace: Option<&str>) -> (Self, Vec<Triggers<S>>) {
        let mut triggers = Vec::new();
        let primaries = primaries(scoped(client, namespace), &mut triggers);
        let caches = Self {
            primaries: primaries.clone(),
            service_accounts: children(client, namespace, &primaries, &mut triggers),
            roles: children(client, namespace, &primaries, &mut triggers),
            role_bindings: children(client, namespace, &primaries, &mut triggers),
            config_maps: children(client, namespace, &primaries, &mut triggers),
            services: children(client, namespace, &primaries, &mut triggers),
            budgets: children(client, namespace, &primaries, &mut triggers),
            deployments: children(client, namespace, &primaries, &mut triggers),
            pods: children(client, namespace, &primaries, &mut triggers),
            slices: children(client, namespace, &primaries, &mut triggers),
        };
        (caches, triggers)
    }

    /// Waits until every watch has brought its first list. Before that, what is not in a cache may well exist.
    pub(crate) async fn ready(&self) {
        // A store fails to become ready only when its watch is dropped, and then nobody waits here any more.
        let _ = tokio::join!(
            self.primaries.wait_until_ready(),
            self.service_accounts.store.wait_until_ready(),
            self.roles.store.wait_until_ready(),
            self.role_bindings.store.wait_until_ready(),
            self.config_maps.store.wait_until_ready(),
            self.services.store.wait_until_ready(),
            self.budgets.store.wait_until_ready(),
            self.deployments.store.wait_until_ready(),
            self.pods.store.wait_until_ready(),
            self.slices.store.wait_until_ready(),
        );
    }

    /// Waits until the watch has brought back what was just written to a custom resource. The next call would otherwise
    /// often decide on the version before it and meet a conflict, which costs a look at everything.
    pub(crate) async fn await_echo(&self, written: &ObjectMeta) {
        let name = written.name.as_deref().unwrap_or_default();
        let which = ObjectRef::new(name).within(written.namespace.as_deref().unwrap_or_default());
        let echoed = async {
            while self
                .primaries
                .get(&which)
                .is_some_and(|known| version(known.meta()) < version(written))
            {
                tokio::time::sleep(LISTEN_EVERY).await;
            }
        };
        // Whoever does not hear it in time meets the conflict.
        let _ = tokio::time::timeout(ECHO_WITHIN, echoed).await;
    }
}

/// The number by which versions of one object are ordered.
fn version(of: &ObjectMeta) -> u64 {
    of.resource_version.as_deref().and_then(|version| version.parse().ok()).unwrap_or(0)
}

fn scoped<K>(client: &Client, namespace: Option<&str>) -> Api<K>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
{
    match namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    }
}

/// The custom resources themselves.
fn primaries<S: ManagedService>(
    api: Api<DeserializeGuard<S>>,
    triggers: &mut Vec<Triggers<S>>,
) -> Store<DeserializeGuard<S>> {
    let (reader, writer) = store();
    let primaries = reader.clone();
    let mut generations = HashMap::new();
    let changes = slim(watcher(api, watcher::Config::default()))
        .reflect(writer)
        .map_ok(move |event| {
            let concerned = asked_anew(&event, &mut generations, &primaries);
            stream::iter(concerned.into_iter().map(Ok))
        })
        .try_flatten();
    triggers.push(changes.boxed());
    reader
}

/// The custom resources of which an event of theirs says that they ask for something else than before. That is what
/// `metadata.generation` counts: our own writes of the status are none of our business. A list that is read anew says
/// so when it is whole, and of all of them: until then, what is looked up is as it was before.
fn asked_anew<S: ManagedService>(
    event: &watcher::Event<DeserializeGuard<S>>,
    generations: &mut HashMap<ObjectRef<DeserializeGuard<S>>, Option<i64>>,
    primaries: &Store<DeserializeGuard<S>>,
) -> Vec<ReconcileRequest<DeserializeGuard<S>>> {
    match event {
        watcher::Event::Apply(service) => {
            let (which, generation) = (ObjectRef::from_obj(service), service.meta().generation);
            let before = generations.insert(which.clone(), generation);
            if before == Some(generation) { Vec::new() } else { vec![which.into()] }
        }
        watcher::Event::Delete(service) => {
            generations.remove(&ObjectRef::from_obj(service));
            Vec::new()
        }
        watcher::Event::Init | watcher::Event::InitApply(_) => Vec::new(),
        watcher::Event::InitDone => {
            let all = primaries.state();
            *generations = all
                .iter()
                .map(|service| (ObjectRef::from_obj(&**service), service.meta().generation))
                .collect();
            all.iter().map(|service| ObjectRef::from_obj(&**service).into()).collect()
        }
    }
}

/// Objects that carry our labels. Everything that happens to one triggers, its deletion as well; whose it is stands
/// in its labels, because endpoints and pods are not owned by the custom resource itself.
fn children<S, K>(
    client: &Client,
    namespace: Option<&str>,
    primaries: &Store<DeserializeGuard<S>>,
    triggers: &mut Vec<Triggers<S>>,
) -> Cached<K>
where
    S: ManagedService,
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
        + Clone
        + Debug
        + DeserializeOwned
        + Send
        + Sync
        + 'static,
{
    let (reader, writer) = store();
    let mut labels = names::labels::<S>("");
    labels.remove(names::INSTANCE_LABEL);
    let config = watcher::Config::default().labels(&names::query(&labels));
    let primaries = primaries.clone();
    let touches = slim(watcher(scoped::<K>(client, namespace), config))
        .reflect(writer)
        .map_ok(move |event| stream::iter(touched(&event, &primaries).into_iter().map(Ok)))
        .try_flatten();
    triggers.push(touches.boxed());
    Cached { store: reader }
}

/// The custom resources that an event of a child concerns. A list that was read anew concerns them all: what was
/// deleted while the watch was away is missing from it without an event of its own.
fn touched<S: ManagedService, K: Resource>(
    event: &watcher::Event<K>,
    primaries: &Store<DeserializeGuard<S>>,
) -> Vec<ReconcileRequest<DeserializeGuard<S>>> {
    match event {
        watcher::Event::Apply(child) | watcher::Event::Delete(child) => {
            instance_of(child).into_iter().collect()
        }
        watcher::Event::Init | watcher::Event::InitApply(_) => Vec::new(),
        watcher::Event::InitDone => {
            primaries.state().iter().map(|service| ObjectRef::from_obj(&**service).into()).collect()
        }
    }
}

/// The custom resource to which a child's labels point.
fn instance_of<S: ManagedService, K: Resource>(
    child: &K,
) -> Option<ReconcileRequest<DeserializeGuard<S>>> {
    let instance = child.labels().get(names::INSTANCE_LABEL)?;
    Some(ObjectRef::new(instance).within(&child.namespace()?).into())
}

/// A watch that waits longer after each failure, and keeps no managed fields: nobody reads them, and they are a third
/// of an object.
fn slim<K: Resource>(
    events: impl Stream<Item = Result<watcher::Event<K>, watcher::Error>> + Send,
) -> impl Stream<Item = Result<watcher::Event<K>, watcher::Error>> + Send {
    events
        .backoff(Failures::none(REOPEN))
        .modify(|object: &mut K| object.meta_mut().managed_fields = None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crds::InventoryService;

    fn child(instance: &str) -> ConfigMap {
        let labels = [(names::INSTANCE_LABEL.to_owned(), instance.to_owned())];
        let metadata = ObjectMeta {
            namespace: Some("shop".to_owned()),
            labels: Some(labels.into()),
            ..ObjectMeta::default()
        };
        ConfigMap { metadata, ..ConfigMap::default() }
    }

    fn service(name: &str, generation: i64) -> DeserializeGuard<InventoryService> {
        let mut service = InventoryService::new(name, Default::default());
        service.metadata.namespace = Some("shop".to_owned());
        service.metadata.generation = Some(generation);
        DeserializeGuard(Ok(service))
    }

    #[test]
    fn a_custom_resource_is_called_for_when_its_spec_changes_and_when_a_list_is_whole() {
        use watcher::Event::{Apply, Delete, Init, InitApply, InitDone};
        let (primaries, mut writer) = store();
        let mut generations = HashMap::new();
        let mut names = |event: watcher::Event<_>| -> Vec<String> {
            writer.apply_watcher_event(&event);
            let called: Vec<ReconcileRequest<DeserializeGuard<InventoryService>>> =
                asked_anew(&event, &mut generations, &primaries);
            let mut names: Vec<_> =
                called.into_iter().map(|request| request.obj_ref.name).collect();
            names.sort();
            names
        };
        assert_eq!(names(Init), [""; 0]);
        assert_eq!(names(InitApply(service("one", 1))), [""; 0]);
        assert_eq!(names(InitDone), ["one"]);
        // A write of the status.
        assert_eq!(names(Apply(service("one", 1))), [""; 0]);
        assert_eq!(names(Apply(service("one", 2))), ["one"]);
        // A list that comes in pages is looked up only when it is whole.
        assert_eq!(names(Init), [""; 0]);
        assert_eq!(names(InitApply(service("one", 3))), [""; 0]);
        assert_eq!(names(InitApply(service("two", 1))), [""; 0]);
        assert_eq!(names(InitDone), ["one", "two"]);
        assert_eq!(names(Delete(service("two", 1))), [""; 0]);
        assert_eq!(names(Apply(service("two", 1))), ["two"]);
    }

    #[test]
    fn a_child_concerns_its_own_resource_and_a_list_read_anew_concerns_them_all() {
        let (primaries, mut writer) = store();
        writer.apply_watcher_event(&watcher::Event::Init);
        for name in ["one", "two"] {
            let mut service = InventoryService::new(name, Default::default());
            service.metadata.namespace = Some("shop".to_owned());
            writer.apply_watcher_event(&watcher::Event::InitApply(DeserializeGuard(Ok(service))));
        }
        writer.apply_watcher_event(&watcher::Event::InitDone);
        let names = |event: watcher::Event<ConfigMap>| -> Vec<String> {
            let requests = touched::<InventoryService, _>(&event, &primaries);
            let mut names: Vec<_> =
                requests.into_iter().map(|request| request.obj_ref.name).collect();
            names.sort();
            names
        };
        assert_eq!(names(watcher::Event::Apply(child("one"))), ["one"]);
        assert_eq!(names(watcher::Event::Delete(child("two"))), ["two"]);
        assert_eq!(names(watcher::Event::Apply(ConfigMap::default())), [""; 0]);
        assert_eq!(names(watcher::Event::InitApply(child("one"))), [""; 0]);
        assert_eq!(names(watcher::Event::InitDone), ["one", "two"]);
    }
}
