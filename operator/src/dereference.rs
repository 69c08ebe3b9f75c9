//! Every read of a reconcile: the children, the pods, the endpoints, the acknowledgements.

use crate::{build, caches::Cached, error::Error, names, reconcile::Context};
use crds::ManagedService;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use k8s_openapi::{
    api::{
        apps::v1::Deployment,
        core::v1::{ConfigMap, PersistentVolumeClaim, Pod, Service, ServiceAccount},
        discovery::v1::EndpointSlice,
        policy::v1::PodDisruptionBudget,
        rbac::v1::{Role, RoleBinding},
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::{
    Api, Client, Resource, ResourceExt, api::ListParams, core::NamespaceResourceScope,
    runtime::reflector::ObjectRef,
};
use serde::de::DeserializeOwned;
use srv_config::{Revision, SHARDS_MAX};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Debug,
    sync::Arc,
};

/// How many pods are asked for at a time when their acknowledgements may be stale.
const QUESTIONS_AT_A_TIME: usize = 8;

/// Where to look first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// At what the watches brought. Free, and at most as old as a watch event under way; what is not there, though, is
    /// always asked for, so that nothing is created beside something foreign.
    AtCaches,
    /// At the API: after a conflict has shown that the caches lag.
    AtTheApi,
}

/// Objects of one kind by name.
pub(crate) type Kept<K> = BTreeMap<String, Arc<K>>;

/// All that was seen of one custom resource.
pub(crate) struct Observed<S> {
    pub service: Arc<S>,
    pub service_accounts: Kept<ServiceAccount>,
    pub roles: Kept<Role>,
    pub role_bindings: Kept<RoleBinding>,
    pub config_maps: Kept<ConfigMap>,
    pub claims: Kept<PersistentVolumeClaim>,
    pub services: Kept<Service>,
    pub budgets: Kept<PodDisruptionBudget>,
    pub deployments: Kept<Deployment>,
    pub pods: Vec<Arc<Pod>>,
    pub slices: Vec<Arc<EndpointSlice>>,
    /// Keys of acknowledgements whose pods do not exist.
    pub gone: BTreeSet<String>,
}

/// Looks at everything that belongs to `service`; `None` when it is gone itself.
pub(crate) async fn observe<S: ManagedService>(
    service: Arc<S>,
    ctx: &Context<S>,
    look: Look,
) -> Result<Option<Observed<S>>, Error> {
    let Some(service) = current(service, ctx, look).await? else { return Ok(None) };
    let eyes = Eyes::new::<S>(ctx.client.clone(), &service, look);
    let needed = Needed::of(&*service);
    let caches = &ctx.caches;
    caches.ready().await;
    let (
        service_accounts,
        roles,
        role_bindings,
        config_maps,
        claims,
        services,
        budgets,
        deployments,
    ) = tokio::try_join!(
        eyes.see(&caches.service_accounts, &needed.own, &[]),
        eyes.see(&caches.roles, &needed.own, &[]),
        eyes.see(&caches.role_bindings, &needed.own, &[]),
        eyes.see(&caches.config_maps, &needed.config_maps, &needed.former_shards),
        eyes.ask(&needed.claims),
        eyes.see(&caches.services, &needed.services, &[]),
        eyes.see(&caches.budgets, &needed.budgets, &needed.own),
        eyes.see(&caches.deployments, &needed.own, &[]),
    )?;
    let (pods, slices) = tokio::try_join!(eyes.all(&caches.pods), eyes.all(&caches.slices))?;
    let mut observed = Observed {
        service,
        service_accounts,
        roles,
        role_bindings,
        config_maps,
        claims,
        services,
        budgets,
        deployments,
        pods,
        slices,
        gone: BTreeSet::new(),
    };
    observed.gone = eyes.gone(observed.unknown_pods()).await?;
    Ok(Some(observed))
}

/// The custom resource itself, read again when the caches lag.
async fn current<S: ManagedService>(
    service: Arc<S>,
    ctx: &Context<S>,
    look: Look,
) -> Result<Option<Arc<S>>, Error> {
    if look == Look::AtCaches {
        return Ok(Some(service));
    }
    let name = service.name_any();
    let api = Api::<S>::namespaced(ctx.client.clone(), &service.namespace().unwrap_or_default());
    let found = api.get_opt(&name).await;
    let found = found
        .map_err(|error| Error::from_api("get", &format!("{} {name}", S::kind(&())), error))?;
    Ok(found.filter(|service| service.meta().deletion_timestamp.is_none()).map(Arc::new))
}

/// The names of the children that a custom resource has now, and of those that it may have had.
struct Needed {
    own: Vec<String>,
    config_maps: Vec<String>,
    former_shards: Vec<String>,
    claims: Vec<String>,
    services: Vec<String>,
    budgets: Vec<String>,
}

impl Needed {
    fn of<S: ManagedService>(service: &S) -> Self {
        let name = service.name_any();
        let workload = service.workload();
        let mut shards: Vec<String> =
            (0..SHARDS_MAX).map(|shard| names::acknowledgements(&name, shard)).collect();
        let former_shards = shards.split_off(build::shards(service) as usize);
        Self {
            config_maps: [vec![names::config_map(&name)], shards].concat(),
            former_shards,
            claims: workload.database.sqlite.iter().map(|_| names::claim(&name)).collect(),
            services: vec![name.clone(), names::headless(&name)],
            budgets: if workload.replicas >= 2 { vec![name.clone()] } else { Vec::new() },
            own: vec![name],
        }
    }
}

/// Looks at the objects of one namespace that belong to one custom resource.
struct Eyes {
    client: Client,
    namespace: String,
    instance: String,
    selector: String,
    look: Look,
}

impl Eyes {
    fn new<S: ManagedService>(client: Client, service: &S, look: Look) -> Self {
        let instance = service.name_any();
        Self {
            client,
            namespace: service.namespace().unwrap_or_default(),
            selector: names::query(&names::labels::<S>(&instance)),
            instance,
            look,
        }
    }

    /// The objects of these names: what is `needed` is asked for if it is not at hand, what there `may` be is not.
    async fn see<K>(
        &self,
        cache: &Cached<K>,
        needed: &[String],
        may: &[String],
    ) -> Result<Kept<K>, Error>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
            + Clone
            + Debug
            + DeserializeOwned
            + Send
            + Sync
            + 'static,
    {
        let mut seen: Kept<K> = match self.look {
            Look::AtCaches => needed
                .iter()
                .chain(may)
                .filter_map(|name| {
                    let found = cache.store.get(&ObjectRef::new(name).within(&self.namespace))?;
                    Some((name.clone(), found))
                })
                .collect(),
            Look::AtTheApi => {
                let all = self.all(cache).await?;
                all.into_iter().map(|found| (found.name_any(), found)).collect()
            }
        };
        let missing: Vec<String> =
            needed.iter().filter(|name| !seen.contains_key(*name)).cloned().collect();
        seen.extend(self.ask(&missing).await?);
        Ok(seen)
    }

    /// Those objects of these names that exist, from the API.
    async fn ask<K>(&self, names: &[String]) -> Result<Kept<K>, Error>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
            + Clone
            + Debug
            + DeserializeOwned,
    {
        let mut found = Kept::new();
        for name in names {
            let answer = self.api::<K>().get_opt(name).await;
            let answer = answer.map_err(|error| {
                Error::from_api("get", &format!("{} {name}", K::kind(&())), error)
            })?;
            found.extend(answer.map(|object| (name.clone(), Arc::new(object))));
        }
        Ok(found)
    }

    /// Every object that carries the labels of the custom resource.
    async fn all<K>(&self, cache: &Cached<K>) -> Result<Vec<Arc<K>>, Error>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
            + Clone
            + Debug
            + DeserializeOwned
            + Send
            + Sync
            + 'static,
    {
        match self.look {
            Look::AtCaches => {
                Ok(cache.store.state_filter(|object: &K| self.is_mine(object.meta())))
            }
            Look::AtTheApi => {
                let list =
                    self.api::<K>().list(&ListParams::default().labels(&self.selector)).await;
                let list = list.map_err(|error| {
                    Error::from_api("list", &format!("{}s", K::kind(&())), error)
                })?;
                Ok(list.items.into_iter().map(Arc::new).collect())
            }
        }
    }

    fn is_mine(&self, meta: &ObjectMeta) -> bool {
        let instance = meta.labels.as_ref().and_then(|labels| labels.get(names::INSTANCE_LABEL));
        meta.namespace.as_ref() == Some(&self.namespace) && instance == Some(&self.instance)
    }

    /// Those of these pods that really do not exist: a pod may acknowledge before the watch has told of it.
    async fn gone(&self, unknown: BTreeSet<String>) -> Result<BTreeSet<String>, Error> {
        stream::iter(unknown)
            .map(|pod| async move {
                let there = !self.ask::<Pod>(std::slice::from_ref(&pod)).await?.is_empty();
                Ok((!there).then_some(pod))
            })
            .buffer_unordered(QUESTIONS_AT_A_TIME)
            .try_filter_map(|gone| async move { Ok(gone) })
            .try_collect()
            .await
    }

    fn api<K>(&self) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }
}

impl<S: ManagedService> Observed<S> {
    /// Whether the custom resource is the controller of `child`. What it does not control, it never touches.
    pub(crate) fn controls(&self, child: &ObjectMeta) -> bool {
        let uid = self.service.meta().uid.as_deref();
        let mut owners = child.owner_references.iter().flatten();
        owners.any(|owner| owner.controller == Some(true) && Some(owner.uid.as_str()) == uid)
    }

    /// An object that has the name of a child and is not ours: its kind and name.
    pub(crate) fn foreign_child(&self) -> Option<(String, String)> {
        fn of<K: Resource<DynamicType = ()>>(
            kept: &Kept<K>,
            needed: &[String],
            ours: impl Fn(&ObjectMeta) -> bool,
        ) -> Option<(String, String)> {
            let foreign = needed
                .iter()
                .find(|name| kept.get(*name).is_some_and(|child| !ours(child.meta())))?;
            Some((K::kind(&()).into_owned(), foreign.clone()))
        }
        let needed = Needed::of(&*self.service);
        let ours = |child: &ObjectMeta| self.controls(child);
        of(&self.service_accounts, &needed.own, ours)
            .or_else(|| of(&self.roles, &needed.own, ours))
            .or_else(|| of(&self.role_bindings, &needed.own, ours))
            .or_else(|| of(&self.config_maps, &needed.config_maps, ours))
            .or_else(|| of(&self.services, &needed.services, ours))
            .or_else(|| of(&self.budgets, &needed.budgets, ours))
            .or_else(|| of(&self.deployments, &needed.own, ours))
            // A claim outlives its custom resource, so it has no owner: its labels say whose it is.
            .or_else(|| of(&self.claims, &needed.claims, |claim| self.has_our_labels(claim)))
    }

    fn has_our_labels(&self, child: &ObjectMeta) -> bool {
        let has = |(key, value)| {
            child.labels.as_ref().is_some_and(|labels| labels.get(key) == Some(value))
        };
        names::labels::<S>(&self.service.name_any()).iter().all(has)
    }

    /// The ConfigMap that the pods read.
    pub(crate) fn config_map(&self) -> Option<&Arc<ConfigMap>> {
        self.config_maps
            .get(&names::config_map(&self.service.name_any()))
            .filter(|config_map| self.controls(&config_map.metadata))
    }

    /// The revision with the highest number that anything remembers.
    pub(crate) fn newest_revision(&self) -> Option<Revision> {
        let told =
            self.service.status().and_then(|status| status.config.as_ref()?.revision.parse().ok());
        let written = self.config_map().and_then(|config_map| revision_of(config_map));
        [told, written].into_iter().flatten().max_by_key(|revision: &Revision| revision.number)
    }

    /// The `ConfigMaps` into which the pods write.
    pub(crate) fn shards(&self) -> impl Iterator<Item = &Arc<ConfigMap>> {
        let config = names::config_map(&self.service.name_any());
        let shards = self.config_maps.iter().filter(move |(name, _)| **name != config);
        shards.map(|(_, shard)| shard).filter(|shard| self.controls(&shard.metadata))
    }

    fn unknown_pods(&self) -> BTreeSet<String> {
        let known: BTreeSet<String> = self.pods.iter().map(|pod| pod.name_any()).collect();
        let written =
            self.shards().flat_map(|shard| shard.data.iter().flatten().map(|(pod, _)| pod.clone()));
        written.filter(|pod| !known.contains(pod)).collect()
    }
}

/// Over how many ConfigMaps the pods' words are spread, as a configuration's ConfigMap tells the pods.
pub(crate) fn shards_of(config_map: &ConfigMap) -> Option<u32> {
    config_map.data.as_ref()?.get(srv_config::SHARDS_FILE)?.parse().ok()
}

/// The revision that a configuration's ConfigMap says it is.
pub(crate) fn revision_of(config_map: &ConfigMap) -> Option<Revision> {
    config_map.data.as_ref()?.get(srv_config::REVISION_FILE)?.parse().ok()
}
