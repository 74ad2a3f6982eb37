//! Lexer for MySQL's and MariaDB's SQL text.

mod cursor;
mod lexer;
mod token;

pub use cursor::Cursor;
pub use lexer::{LexError, open_comments, tokenize};
pub use token::{Token, TokenKind};
