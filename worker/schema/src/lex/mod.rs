//! Lexer for MySQL's and MariaDB's SQL text.

mod cursor;
mod lexer;
mod token;

pub use cursor::Cursor;
pub use lexer::{LexError, tokenize};
pub use token::{Token, TokenKind};
