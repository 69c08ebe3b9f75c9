//! Every write to the children, in an order whose reasons stand beside it.

use crate::{
    build::{Children, Desired},
    compare::covers,
    dereference::{Kept, Observed},
    error::Error,
    names,
    numbers::Numbers,
    obstacle::Obstacle,
    reconcile::Context,
};
use crds::ManagedService;
use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{ConfigMap, PersistentVolumeClaim},
};
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions},
    core::NamespaceResourceScope,
    runtime::controller::Action,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use std::{fmt::Debug, sync::Arc, time::Duration};

/// How long nothing needs to happen before a custom resource is looked at all the same: a net below the watches.
/// Looking costs nothing, and writes nothing when nothing differs.
const LOOK_AGAIN: Duration = Duration::from_secs(600);
/// By how much [`LOOK_AGAIN`] is stretched at random, so that custom resources do not all come at once.
const LOOK_AGAIN_SPREAD: Duration = Duration::from_secs(120);

/// How soon a claim that is on its way out is looked at again. The operator may not watch claims, and the pod that
/// waits for the next one cannot start before it is there.
const CLAIM_AGAIN: Duration = Duration::from_secs(5);

/// What stands now.
pub(crate) struct Applied {
    /// Why the children are not what the spec asks, if they are not.
    pub obstacle: Option<Obstacle>,
    /// The configuration that the pods read.
    pub config_map: Option<Arc<ConfigMap>>,
    /// The pods' Deployment.
    pub deployment: Option<Arc<Deployment>>,
    /// The volume's claim was deleted and waits for its pod to let go of it.
    pub claim_is_going: bool,
}

impl Applied {
    /// When to look again if no watch calls.
    pub(crate) fn next_look(&self) -> Action {
        match &self.obstacle {
            Some(obstacle) => {
                obstacle.look_again().map_or_else(Action::await_change, Action::requeue)
            }
            None if self.claim_is_going => Action::requeue(CLAIM_AGAIN),
            None => Action::requeue(LOOK_AGAIN + LOOK_AGAIN_SPREAD.mul_f64(rand::random())),
        }
    }
}

/// Makes the children what is desired.
pub(crate) async fn children<S: ManagedService>(
    ctx: &Context<S>,
    observed: &Observed<S>,
    desired: Desired,
) -> Result<Applied, Error> {
    let mut applied = Applied {
        obstacle: None,
        config_map: observed.config_map().cloned(),
        deployment: observed.deployments.get(&observed.service.name_any()).cloned(),
        claim_is_going: false,
    };
    applied.deployment =
        applied.deployment.filter(|deployment| observed.controls(&deployment.metadata));
    match desired {
        Desired::Unchanged(obstacle) => applied.obstacle = Some(obstacle),
        Desired::Children(children) => {
            if let Err(error) = write(ctx, observed, *children, &mut applied).await {
                let Some((action, why)) = error.refusal() else { return Err(error) };
                applied.obstacle =
                    Some(Obstacle::Refused { action: action.to_owned(), why: why.to_owned() });
            }
        }
    }
    Ok(applied)
}

/// The order. Health of the pods gates nothing here: a bad spec is mended by the next one.
async fn write<S: ManagedService>(
    ctx: &Context<S>,
    observed: &Observed<S>,
    desired: Children,
    applied: &mut Applied,
) -> Result<(), Error> {
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
    } = desired;
    let pen = Pen::new(ctx, observed);

    // What the pods may do, and where they acknowledge, before a configuration sends them there.
    let account = pen.put(&observed.service_accounts, &service_account).await?;
    pen.put(&observed.roles, &role).await?;
    pen.put(&observed.role_bindings, &role_binding).await?;
    for shard in &acknowledgements {
        pen.put(&observed.config_maps, shard).await?;
    }
    // The configuration before the pods that read it: a new pod never starts on an old one.
    applied.config_map = Some(pen.put(&observed.config_maps, &config_map).await?);
    // What the pods mount, and how they are found, before they are there.
    if let Some(claim) = &claim {
        applied.claim_is_going = pen.create_once(&observed.claims, claim).await?;
    }
    for service in &services {
        pen.put(&observed.services, service).await?;
    }
    if let Some(budget) = &budget {
        pen.put(&observed.budgets, budget).await?;
    }
    let deployment = deployment.under(&account);
    applied.deployment = Some(pen.put(&observed.deployments, &deployment).await?);
    // Only when all that is asked for stands, what is no longer asked for goes. A claim never does.
    let kept: Vec<String> = acknowledgements.iter().map(ResourceExt::name_any).collect();
    for shard in observed.shards().filter(|shard| !kept.contains(&shard.name_any())) {
        pen.delete(&**shard).await?;
    }
    if budget.is_none() {
        for budget in observed.budgets.values().filter(|budget| observed.controls(&budget.metadata))
        {
            pen.delete(&**budget).await?;
        }
    }
    for shard in observed.shards().filter(|shard| kept.contains(&shard.name_any())) {
        pen.forget(shard, observed).await?;
    }
    Ok(())
}

/// Writes into one namespace.
struct Pen<'a> {
    client: &'a Client,
    numbers: &'a Numbers,
    namespace: String,
}

impl<'a> Pen<'a> {
    fn new<S: ManagedService>(ctx: &'a Context<S>, observed: &Observed<S>) -> Self {
        let namespace = observed.service.namespace().unwrap_or_default();
        Self { client: &ctx.client, numbers: &ctx.numbers, namespace }
    }

    fn api<K>(&self) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Makes one object what is desired, if it is not; gives back what stands then.
    ///
    /// The write carries the version that was seen, so that it is refused if anything changed since; `1` where
    /// nothing was seen, the version of no object, so that it creates or is refused.
    async fn put<K>(&self, seen: &Kept<K>, desired: &K) -> Result<Arc<K>, Error>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
            + Clone
            + Debug
            + Serialize
            + DeserializeOwned,
    {
        let name = desired.name_any();
        let mut intent = stamped(desired);
        let live = seen.get(&name);
        if let Some(live) = live
            && covers(&plain(&**live), &intent)
        {
            return Ok(live.clone());
        }
        let version =
            live.and_then(|live| live.resource_version()).unwrap_or_else(|| "1".to_owned());
        intent["metadata"]["resourceVersion"] = json!(version);
        let parameters = PatchParams::apply(names::MANAGER).force();
        let mut written = self.api::<K>().patch(&name, &parameters, &Patch::Apply(&intent)).await;
        self.wrote::<K>();
        if live.is_some() && written.as_ref().is_err_and(is_invalid) {
            written = self.put_over(&name, intent).await;
        }
        let written = written.map_err(|error| Error::from_api("write", &what(desired), error))?;
        tracing::info!(kind = %K::kind(&()), name, namespace = self.namespace, "wrote");
        Ok(Arc::new(written))
    }

    /// Makes one object what is desired where that cannot stand beside what somebody else wrote into it. Server-side
    /// apply leaves what is not ours; this takes lists as a whole.
    async fn put_over<K>(&self, name: &str, mut intent: Value) -> Result<K, kube::Error>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
            + Clone
            + Debug
            + DeserializeOwned,
    {
        if intent.pointer("/spec/strategy/type") == Some(&json!("Recreate")) {
            intent["spec"]["strategy"]["rollingUpdate"] = Value::Null;
        }
        let parameters = PatchParams {
            field_manager: Some(names::MANAGER.to_owned()),
            ..PatchParams::default()
        };
        let written = self.api::<K>().patch(name, &parameters, &Patch::Merge(intent)).await;
        self.wrote::<K>();
        written
    }

    /// Creates a claim if there is none. One that is there stays as it is: it holds data. Gives back whether it is on
    /// its way out, so that another one must be made when it has gone.
    async fn create_once(
        &self,
        seen: &Kept<PersistentVolumeClaim>,
        desired: &PersistentVolumeClaim,
    ) -> Result<bool, Error> {
        if let Some(claim) = seen.get(&desired.name_any()) {
            return Ok(claim.metadata.deletion_timestamp.is_some());
        }
        let parameters =
            PostParams { field_manager: Some(names::MANAGER.to_owned()), ..PostParams::default() };
        let created = self.api::<PersistentVolumeClaim>().create(&parameters, desired).await;
        self.wrote::<PersistentVolumeClaim>();
        created.map_err(|error| Error::from_api("create", &what(desired), error))?;
        Ok(false)
    }

    /// Deletes exactly the object that was seen.
    async fn delete<K>(&self, seen: &K) -> Result<(), Error>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
            + Clone
            + Debug
            + DeserializeOwned,
    {
        let preconditions =
            Preconditions { uid: seen.uid(), resource_version: seen.resource_version() };
        let parameters = DeleteParams::background().preconditions(preconditions);
        let deleted = self.api::<K>().delete(&seen.name_any(), &parameters).await;
        self.wrote::<K>();
        match deleted {
            Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
            Err(error) => Err(Error::from_api("delete", &what(seen), error)),
            Ok(_) => {
                tracing::info!(kind = %K::kind(&()), name = seen.name_any(), "deleted, it is no longer asked for");
                Ok(())
            }
        }
    }

    /// Drops from a shard the acknowledgements of pods that are gone.
    async fn forget<S>(&self, shard: &ConfigMap, observed: &Observed<S>) -> Result<(), Error> {
        let written = shard.data.iter().flatten().map(|(pod, _)| pod);
        let gone: Vec<(String, Value)> = written
            .filter(|pod| observed.gone.contains(*pod))
            .map(|pod| (pod.clone(), Value::Null))
            .collect();
        if gone.is_empty() {
            return Ok(());
        }
        let patch = json!({
            "metadata": {"resourceVersion": shard.resource_version()},
            "data": Value::Object(gone.into_iter().collect()),
        });
        let name = shard.name_any();
        let parameters = PatchParams {
            field_manager: Some(names::MANAGER.to_owned()),
            ..PatchParams::default()
        };
        let patched = self.api::<ConfigMap>().patch(&name, &parameters, &Patch::Merge(patch)).await;
        self.wrote::<ConfigMap>();
        patched.map_err(|error| Error::from_api("write", &what(shard), error))?;
        Ok(())
    }

    fn wrote<K: Resource<DynamicType = ()>>(&self) {
        self.numbers.wrote(&K::kind(&()));
    }
}

/// The API server understood the object, and it makes no sense.
fn is_invalid(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 422)
}

fn what<K: Resource<DynamicType = ()>>(object: &K) -> String {
    format!("{} {}", K::kind(&()), object.name_any())
}

/// The object as it is to be applied, with the hash of itself as an annotation.
fn stamped<K: Serialize>(desired: &K) -> Value {
    let mut intent = plain(desired);
    let hash = srv_config::hash_of(&intent.to_string());
    intent["metadata"]["annotations"][names::INTENT] = json!(hash);
    intent
}

fn plain<K: Serialize>(object: &K) -> Value {
    serde_json::to_value(object).expect("an object of the API is a tree of plain values")
}
