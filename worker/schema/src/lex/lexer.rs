//! From text to tokens.

use std::borrow::Cow;

use super::token::{Token, TokenKind};
use crate::sql_mode::SqlMode;

/// Text that cannot be cut into tokens.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("at byte {offset}: {what}")]
pub struct LexError {
    /// Byte offset in the statement.
    pub offset: usize,
    /// What is wrong there.
    pub what: &'static str,
}

/// Executable comments above this version are for servers that do not exist (mariadb-dump uses 999999 for its
/// sandbox line); servers treat them as plain comments, and so do we.
const MAX_COMMENT_VERSION: u32 = 400_000;

/// Cuts a statement into tokens.
///
/// Plain comments vanish; `/*! .. */`, `/*!NNNNN .. */` and `/*M! .. */` are opened: their content is lexed as if the
/// marks were blanks.
pub fn tokenize(sql: &str, mode: SqlMode) -> Result<Vec<Token<'_>>, LexError> {
    let mut lexer = Lexer::new(sql, mode);
    lexer.run()?;
    Ok(lexer.tokens)
}

/// The statement as its server executed it, for any other server: where an executable comment was executed its marks
/// become blanks, and what was a comment stays one everywhere. `mariadb`: which server wrote it to its binlog; both write
/// those that they did not execute for their version as plain comments.
pub fn open_comments(sql: &str, mode: SqlMode, mariadb: bool) -> Result<Cow<'_, str>, LexError> {
    if !sql.contains("/*") {
        return Ok(Cow::Borrowed(sql));
    }
    let mut lexer = Lexer::new(sql, mode);
    lexer.plain_m = !mariadb;
    lexer.run()?;
    let mut out = String::with_capacity(sql.len());
    let mut at = 0;
    for (start, end) in lexer.marks {
        out.push_str(&sql[at..start]);
        out.extend(std::iter::repeat_n(' ', end - start));
        at = end;
    }
    out.push_str(&sql[at..]);
    Ok(Cow::Owned(out))
}

struct Lexer<'a> {
    sql: &'a str,
    bytes: &'a [u8],
    at: usize,
    mode: SqlMode,
    tokens: Vec<Token<'a>>,
    /// Start of the executable comment we are in.
    open_comment: Option<usize>,
    /// `/*M! .. */` is a plain comment.
    plain_m: bool,
    /// What makes comments executable: marks of those that are opened, with their ends, and the letters after `/*` of
    /// those that are not.
    marks: Vec<(usize, usize)>,
}

impl<'a> Lexer<'a> {
    fn new(sql: &'a str, mode: SqlMode) -> Self {
        Lexer {
            sql,
            bytes: sql.as_bytes(),
            at: 0,
            mode,
            tokens: Vec::new(),
            open_comment: None,
            plain_m: false,
            marks: Vec::new(),
        }
    }

    fn run(&mut self) -> Result<(), LexError> {
        while self.at < self.bytes.len() {
            if !self.skip_blank_or_comment()? {
                self.token()?;
            }
        }
        match self.open_comment {
            Some(offset) => Err(LexError { offset, what: "executable comment without end" }),
            None => Ok(()),
        }
    }

    fn peek(&self, ahead: usize) -> u8 {
        self.bytes.get(self.at + ahead).copied().unwrap_or(0)
    }

    /// Skips one blank or comment; false when a token starts here.
    fn skip_blank_or_comment(&mut self) -> Result<bool, LexError> {
        match self.peek(0) {
            b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c => self.at += 1,
            b'#' => self.skip_line(),
            // "--" starts a comment only before a blank, a control character or the end.
            b'-' if self.peek(1) == b'-' && self.peek(2) <= b' ' => self.skip_line(),
            b'/' if self.peek(1) == b'*' => return self.comment().map(|()| true),
            b'*' if self.peek(1) == b'/' && self.open_comment.is_some() => {
                self.open_comment = None;
                self.marks.push((self.at, self.at + 2));
                self.at += 2;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn skip_line(&mut self) {
        while self.at < self.bytes.len() && self.bytes[self.at] != b'\n' {
            self.at += 1;
        }
    }

    fn comment(&mut self) -> Result<(), LexError> {
        let start = self.at;
        let mark = match (self.peek(2), self.peek(3)) {
            (b'!', _) => Some(3),
            (b'M', b'!') => Some(4),
            _ => None,
        };
        if let Some(mark) = mark {
            let digits = (0..6).take_while(|i| self.peek(mark + i).is_ascii_digit()).count();
            let version: u32 =
                self.sql.get(start + mark..start + mark + digits).and_then(|v| v.parse().ok()).unwrap_or(0);
            // Versions have five or six digits; fewer digits belong to the content.
            let digits = if digits >= 5 { digits } else { 0 };
            let plain = mark == 4 && self.plain_m;
            if (digits == 0 || version <= MAX_COMMENT_VERSION) && self.open_comment.is_none() && !plain {
                self.open_comment = Some(start);
                self.at = start + mark + digits;
                self.marks.push((start, self.at));
                return Ok(());
            }
            self.marks.push((start + 2, start + mark));
        }
        self.at += 2;
        while self.at < self.bytes.len() {
            if self.peek(0) == b'*' && self.peek(1) == b'/' {
                self.at += 2;
                return Ok(());
            }
            self.at += 1;
        }
        Err(LexError { offset: start, what: "comment without end" })
    }

    fn push(&mut self, kind: TokenKind, start: usize) {
        self.tokens.push(Token { kind, start, end: self.at, text: &self.sql[start..self.at] });
    }

    /// True directly after "." that follows an identifier: what comes is a name, even when it starts with a digit.
    fn after_qualifier(&self) -> bool {
        let mut last = self.tokens.iter().rev();
        matches!(
            (last.next(), last.next()),
            (Some(dot), Some(name)) if dot.is_punct('.') && dot.end == self.at
                && matches!(name.kind, TokenKind::Word | TokenKind::QuotedIdent)
        )
    }

    fn token(&mut self) -> Result<(), LexError> {
        let start = self.at;
        let c = self.peek(0);
        match c {
            b'`' => {
                self.quoted(b'`', false)?;
                self.push(TokenKind::QuotedIdent, start);
            }
            b'"' if self.mode.ansi_quotes() => {
                self.quoted(b'"', false)?;
                self.push(TokenKind::QuotedIdent, start);
            }
            b'\'' | b'"' => self.string(start, TokenKind::Str { backslash: self.backslash() })?,
            b'x' | b'X' if self.peek(1) == b'\'' => {
                self.at += 1;
                self.digits_in_quotes(start, TokenKind::Hex)?;
            }
            b'b' | b'B' if self.peek(1) == b'\'' => {
                self.at += 1;
                self.digits_in_quotes(start, TokenKind::Bit)?;
            }
            b'n' | b'N' if self.peek(1) == b'\'' => {
                self.at += 1;
                self.string(start, TokenKind::Str { backslash: self.backslash() })?;
            }
            b'0'..=b'9' if !self.after_qualifier() => self.number_or_word(start),
            b'.' if self.peek(1).is_ascii_digit() && !self.after_name() => {
                self.at += 1;
                self.digits();
                self.exponent();
                self.push(TokenKind::Number, start);
            }
            _ if is_word_byte(c) => {
                self.word();
                let kind =
                    if c == b'_' && self.introduces() { TokenKind::Introducer } else { TokenKind::Word };
                self.push(kind, start);
            }
            _ => {
                self.at += 1;
                self.push(TokenKind::Punct(char::from(c)), start);
            }
        }
        Ok(())
    }

    fn backslash(&self) -> bool {
        !self.mode.no_backslash_escapes()
    }

    /// True when a name ended right before this byte.
    fn after_name(&self) -> bool {
        self.tokens.last().is_some_and(|t| {
            t.end == self.at
                && matches!(t.kind, TokenKind::Word | TokenKind::QuotedIdent | TokenKind::Introducer)
        })
    }

    /// True when only blanks separate the word just read from a string.
    fn introduces(&self) -> bool {
        let rest = self.sql[self.at..].trim_start();
        rest.starts_with('\'')
            || (rest.starts_with('"') && !self.mode.ansi_quotes())
            || rest.starts_with("x'")
            || rest.starts_with("X'")
            || rest.starts_with("0x")
            || rest.starts_with("b'")
    }

    fn string(&mut self, start: usize, kind: TokenKind) -> Result<(), LexError> {
        let quote = self.peek(0);
        self.quoted(quote, self.backslash())?;
        self.push(kind, start);
        Ok(())
    }

    /// `x'..'` and `b'..'`: the servers refuse anything but digits there.
    fn digits_in_quotes(&mut self, start: usize, kind: TokenKind) -> Result<(), LexError> {
        self.at += 1;
        while self.peek(0).is_ascii_hexdigit() {
            self.at += 1;
        }
        if self.peek(0) != b'\'' {
            return Err(LexError { offset: start, what: "a literal in digits that has others" });
        }
        self.at += 1;
        self.push(kind, start);
        Ok(())
    }

    /// Passes a quoted run; a doubled quote stays inside it.
    fn quoted(&mut self, quote: u8, backslash: bool) -> Result<(), LexError> {
        let start = self.at;
        self.at += 1;
        while self.at < self.bytes.len() {
            let c = self.peek(0);
            if c == b'\\' && backslash {
                self.at += 2;
            } else if c == quote {
                if self.peek(1) == quote {
                    self.at += 2;
                } else {
                    self.at += 1;
                    return Ok(());
                }
            } else {
                self.at += 1;
            }
        }
        Err(LexError { offset: start, what: "quoted text without end" })
    }

    fn word(&mut self) {
        while is_word_byte(self.peek(0)) && self.at < self.bytes.len() {
            self.at += 1;
        }
    }

    fn digits(&mut self) {
        while self.peek(0).is_ascii_digit() {
            self.at += 1;
        }
    }

    fn exponent(&mut self) {
        if matches!(self.peek(0), b'e' | b'E') {
            let sign = usize::from(matches!(self.peek(1), b'+' | b'-'));
            if self.peek(1 + sign).is_ascii_digit() {
                self.at += 1 + sign;
                self.digits();
            }
        }
    }

    /// A number, or an identifier that starts with digits (`1abc`).
    fn number_or_word(&mut self, start: usize) {
        if self.peek(0) == b'0' && matches!(self.peek(1), b'x' | b'b') {
            let kind = if self.peek(1) == b'x' { TokenKind::Hex } else { TokenKind::Bit };
            self.word();
            let digits = self.sql[start..self.at].get(2..).unwrap_or("");
            let valid = match kind {
                TokenKind::Hex => digits.bytes().all(|b| b.is_ascii_hexdigit()),
                _ => digits.bytes().all(|b| b == b'0' || b == b'1'),
            };
            let kind = if valid && !digits.is_empty() { kind } else { TokenKind::Word };
            return self.push(kind, start);
        }
        self.digits();
        let integer_end = self.at;
        if self.peek(0) == b'.' {
            self.at += 1;
            self.digits();
        }
        self.exponent();
        if self.at == integer_end && is_word_byte(self.peek(0)) {
            self.word();
            self.push(TokenKind::Word, start);
        } else {
            self.push(TokenKind::Number, start);
        }
    }
}

/// Bytes of an unquoted identifier: ASCII letters, digits, `$`, `_`, and everything of a multi-byte character.
fn is_word_byte(c: u8) -> bool {
    c.is_ascii_alphanumeric() || c == b'_' || c == b'$' || c >= 0x80
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn texts(sql: &str, bits: u64) -> Vec<&str> {
        tokenize(sql, SqlMode::from_bits(bits)).unwrap().into_iter().map(|t| t.text).collect()
    }

    #[test]
    fn executable_comments_are_as_their_server_took_them() {
        let mode = SqlMode::default();
        let opened = |sql: &str, mariadb: bool| open_comments(sql, mode, mariadb).unwrap().into_owned();
        assert_eq!(opened("a/*!80023 b */c", false), "a         b   c");
        assert_eq!(opened("a /*! b */ '/*! x */' /* c */", true), "a     b    '/*! x */' /* c */");
        assert_eq!(opened("a /*M!100301 b */", true), "a            b   ");
        assert_eq!(opened("a /*M!100301 b */", false), "a /*  100301 b */");
        assert_eq!(opened("a /*!999999 b */ # /*! c\n/*!d*/", false), "a /* 999999 b */ # /*! c\n   d  ");
        assert_eq!(opened("/*!50100 a /* b */ c */", true), "         a /* b */ c   ");
        assert!(open_comments("a /*! b", mode, true).is_err());
    }

    #[test]
    fn comments_and_quotes() {
        assert_eq!(
            texts("a /* x */ -- y\n `b``c` # z\n /*!40101 d */ /*M!100100 e*/ /*T![x] f */ 'g\\'h' --1", 0),
            ["a", "`b``c`", "d", "e", "'g\\'h'", "-", "-", "1"]
        );
        assert_eq!(texts("'a\\' b", SqlMode::NO_BACKSLASH_ESCAPES), ["'a\\'", "b"]);
        assert_eq!(texts("/*!999999\\- sandbox */ a", 0), ["a"]);
        let tokens = tokenize("\"a\"", SqlMode::from_bits(SqlMode::ANSI_QUOTES)).unwrap();
        assert_eq!(tokens[0].identifier().unwrap(), "a");
        assert!(tokenize("\"a\"", SqlMode::default()).unwrap()[0].identifier().is_none());
    }

    #[test]
    fn numbers_and_names() {
        assert_eq!(texts("db.1t 1abc 1e5 1.5 .5 0x1F 0xzz 1e5x", 0)[..3], ["db", ".", "1t"]);
        let kinds: Vec<_> =
            tokenize("1abc 1e5 1.5 .5 0x1F 0xzz x'00' b'1' _utf8mb4 'a' t.5", SqlMode::default())
                .unwrap()
                .into_iter()
                .map(|t| t.kind)
                .collect();
        use TokenKind::*;
        assert_eq!(
            kinds,
            [
                Word,
                Number,
                Number,
                Number,
                Hex,
                Word,
                Hex,
                Bit,
                Introducer,
                Str { backslash: true },
                Word,
                Punct('.'),
                Word
            ]
        );
    }

    #[test]
    fn string_values() {
        let value =
            |s: &str| tokenize(s, SqlMode::default()).unwrap()[0].string_value().unwrap().into_owned();
        assert_eq!(value("'a''b\\n\\'\\%'"), "a'b\n'\\%");
        assert_eq!(value("N'x'"), "x");
        assert_eq!(value("\"a\"\"b\""), "a\"b");
    }

    #[test]
    fn unterminated() {
        for sql in ["'a", "`a", "/* a", "/*! a", "'a\\"] {
            assert!(tokenize(sql, SqlMode::default()).is_err(), "{sql}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200), bits in any::<u64>()) {
            let text = String::from_utf8_lossy(&bytes);
            if let Ok(tokens) = tokenize(&text, SqlMode::from_bits(bits)) {
                for t in tokens {
                    prop_assert_eq!(&text[t.start..t.end], t.text);
                    let _ = (t.identifier(), t.string_value());
                }
            }
        }

        #[test]
        fn never_panics_on_sql_like(text in "[a-z0-9 `'\"/*!\\\\#.,()_xbné\n-]{0,80}", bits in 0u64..8) {
            let mode = SqlMode::from_bits(bits | (bits & 1) << 20);
            if let Ok(tokens) = tokenize(&text, mode) {
                for t in tokens {
                    let _ = (t.identifier(), t.string_value());
                }
            }
        }
    }
}
