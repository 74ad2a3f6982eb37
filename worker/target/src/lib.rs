//! Target protocol: fence, whole transactions, exactly once.
//!
//! Every write to a target goes through an [`Attachment`]: all connections of one source, opened together by a
//! take-over and dying together. Rows and the record that they are applied commit in one target transaction, which
//! begins with a compare-and-swap on a *lane row* carrying epoch, attempt and sequence number: a late writer, a packet
//! sent twice or a lost commit make the target itself refuse the packet (error 1242) before any row statement.
//!
//! Use: [`create_meta`] once per subtask (meta stage CREATING), then [`Attachment::take_over`]; on any error drop the
//! attachment (it is dead as a whole) and take over anew; what is applied is read from the target's own rows
//! ([`Resume::executed`]), never remembered.

mod attachment;
mod batch;
mod broken;
mod ddl;
mod ddl_judge;
mod ddl_link;
mod ddl_run;
mod detector;
mod error;
mod executed;
mod lane;
mod link;
mod literal;
mod load;
mod marks;
mod meta;
mod names;
mod packet;
mod remove;
mod resume;
mod rows;
mod session;
mod shared;
#[cfg(feature = "simulation")]
pub mod simulation;
mod spec;
mod spine;
mod start;
mod tracker;
mod txn;

pub use attachment::Attachment;
pub use batch::{Batch, ChunkMark, PartMark};
#[cfg(feature = "broken")]
pub use broken::Broken;
pub use ddl::{DdlBeside, DdlClass, DdlDecision, DdlObject, DdlRecord, DdlStep};
pub use ddl_judge::without_counter;
pub use error::{TargetError, Verdict};
pub use executed::{ExecutedSet, MariaDbExecuted, PositionExecuted, ResumePoint};
pub use load::{ChunkState, LoadChunk, LoadState};
pub use meta::create_meta;
pub use remove::remove_meta;
pub use resume::{CheckpointRow, CheckpointUpdate, Resume, StartPoint, TargetStats};
pub use session::session_statements;
pub use spec::{LOAD_STREAM, Limits, MAIN_STREAM, TargetAddress, TargetSpec};
pub use txn::{Mode, TxnId};
