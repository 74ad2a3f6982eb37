//! Replicated master of the migration cluster: one replica of the cluster's state, and, while it leads, the one that
//! acts on it. `api` answers tools and workers, `leader` holds sessions with workers, `http` serves browsers and
//! Prometheus on the same port.

pub mod api;
pub mod http;
pub mod leader;
pub mod logging;
pub mod machine;
pub mod metrics;
pub mod node;
pub mod options;
pub mod problem;
pub mod server;
pub mod settings;
pub mod signals;
#[cfg(feature = "test-switches")]
pub mod test_switches;
