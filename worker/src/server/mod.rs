//! gRPC and HTTP on one port.
mod http;
mod serve;
mod session;

pub use serve::{said_goodbye, serve};
