//! Everything one port answers: the service's own calls within bounds, health, and reflection while it is on.

use super::{ServeError, bounds::Bounds, measure::Measure, stopping::Stopping};
use crate::{Metrics, Settings};
use axum::middleware::from_fn;
use srv_config::HotConfig;
use std::sync::Arc;
use tonic::{
    Request, Status,
    service::{Routes, interceptor::InterceptedService},
};
use tonic_health::server::HealthReporter;
use tonic_reflection::server::Builder;

/// The bounds on a service's own calls. `services` are full names; the first one's package names the domain of error
/// reasons.
pub(super) fn bounds<H: HotConfig>(
    settings: &Settings<H>,
    services: &[&'static str],
    stopping: Stopping,
) -> Bounds {
    let limits = settings.clone();
    Bounds::new(move || limits.load().limits().clone(), stopping, domain_of(services))
}

pub(super) async fn assemble<H: HotConfig>(
    own: Routes,
    bounds: Bounds,
    descriptors: &[&'static [u8]],
    settings: &Settings<H>,
    metrics: &Metrics,
    health: &HealthReporter,
) -> Result<Routes, ServeError> {
    let bounded = own
        .into_axum_router()
        .layer(from_fn(move |request, next| bounds.clone().answer(request, next)));
    let health_server = tonic_health::pb::health_server::HealthServer::new(
        tonic_health::server::HealthService::from_health_reporter(health.clone()),
    );
    let while_on = {
        let settings = settings.clone();
        move |request: Request<()>| {
            if settings.load().reflection() {
                Ok(request)
            } else {
                Err(Status::unimplemented(
                    "reflection is off; `reflection: true` in the configuration turns it on",
                ))
            }
        }
    };
    let v1 = reflection(descriptors).build_v1()?;
    let v1alpha = reflection(descriptors).build_v1alpha()?;
    let all = Routes::from(bounded)
        .add_service(health_server)
        .add_service(InterceptedService::new(v1, while_on.clone()))
        .add_service(InterceptedService::new(v1alpha, while_on));
    let measure = Measure::new(metrics);
    let measured = all
        .into_axum_router()
        .layer(from_fn(move |request, next| measure.clone().answer(request, next)));
    Ok(Routes::from(measured))
}

fn reflection<'a>(descriptors: &[&'a [u8]]) -> Builder<'a> {
    descriptors
        .iter()
        .fold(Builder::configure(), |builder, set| {
            builder.register_encoded_file_descriptor_set(set)
        })
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
}

/// `inventory.v1.InventoryService` -> `inventory.shopkeeper.dev`.
fn domain_of(services: &[&'static str]) -> Arc<str> {
    let package = services.first().and_then(|name| name.split('.').next()).unwrap_or_default();
    format!("{package}.shopkeeper.dev").into()
}
