//! Custom resources that cannot be read as such: an older CRD let in what this operator does not know.

use super::{
    conditions::{self, Conditions},
    write,
};
use crate::{error::Error, reconcile::Context};
use crds::{ManagedService, ServiceStatus};
use k8s_openapi::{
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time},
    jiff::Timestamp,
};
use kube::{
    Api,
    api::{ApiResource, DynamicObject},
};

/// Says of a custom resource that cannot be read as one why not, unless its status says so already.
pub(crate) async fn unreadable<S: ManagedService>(
    ctx: &Context<S>,
    metadata: &ObjectMeta,
    error: &str,
) -> Result<(), Error> {
    let Some((stored, before)) = stored(ctx, metadata).await? else { return Ok(()) };
    let known = before.as_ref().map_or(&[][..], |status| &status.conditions);
    let conditions = Conditions::new(known, metadata.generation, Time(Timestamp::now()))
        .with(
            conditions::READY,
            "False",
            "Unreadable",
            format!("this operator cannot read the resource; apply the CRD of its version and mend the spec: {error}"),
        )
        // Its children go on, and whatever reads the rest of the status with them: an autoscaler, above all.
        .with_the_others()
        .done();
    let status = ServiceStatus {
        observed_generation: metadata.generation,
        conditions,
        ..before.clone().unwrap_or_default()
    };
    if before.as_ref() == Some(&status) {
        return Ok(());
    }
    tracing::warn!(
        name = metadata.name,
        namespace = metadata.namespace,
        error,
        "cannot read a {}",
        S::kind(&())
    );
    write(ctx, &stored, &status).await
}

/// What the API holds of it: the metadata, and the status if that can be read. The watch brought neither its status nor
/// anything else that could not be read. `None` when it is gone or another spec than this one is there: then the next
/// call comes by itself.
async fn stored<S: ManagedService>(
    ctx: &Context<S>,
    metadata: &ObjectMeta,
) -> Result<Option<(ObjectMeta, Option<ServiceStatus>)>, Error> {
    let name = metadata.name.as_deref().unwrap_or_default();
    let namespace = metadata.namespace.as_deref().unwrap_or_default();
    let resource = ApiResource::erase::<S>(&());
    let api = Api::<DynamicObject>::namespaced_with(ctx.client.clone(), namespace, &resource);
    let found = api.get_opt(name).await;
    let found = found
        .map_err(|error| Error::from_api("get", &format!("{} {name}", S::kind(&())), error))?
        .filter(|found| found.metadata.generation == metadata.generation);
    Ok(found.map(|mut found| {
        let status = found.data["status"].take();
        (found.metadata, serde_json::from_value(status).ok())
    }))
}
