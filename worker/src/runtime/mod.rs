//! The process: what it was told, what it observes, how it starts and ends.
mod app;
mod args;
mod authority;
mod board;
mod contact;
mod logging;
mod process;
mod registration;

pub use app::run;
pub use args::Args;
pub use authority::{AuthorityStore, Refused};
pub use board::Board;
pub use contact::Contact;
pub use logging::init as init_logging;
pub use process::Process;
