//! The parts of kubelet, Deployment controller and pods, played by writing what they write.

use crate::world::World;
use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{ConfigMap, Pod},
    discovery::v1::EndpointSlice,
};
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use srv_config::{shard_of, shards_for};

/// The pods of a service of this name, as they would be called.
pub(crate) fn pod_names(service: &str, count: usize) -> Vec<String> {
    (0..count).map(|index| format!("{service}-6b7c8d9f5-{index}")).collect()
}

impl World {
    fn labels(&self, service: &str) -> Value {
        json!({
            "app.kubernetes.io/name": "inventory-srv",
            "app.kubernetes.io/instance": service,
            "app.kubernetes.io/component": "inventory",
            "app.kubernetes.io/managed-by": "shopkeeper",
        })
    }

    pub(crate) async fn make_pod(&self, service: &str, name: &str) {
        let pod: Pod = serde_json::from_value(json!({
            "metadata": {"name": name, "labels": self.labels(service)},
            "spec": {"containers": [{"name": "inventory-srv", "image": "x"}], "automountServiceAccountToken": false,
                     "serviceAccountName": service},
        }))
        .unwrap();
        self.api::<Pod>().create(&PostParams::default(), &pod).await.unwrap();
    }

    pub(crate) async fn delete_pod(&self, name: &str) {
        let delete =
            kube::api::DeleteParams { grace_period_seconds: Some(0), ..Default::default() };
        self.api::<Pod>().delete(name, &delete).await.unwrap();
    }

    pub(crate) async fn pod_status(&self, name: &str, status: Value) {
        let patch = Patch::Merge(json!({"status": status}));
        self.api::<Pod>().patch_status(name, &PatchParams::default(), &patch).await.unwrap();
    }

    /// The endpoints of a service: the ready ones of these pods.
    pub(crate) async fn endpoints(&self, service: &str, pods: &[(&str, bool)]) {
        let mut labels = self.labels(service);
        labels["kubernetes.io/service-name"] = json!(service);
        let endpoints: Vec<Value> = pods
            .iter()
            .enumerate()
            .map(|(index, (pod, ready))| {
                json!({
                    "addresses": [format!("10.9.0.{}", index + 1)],
                    "conditions": {"ready": ready},
                    "targetRef": {"kind": "Pod", "name": pod, "namespace": self.namespace},
                })
            })
            .collect();
        let slice = json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
            "metadata": {"name": format!("{service}-slice"), "labels": labels},
            "endpoints": endpoints,
        });
        let parameters = PatchParams::apply("endpointslice-controller").force();
        let name = format!("{service}-slice");
        self.api::<EndpointSlice>().patch(&name, &parameters, &Patch::Apply(slice)).await.unwrap();
    }

    /// What the Deployment controller says when `ready` of `all` pods are ready, and all are of the newest version.
    pub(crate) async fn rolled_out(&self, service: &str, all: i32, ready: i32) {
        let deployment = self.until_there::<Deployment>(service).await;
        let status = json!({"status": {
            "observedGeneration": deployment.metadata.generation,
            "replicas": all, "updatedReplicas": all, "readyReplicas": ready, "availableReplicas": ready,
        }});
        let patch = Patch::Merge(status);
        self.api::<Deployment>()
            .patch_status(service, &PatchParams::default(), &patch)
            .await
            .unwrap();
    }

    pub(crate) async fn revision(&self, service: &str) -> String {
        let config_map = self.until_there::<ConfigMap>(&format!("{service}-config")).await;
        config_map.data.unwrap()["revision"].clone()
    }

    /// A pod's word about a revision, as the services write it.
    pub(crate) async fn acknowledge(
        &self,
        service: &str,
        replicas: u32,
        pod: &str,
        revision: &str,
        outcome: Value,
    ) {
        let shard = format!("{service}-config-acks-{}", shard_of(pod, shards_for(replicas)));
        let word = json!({"revision": revision, "outcome": outcome}).to_string();
        let patch = Patch::Merge(json!({"data": {pod: word}}));
        self.api::<ConfigMap>().patch(&shard, &PatchParams::default(), &patch).await.unwrap();
    }

    /// A service with this many ready pods that have all applied the current revision.
    pub(crate) async fn serving(&self, service: &str, count: usize) -> Vec<String> {
        let pods = pod_names(service, count);
        self.until_there::<k8s_openapi::api::core::v1::ServiceAccount>(service).await;
        for pod in &pods {
            self.make_pod(service, pod).await;
        }
        let ready: Vec<(&str, bool)> = pods.iter().map(|pod| (pod.as_str(), true)).collect();
        self.endpoints(service, &ready).await;
        self.rolled_out(service, count as i32, count as i32).await;
        let revision = self.revision(service).await;
        for pod in &pods {
            self.acknowledge(service, count as u32, pod, &revision, json!("applied")).await;
        }
        pods
    }
}

/// The keys of an acknowledgement ConfigMap.
pub(crate) fn entries(shard: &ConfigMap) -> Vec<String> {
    shard.data.iter().flatten().map(|(pod, _)| pod.clone()).collect()
}
