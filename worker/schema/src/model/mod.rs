//! What row events need to know of a table.

mod alter;
mod alter_columns;
mod alter_keys;
mod column;
mod column_parser;
mod create;
mod error;
mod key;
mod key_parser;
mod logged;
mod table;
#[cfg(test)]
mod tests;
mod types;
mod types_parser;
mod verify;

pub use column::{Column, Generated};
pub use error::ModelError;
pub use key::{ForeignKey, Key, KeyPart};
pub use logged::create_from_events;
pub use table::{TableDefaults, TableModel};
pub use types::{ColumnType, TypeKind};
