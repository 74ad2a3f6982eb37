//! Expressions of row filters, evaluated as the source would: a subset of SQL that is exact, or says that it is not.
//!
//! An [`Expression`] is parsed once, [bound](Expression::bind) to the definition of a table, and then asked for each row
//! image. What we can't decide exactly (a `_ci` collation's order of 'é' and 'f') is an error, never a guess.

mod arithmetic;
mod bind;
mod bind_alike;
mod bind_call;
mod bind_number;
mod call;
mod error;
mod function;
mod like;
mod node;
mod number;
mod operand;
mod scalar;
mod syntax;
mod syntax_call;
mod temporal;
#[cfg(test)]
mod tests;
mod text;
mod tree;

pub use bind::BoundExpression;
pub use error::{ExpressionError, Undecided};

use crate::model::TableModel;

/// What an expression may consist of, for messages.
pub const SUPPORTED_EXPRESSIONS: &str = "columns, numbers, strings, NULL, TRUE, FALSE, = <> != < <= > >= <=>, AND, OR, XOR, NOT, IS [NOT] \
     NULL/TRUE/FALSE, [NOT] IN (literals), [NOT] BETWEEN literal AND literal, [NOT] LIKE 'pattern' [ESCAPE 'c'], parentheses, + - * DIV % MOD, and the functions ABS, CEIL, CHAR_LENGTH, COALESCE, CONCAT, DATE, DAY, FLOOR, \
     GREATEST, HOUR, IF, IFNULL, ISNULL, LEAST, LEFT, LENGTH, LOWER, LTRIM, MINUTE, MOD, MONTH, NULLIF, RIGHT, ROUND, RTRIM, SECOND, \
     SUBSTRING, TRIM, UPPER, YEAR";

/// A parsed expression; its columns are names.
#[derive(Debug, Clone, PartialEq)]
pub struct Expression {
    text: String,
    tree: tree::Tree,
}

impl Expression {
    /// Reads the text of an expression.
    ///
    /// # Errors
    /// The first thing in the text that is not supported, with its place.
    pub fn parse(text: &str) -> Result<Self, ExpressionError> {
        Ok(Self { text: text.to_owned(), tree: syntax::parse(text)? })
    }

    /// The expression about rows of this table.
    ///
    /// # Errors
    /// A column that the table does not have, or operands whose comparison we can't do as the source does.
    pub fn bind(&self, table: &TableModel) -> Result<BoundExpression, ExpressionError> {
        BoundExpression::new(&self.text, &self.tree, table)
    }
}
