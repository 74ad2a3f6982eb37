//! Row values to SQL text and conflict tokens.

mod error;
mod literal;
mod load;
mod plan;
mod predicate;
#[cfg(test)]
mod tests;
mod tokens;
mod writer;

pub use error::WriteError;
pub use load::LoadWriter;
pub use tokens::{TableTokenReason, TokenMode};
pub use writer::{Expect, RowChange, RowImage, RowWriter, RowWriterOptions};
