//! The operator on a real API server (etcd and kube-apiserver of testkit), under an account that holds exactly the
//! rules of `operator::rbac` and nothing else. No kubelet and no controllers run: where a test needs pods, endpoints
//! or a rollout, it plays their part by writing those objects.

#![expect(clippy::unwrap_used, reason = "what a test cannot do without ends the test")]

mod actors;
mod children;
mod config;
mod controllers;
mod crowd;
mod faults;
mod fields;
mod process;
mod refusals;
mod replaced;
mod rights;
mod status;
mod steady;
mod world;
