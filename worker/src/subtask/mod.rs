//! Subtasks: one task's work on one source.
mod actor;
mod attempt;
mod context;
mod desired;
mod gate;
mod order;
mod status;
mod target_spec;

pub use actor::SubtaskActor;
pub use attempt::Attempt;
pub use context::SubtaskContext;
pub use desired::Desired;
pub use order::Order;
pub use status::SubtaskStatus;
pub use target_spec::{foreign_key_checks, target_address, target_spec};
