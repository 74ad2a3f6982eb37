//! Which tables are copied, and under which name.

mod block_allow;
mod pattern;
mod router;

pub use block_allow::{BlockAllowList, BlockAllowRules, TablePattern, is_system_schema};
pub use pattern::FilterError;
pub use router::{RouteRule, Router};
