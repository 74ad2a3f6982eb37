//! Log, vote and metadata on sled, and the sentinel that does not trust it.

mod flusher;
mod keys;
mod log;
#[cfg(feature = "simulation")]
mod memory;
mod open;
mod sentinel;
mod watchdog;

pub use log::LogStore;
#[cfg(not(feature = "simulation"))]
pub use log::LogStore as Log;
#[cfg(feature = "simulation")]
pub use memory::{Log, MemoryLog};
pub use open::create;
pub use sentinel::Sentinel;
pub use watchdog::{Watch, Watchdog};
