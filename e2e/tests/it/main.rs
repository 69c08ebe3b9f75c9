//! Tests on a real node: pods, Services, rolling updates, the chart. `cargo xtask e2e` brings the node up, loads the
//! images and runs them one at a time, because most of them measure or disturb what they share.

mod chart;
mod configuration;
mod credentials;
mod demo;
mod examples;
mod footprint;
mod healing;

mod race;
mod refusal;
mod rest;
mod rollout;
