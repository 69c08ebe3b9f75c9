//! What the chart renders, by the `helm` that users run. That its pods run on a node is
//! tested in `e2e`.

#![expect(clippy::unwrap_used, reason = "what a test cannot do without ends the test")]

mod api_server;
mod objects;
mod pod;
mod render;
mod rights;
mod values;
