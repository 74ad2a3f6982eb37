//! What only a leader does: sessions with workers, placement of sources, meta stages.

mod answered;
mod assignment;
mod damper;
mod desired;
mod dial;
mod duties;
mod latch;
mod reconcile;
mod roster;
mod seen;
mod sent;
mod session;
mod sessions;
mod tenure;

pub use answered::Answered;
pub use assignment::assignment;
pub use damper::Damper;
pub use desired::meta_wishes;
pub use dial::{DialError, dial};
pub use duties::run;
pub use latch::{Latch, LatchGuard};
pub use roster::Roster;
pub use seen::{Link, Pace, Seen};
pub use tenure::Tenure;
