//! Waits until the API knows the custom resources, so that an operator installed before its CRDs waits instead of
//! crashing.

use crds::ManagedService;
use kube::Client;
use std::time::Duration;

/// How long between two questions.
const ASK_EVERY: Duration = Duration::from_secs(1);

/// Completes when the API serves the kind `S`; says through `missing` what is missing until then.
pub(crate) async fn await_definition<S: ManagedService>(client: &Client, missing: impl Fn(String)) {
    let version = S::api_version(&());
    let plural = S::plural(&());
    loop {
        match client.list_api_group_resources(&version).await {
            Ok(list) if list.resources.iter().any(|resource| resource.name == plural) => return,
            // A group that no CRD has made yet is answered with a bare 404, not with a `Status` that says NotFound.
            Err(kube::Error::Api(status)) if status.code != 404 => {
                missing(format!(
                    "the API does not say whether it serves {version} {plural}: {status}"
                ));
            }
            Ok(_) | Err(kube::Error::Api(_)) => missing(format!(
                "the CRD {plural}.{} is not installed: kubectl apply -f crds/, or install the chart with crds.enabled",
                S::group(&())
            )),
            Err(error) => missing(format!("the API server cannot be reached: {error}")),
        }
        tokio::time::sleep(ASK_EVERY).await;
    }
}
