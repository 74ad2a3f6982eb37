//! The source database: ordinary SQL connections and what they tell.
mod connect;
mod definitions;
mod identity;

pub use connect::{connect, opts};
pub use crate::downstream::connect as connect_target;
pub use definitions::{Definition, Definitions};
pub use identity::SourceIdentity;
