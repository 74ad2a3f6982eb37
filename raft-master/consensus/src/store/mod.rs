//! Log, vote and metadata on sled, and the sentinel that does not trust it.

mod flusher;
mod keys;
mod log;
mod open;
mod sentinel;
mod watchdog;

pub use log::LogStore;
pub use open::create;
pub use sentinel::Sentinel;
pub use watchdog::{Watch, Watchdog};
