//! One token and its place in the text.

use std::borrow::Cow;

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenKind {
    /// Unquoted identifier or keyword.
    Word,
    /// Identifier in back quotes, or in double quotes under ANSI_QUOTES.
    QuotedIdent,
    /// String literal; `backslash` says whether backslashes escape in it.
    Str {
        /// False under NO_BACKSLASH_ESCAPES.
        backslash: bool,
    },
    /// Charset introducer of the string that follows, such as `_utf8mb4`.
    Introducer,
    /// Number, unsigned.
    Number,
    /// `x'..'` or `0x..`.
    Hex,
    /// `b'..'` or `0b..`.
    Bit,
    /// Any other single character.
    Punct(char),
}

/// A token with its byte span in the lexed text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token<'a> {
    /// What it is.
    pub kind: TokenKind,
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
    /// The text between, quotes included.
    pub text: &'a str,
}

impl<'a> Token<'a> {
    /// True for this unquoted word, whatever its case.
    pub fn is_word(&self, word: &str) -> bool {
        self.kind == TokenKind::Word && self.text.eq_ignore_ascii_case(word)
    }

    /// True for this character.
    pub fn is_punct(&self, c: char) -> bool {
        self.kind == TokenKind::Punct(c)
    }

    /// The identifier that this token can stand for, without quotes.
    pub fn identifier(&self) -> Option<Cow<'a, str>> {
        match self.kind {
            TokenKind::Word | TokenKind::Introducer => Some(Cow::Borrowed(self.text)),
            TokenKind::QuotedIdent => {
                let quote = self.text.chars().next()?;
                let inner = self.text.get(1..self.text.len().checked_sub(1)?)?;
                if inner.contains(quote) {
                    let doubled: String = [quote, quote].iter().collect();
                    Some(Cow::Owned(inner.replace(&doubled, &quote.to_string())))
                } else {
                    Some(Cow::Borrowed(inner))
                }
            }
            _ => None,
        }
    }

    /// The value of a string literal, quotes and escapes resolved.
    pub fn string_value(&self) -> Option<Cow<'a, str>> {
        let TokenKind::Str { backslash } = self.kind else { return None };
        // A national literal starts with N.
        let text = self.text.strip_prefix(['n', 'N']).unwrap_or(self.text);
        let quote = text.chars().next()?;
        let inner = text.get(1..text.len().checked_sub(1)?)?;
        let escaped = backslash && inner.contains('\\');
        if !escaped && !inner.contains(quote) {
            return Some(Cow::Borrowed(inner));
        }
        let mut out = String::with_capacity(inner.len());
        let mut chars = inner.chars();
        while let Some(c) = chars.next() {
            if c == quote {
                out.push(quote);
                chars.next();
            } else if c == '\\' && backslash {
                match chars.next() {
                    Some('0') => out.push('\0'),
                    Some('n') => out.push('\n'),
                    Some('r') => out.push('\r'),
                    Some('t') => out.push('\t'),
                    Some('b') => out.push('\u{8}'),
                    Some('Z') => out.push('\u{1a}'),
                    // The servers leave these to LIKE, everywhere.
                    Some(c @ ('%' | '_')) => out.extend(['\\', c]),
                    Some(other) => out.push(other),
                    None => {}
                }
            } else {
                out.push(c);
            }
        }
        Some(Cow::Owned(out))
    }
}
