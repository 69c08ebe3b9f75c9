//! One pod of a service: a fixed shape, hardened, of which a custom resource sets the few values it names.

use super::Blueprint;
use crate::names;
use crds::{ManagedService, SecretKey};
use k8s_openapi::{
    api::core::v1::{
        Capabilities, ConfigMapProjection, ConfigMapVolumeSource, Container, ContainerPort,
        DownwardAPIProjection, DownwardAPIVolumeFile, EnvVar, EnvVarSource, HTTPGetAction,
        KeyToPath, ObjectFieldSelector, PersistentVolumeClaimVolumeSource, PodSecurityContext,
        PodSpec, Probe, ProjectedVolumeSource, ResourceRequirements, SeccompProfile,
        SecretVolumeSource, SecurityContext, ServiceAccountTokenProjection,
        TopologySpreadConstraint, Volume, VolumeMount, VolumeProjection,
    },
    apimachinery::pkg::{
        api::resource::Quantity, apis::meta::v1::LabelSelector, util::intstr::IntOrString,
    },
};
use std::collections::BTreeMap;

/// The user and the group of every process of ours.
const USER: i64 = 65532;
/// Files of Secrets and of the token: readable by the group, writable by nobody (0440).
const SECRET_MODE: i32 = 0o440;
/// How long a projected token is valid; the kubelet renews it in time.
const TOKEN_SECONDS: i64 = 3600;
/// What a pod is given to end beyond its own delay and drain, before the kubelet kills it: where a database hangs, its
/// last writes have 5 and its pool 2 (`srv_runtime::serve`); twice that is for a node that is busy.
const GRACE_BEYOND_DRAIN_SECONDS: i64 = 15;
/// How many seconds a process may take to answer `/livez` for the first time.
const STARTUP_SECONDS: i32 = 60;

pub(super) fn pod<S: ManagedService>(of: &Blueprint<'_, S>) -> PodSpec {
    let workload = of.service.workload();
    let restart = of.restart();
    let pull_secrets = workload.image_pull_secrets.clone();
    PodSpec {
        service_account_name: Some(of.name()),
        automount_service_account_token: Some(false),
        enable_service_links: Some(false),
        image_pull_secrets: (!pull_secrets.is_empty()).then_some(pull_secrets),
        security_context: Some(PodSecurityContext {
            run_as_non_root: Some(true),
            run_as_user: Some(USER),
            run_as_group: Some(USER),
            fs_group: Some(USER),
            fs_group_change_policy: Some("OnRootMismatch".to_owned()),
            seccomp_profile: Some(default_seccomp()),
            ..PodSecurityContext::default()
        }),
        termination_grace_period_seconds: Some(
            i64::from(restart.drain_delay_seconds)
                + i64::from(restart.drain_seconds)
                + GRACE_BEYOND_DRAIN_SECONDS,
        ),
        topology_spread_constraints: Some(
            ["topology.kubernetes.io/zone", "kubernetes.io/hostname"]
                .map(|key| spread(of, key))
                .into(),
        ),
        init_containers: workload.database.mysql.is_some().then(|| vec![migration(of)]),
        containers: vec![server(of)],
        volumes: Some(volumes(of)),
        ..PodSpec::default()
    }
}

/// Pods of one version spread over zones and nodes where they can; they are never kept from running by it.
fn spread<S: ManagedService>(
    of: &Blueprint<'_, S>,
    topology_key: &str,
) -> TopologySpreadConstraint {
    TopologySpreadConstraint {
        max_skew: 1,
        topology_key: topology_key.to_owned(),
        when_unsatisfiable: "ScheduleAnyway".to_owned(),
        label_selector: Some(LabelSelector {
            match_labels: Some(names::selector::<S>(&of.name())),
            ..LabelSelector::default()
        }),
        match_label_keys: Some(vec!["pod-template-hash".to_owned()]),
        ..TopologySpreadConstraint::default()
    }
}

fn server<S: ManagedService>(of: &Blueprint<'_, S>) -> Container {
    let port = |name: &str, number: i32| ContainerPort {
        name: Some(name.to_owned()),
        container_port: number,
        protocol: Some("TCP".to_owned()),
        ..ContainerPort::default()
    };
    Container {
        name: S::BINARY.to_owned(),
        args: Some(vec!["serve".to_owned()]),
        env: Some(environment(of)),
        ports: Some(vec![
            port("grpc", of.restart().grpc_port),
            port("admin", of.restart().admin_port),
        ]),
        startup_probe: Some(probe("/livez", 1, STARTUP_SECONDS)),
        // Whether the process turns; a database that is away must not restart it.
        liveness_probe: Some(probe("/livez", 10, 3)),
        // Whether it has begun to serve and does not stop. A database that is away shows in the answers: if it took
        // pods out of the Service, it would take all of them, and clients would learn less.
        readiness_probe: Some(probe("/readyz", 2, 2)),
        ..container(of)
    }
}

/// Brings the schema up to date before the new version serves. Fails with its own words, which the status repeats.
fn migration<S: ManagedService>(of: &Blueprint<'_, S>) -> Container {
    Container {
        name: names::MIGRATE.to_owned(),
        args: Some(vec![names::MIGRATE.to_owned()]),
        env: Some(environment(of)),
        ..container(of)
    }
}

/// What both containers have in common.
fn container<S: ManagedService>(of: &Blueprint<'_, S>) -> Container {
    Container {
        image: Some(of.image.to_owned()),
        image_pull_policy: Some("IfNotPresent".to_owned()),
        resources: Some(resources(of)),
        volume_mounts: Some(mounts(of)),
        termination_message_path: Some("/dev/termination-log".to_owned()),
        termination_message_policy: Some("FallbackToLogsOnError".to_owned()),
        security_context: Some(SecurityContext {
            allow_privilege_escalation: Some(false),
            privileged: Some(false),
            read_only_root_filesystem: Some(true),
            run_as_non_root: Some(true),
            run_as_user: Some(USER),
            run_as_group: Some(USER),
            capabilities: Some(Capabilities { drop: Some(vec!["ALL".to_owned()]), add: None }),
            seccomp_profile: Some(default_seccomp()),
            ..SecurityContext::default()
        }),
        ..Container::default()
    }
}

fn environment<S: ManagedService>(of: &Blueprint<'_, S>) -> Vec<EnvVar> {
    let field = |name: &str, path: &str| EnvVar {
        name: name.to_owned(),
        value: None,
        value_from: Some(EnvVarSource {
            field_ref: Some(ObjectFieldSelector {
                api_version: Some("v1".to_owned()),
                field_path: path.to_owned(),
            }),
            ..EnvVarSource::default()
        }),
    };
    let text = |name: &str, value: String| EnvVar {
        name: name.to_owned(),
        value: Some(value),
        value_from: None,
    };
    let mut environment = vec![
        field("POD_NAME", "metadata.name"),
        field("POD_NAMESPACE", "metadata.namespace"),
        text("SHOPKEEPER_CONFIG_DIR", names::CONFIG_DIR.to_owned()),
        text("SHOPKEEPER_CONFIG_MAP", names::config_map(&of.name())),
        text("SHOPKEEPER_LISTEN", "0.0.0.0".to_owned()),
    ];
    environment.push(if of.service.workload().database.sqlite.is_some() {
        let file = format!("sqlite://{}/{}.db", names::DATA_DIR, S::COMPONENT);
        text("SHOPKEEPER_DATABASE_URL", file)
    } else {
        let file = format!("{}/{}", names::DATABASE_DIR, names::URL_FILE);
        text("SHOPKEEPER_DATABASE_URL_FILE", file)
    });
    if of.service.redis().is_some() {
        let file = format!("{}/{}", names::REDIS_DIR, names::URL_FILE);
        environment.push(text("SHOPKEEPER_REDIS_URL_FILE", file));
    }
    environment
}

fn probe(path: &str, period_seconds: i32, failures: i32) -> Probe {
    Probe {
        http_get: Some(HTTPGetAction {
            path: Some(path.to_owned()),
            port: IntOrString::String("admin".to_owned()),
            ..HTTPGetAction::default()
        }),
        period_seconds: Some(period_seconds),
        failure_threshold: Some(failures),
        timeout_seconds: Some(2),
        ..Probe::default()
    }
}

fn resources<S: ManagedService>(of: &Blueprint<'_, S>) -> ResourceRequirements {
    let quantities = |amounts: &[(&str, &str)]| -> Option<BTreeMap<String, Quantity>> {
        Some(
            amounts
                .iter()
                .map(|(name, amount)| (name.to_string(), Quantity(amount.to_string())))
                .collect(),
        )
    };
    match &of.service.workload().resources {
        Some(resources) => resources.into(),
        None => ResourceRequirements {
            requests: quantities(&[("cpu", "50m"), ("memory", "64Mi")]),
            limits: quantities(&[("memory", "256Mi")]),
            ..ResourceRequirements::default()
        },
    }
}

fn default_seccomp() -> SeccompProfile {
    SeccompProfile { type_: "RuntimeDefault".to_owned(), localhost_profile: None }
}

fn mounts<S: ManagedService>(of: &Blueprint<'_, S>) -> Vec<VolumeMount> {
    let mount = |name: &str, path: &str, read_only: bool| VolumeMount {
        name: name.to_owned(),
        mount_path: path.to_owned(),
        read_only: read_only.then_some(true),
        ..VolumeMount::default()
    };
    let mut mounts =
        vec![mount("config", names::CONFIG_DIR, true), mount("token", names::TOKEN_DIR, true)];
    mounts.push(if of.service.workload().database.sqlite.is_some() {
        mount("data", names::DATA_DIR, false)
    } else {
        mount("database", names::DATABASE_DIR, true)
    });
    if of.service.redis().is_some() {
        mounts.push(mount("redis", names::REDIS_DIR, true));
    }
    mounts
}

fn volumes<S: ManagedService>(of: &Blueprint<'_, S>) -> Vec<Volume> {
    let database = &of.service.workload().database;
    let config = Volume {
        name: "config".to_owned(),
        config_map: Some(ConfigMapVolumeSource {
            name: names::config_map(&of.name()),
            ..ConfigMapVolumeSource::default()
        }),
        ..Volume::default()
    };
    let data = database.sqlite.as_ref().map(|_| Volume {
        name: "data".to_owned(),
        persistent_volume_claim: Some(PersistentVolumeClaimVolumeSource {
            claim_name: names::claim(&of.name()),
            read_only: None,
        }),
        ..Volume::default()
    });
    let secrets = [
        database.mysql.as_ref().map(|mysql| secret("database", &mysql.url_secret_ref)),
        of.service.redis().map(|redis| secret("redis", &redis.url_secret_ref)),
    ];
    [Some(config), Some(token()), data].into_iter().chain(secrets).flatten().collect()
}

/// One key of a Secret as a file. A Secret that does not exist must not keep the container from starting: the service
/// says which one it misses, where an operator without a right on Secrets and Events can read it.
fn secret(volume: &str, of: &SecretKey) -> Volume {
    Volume {
        name: volume.to_owned(),
        secret: Some(SecretVolumeSource {
            secret_name: Some(of.name.clone()),
            items: Some(vec![KeyToPath {
                key: of.key.clone(),
                path: names::URL_FILE.to_owned(),
                mode: None,
            }]),
            default_mode: Some(SECRET_MODE),
            optional: Some(true),
        }),
        ..Volume::default()
    }
}

/// What a mounted `ServiceAccount` token would be, but short-lived and readable by our user only.
fn token() -> Volume {
    let from_token = VolumeProjection {
        service_account_token: Some(ServiceAccountTokenProjection {
            path: "token".to_owned(),
            expiration_seconds: Some(TOKEN_SECONDS),
            audience: None,
        }),
        ..VolumeProjection::default()
    };
    let from_authority = VolumeProjection {
        config_map: Some(ConfigMapProjection {
            name: "kube-root-ca.crt".to_owned(),
            items: Some(vec![KeyToPath {
                key: "ca.crt".to_owned(),
                path: "ca.crt".to_owned(),
                mode: None,
            }]),
            optional: None,
        }),
        ..VolumeProjection::default()
    };
    let from_pod = VolumeProjection {
        downward_api: Some(DownwardAPIProjection {
            items: Some(vec![DownwardAPIVolumeFile {
                path: "namespace".to_owned(),
                field_ref: Some(ObjectFieldSelector {
                    api_version: Some("v1".to_owned()),
                    field_path: "metadata.namespace".to_owned(),
                }),
                ..DownwardAPIVolumeFile::default()
            }]),
        }),
        ..VolumeProjection::default()
    };
    Volume {
        name: "token".to_owned(),
        projected: Some(ProjectedVolumeSource {
            default_mode: Some(SECRET_MODE),
            sources: Some(vec![from_token, from_authority, from_pod]),
        }),
        ..Volume::default()
    }
}
