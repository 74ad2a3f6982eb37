//! Which tables are copied, under which name, and which of their events.

mod block_allow;
mod event_filter;
mod events;
mod extract;
mod online;
mod pattern;
mod router;

pub use block_allow::{
    AllowReason, BlockAllowList, BlockAllowRules, IdleEntry, TablePattern, is_system_schema,
};
pub use event_filter::{EventFilter, EventRule, FilterAction, Verdict};
pub use events::{EVENT_NAMES, EventTypes, NEVER};
pub use extract::{ExtractRule, Extracted, NamePart};
pub use online::{OnlineNames, OnlineRole};
pub use pattern::FilterError;
pub use router::{RouteRule, Router};
