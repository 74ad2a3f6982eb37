//! HTTP on the client port, beside gRPC.

mod progress;
mod routes;

pub use routes::routes;
