//! How callers find the pods: one address for all, and one name that resolves to each.

use super::Blueprint;
use crate::names;
use crds::ManagedService;
use k8s_openapi::{
    api::core::v1::{Service, ServicePort, ServiceSpec},
    apimachinery::pkg::util::intstr::IntOrString,
};

/// One stable address; connections are spread over the pods as they are opened.
pub(super) fn service<S: ManagedService>(of: &Blueprint<'_, S>) -> Service {
    with_address(of, of.name(), None)
}

/// A name that resolves to every pod that is ready, for clients that balance calls themselves.
pub(super) fn headless<S: ManagedService>(of: &Blueprint<'_, S>) -> Service {
    with_address(of, names::headless(&of.name()), Some("None".to_owned()))
}

fn with_address<S: ManagedService>(
    of: &Blueprint<'_, S>,
    name: String,
    cluster_ip: Option<String>,
) -> Service {
    Service {
        metadata: of.owned(name),
        spec: Some(ServiceSpec {
            type_: Some("ClusterIP".to_owned()),
            cluster_ip,
            selector: Some(names::selector::<S>(&of.name())),
            ports: Some(vec![ServicePort {
                name: Some("grpc".to_owned()),
                port: of.restart().grpc_port,
                // By name: while the port changes, old pods and new ones are each reached at their own.
                target_port: Some(IntOrString::String("grpc".to_owned())),
                app_protocol: Some("kubernetes.io/h2c".to_owned()),
                protocol: Some("TCP".to_owned()),
                ..ServicePort::default()
            }]),
            ..ServiceSpec::default()
        }),
        ..Service::default()
    }
}
