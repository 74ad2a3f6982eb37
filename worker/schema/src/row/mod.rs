//! Row values to SQL text and conflict tokens.

mod absent;
mod capacity;
mod equality;
mod error;
mod extracted;
mod fit;
mod literal;
mod load;
mod pieces;
mod plan;
mod predicate;
mod safe;
mod statement;
#[cfg(test)]
mod tests;
mod tokens;
mod writer;

pub use error::{Misfit, WriteError};
pub use extracted::extract_misfits;
pub use fit::Fit;
pub use load::LoadWriter;
pub use pieces::{Pieces, RowKind, RowPieces};
pub use plan::misfits;
#[cfg(feature = "broken")]
pub use tokens::BrokenTokens;
pub use tokens::{TableTokenReason, TokenMode};
pub use writer::{Expect, RowChange, RowImage, RowWriter, RowWriterOptions};
