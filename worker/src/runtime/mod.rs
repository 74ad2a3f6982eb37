//! The process: what it was told, what it observes, how it starts and ends.
mod app;
mod args;
mod authority;
mod board;
mod contact;
mod driver_memory;
mod logging;
mod process;
mod registration;
mod signals;

pub use app::{LAST_RESORT, run, run_on};
pub use args::Args;
pub use authority::{AuthorityStore, Refused};
pub use board::Board;
pub use contact::Contact;
pub use driver_memory::bound_driver_memory;
pub use logging::init as init_logging;
pub use process::Process;
pub use signals::watch as watch_signals;
