//! DDL handling, table models, filters, routes and the way from values to SQL text.
//!
//! Everything here is pure: text and values in, text and values out; no socket, clock, task or file.
//!
//! * [`ddl::parse`] classifies one statement of the binlog, finds every table name in it and can splice other
//!   names in, without ever printing a syntax tree.
//! * [`TableModel`] is what row events need to know of a table; it is read from `SHOW CREATE TABLE` or from DDL
//!   and checked against every TABLE_MAP.
//! * [`BlockAllowList`] and [`Router`] decide which tables are copied and under which name.
//! * [`RowWriter`] turns row images into INSERT, UPDATE and DELETE text and into conflict tokens;
//!   [`LoadWriter`] does the same for rows read with SELECT.

// For the corpus, which the tests of both sides read.
#[cfg(test)]
extern crate self as dm_schema;

pub mod charset;
pub mod collation;
pub mod ddl;
mod dialect;
mod expression;
mod filter;
pub mod lex;
mod model;
mod name;
mod quote;
mod row;
mod sql_mode;

pub use dialect::Dialect;
pub use expression::{BoundExpression, Expression, ExpressionError, SUPPORTED_EXPRESSIONS, Undecided};
pub use filter::{
    AllowReason, BlockAllowList, BlockAllowRules, EVENT_NAMES, EventFilter, EventRule, EventTypes,
    ExtractRule, Extracted, FilterAction, FilterError, IdleEntry, NEVER as NEVER_EVENTS, NamePart,
    OnlineNames, OnlineRole, RouteRule, Router, TablePattern, Verdict, is_system_schema,
};
pub use model::{
    Column, ColumnType, ForeignKey, Generated, Key, KeyPart, ModelError, TableDefaults, TableModel, TypeKind,
    create_from_events,
};
pub use name::TableName;
pub use quote::{quote_identifier, quote_string};
#[cfg(feature = "broken")]
pub use row::BrokenTokens;
pub use row::{
    Expect, Fit, LoadWriter, Misfit, Pieces, RowChange, RowImage, RowKind, RowPieces, RowWriter,
    RowWriterOptions, TableTokenReason, TokenMode, WriteError, extract_misfits, misfits,
};
pub use sql_mode::SqlMode;
