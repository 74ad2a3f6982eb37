//! The replicated state of the cluster, and the scheduler: values in, values out.
//!
//! Nothing here reads a clock, a socket, a task or a file. Times and ids come inside the commands, so that every
//! replica that applies the same log holds the same state, byte for byte.

mod apply;
mod image;
mod liveness;
mod operators;
mod outcome;
mod plan;
mod requests;
mod state;

pub use apply::{Incompatible, apply};
pub use image::{FORMAT, RestoreError, decode, encode, restore};
pub use liveness::{Condition, Liveness, WorkerLiveness};
pub use operators::{MAX_OPERATORS, MAX_STATEMENTS, Operators};
pub use outcome::{code, command, done, refused};
pub use plan::plan;
pub use requests::Requests;
pub use state::{Binding, CLUSTER_VERSION, Source, State, Subtask, Task, Worker};
