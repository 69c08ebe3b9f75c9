//! Everything one port answers: the service's own calls, health, and reflection while it is on.

use super::ServeError;
use crate::Settings;
use srv_config::HotConfig;
use tonic::{
    Request, Status,
    service::{Routes, interceptor::InterceptedService},
};
use tonic_health::server::HealthReporter;
use tonic_reflection::server::Builder;

pub(super) fn assemble<H: HotConfig>(
    own: Routes,
    descriptors: &[&'static [u8]],
    settings: &Settings<H>,
    health: &HealthReporter,
) -> Result<Routes, ServeError> {
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
    Ok(own
        .add_service(health_server)
        .add_service(InterceptedService::new(v1, while_on.clone()))
        .add_service(InterceptedService::new(v1alpha, while_on))
        .prepare())
}

fn reflection<'a>(descriptors: &[&'a [u8]]) -> Builder<'a> {
    descriptors
        .iter()
        .fold(Builder::configure(), |builder, set| {
            builder.register_encoded_file_descriptor_set(set)
        })
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
}
