//! The source database: ordinary SQL connections and what they tell.
mod connect;
mod definitions;
mod identity;

pub use crate::downstream::connect as connect_target;
pub use connect::{connect, opts};
pub use definitions::{Definition, Definitions};
pub use identity::SourceIdentity;
