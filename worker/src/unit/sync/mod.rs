//! The sync unit: follows the source's binlog and applies it at the target, exactly once.
//!
//! Flow: [`reader`] (socket, byte-bounded queue) -> [`assembler`] (whole transactions) -> [`tables`] (which table, by
//! which definition) -> [`changes`] (row images to statements and tokens) -> [`batcher`] (batches) -> the attachment.
mod assembler;
mod assembler_xa;
mod batcher;
mod begin;
mod changes;
mod ddl;
mod ddl_after;
mod ddl_beside;
mod ddl_extract;
mod ddl_filter;
mod ddl_path;
mod ddl_session;
mod ddl_unknown;
mod ddl_visible;
mod dm_checkpoint;
mod dm_row;
mod edit;
mod excluded;
mod far;
mod feeders;
mod lenient;
mod merge;
#[cfg(test)]
mod merge_tests;
#[cfg(test)]
mod merge_text_keys;
#[cfg(test)]
mod merge_text_tests;
mod online;
mod online_swap;
mod operated;
mod operators;
mod payload;
mod pipeline;
mod proof;
mod reader;
mod row_filter;
mod row_path;
mod running;
mod safe_mode;
mod schema_keeper;
mod source_gtids;
mod spool;
mod spool_room;
mod start;
mod start_time;
mod stats;
mod stored_tables;
mod tables;
mod tables_model;
mod text;
mod token_modes;
mod transaction;
mod undecided;
mod unit;
mod verify;
mod witness;
mod xid;

pub use dm_checkpoint::DmTables;
pub use edit::edit_definition;
pub use proof::SourceProof;
pub use safe_mode::Window;
pub use spool_room::{MEMORY_BYTES, SpoolRoom};
pub use stats::{Place, SyncStats};
pub use stored_tables::StoredTables;
pub use tables::{is_transactional, unwritable, usable};
pub use unit::SyncUnit;
