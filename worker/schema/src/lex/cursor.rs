//! A place in a list of tokens, with the small questions parsers ask.

use std::borrow::Cow;

use super::token::{Token, TokenKind};

/// Reads tokens one by one.
#[derive(Debug, Clone)]
pub struct Cursor<'t, 'a> {
    tokens: &'t [Token<'a>],
    at: usize,
}

impl<'t, 'a> Cursor<'t, 'a> {
    /// At the first token.
    pub fn new(tokens: &'t [Token<'a>]) -> Self {
        Cursor { tokens, at: 0 }
    }

    /// The next token.
    pub fn peek(&self) -> Option<&'t Token<'a>> {
        self.tokens.get(self.at)
    }

    /// The token after `ahead` others.
    pub fn peek_at(&self, ahead: usize) -> Option<&'t Token<'a>> {
        self.tokens.get(self.at + ahead)
    }

    /// Takes the next token.
    pub fn take(&mut self) -> Option<&'t Token<'a>> {
        let token = self.tokens.get(self.at)?;
        self.at += 1;
        Some(token)
    }

    /// Index of the next token.
    pub fn index(&self) -> usize {
        self.at
    }

    /// Goes to a token by index.
    pub fn go_to(&mut self, index: usize) {
        self.at = index.min(self.tokens.len());
    }

    /// No token left.
    pub fn at_end(&self) -> bool {
        self.at >= self.tokens.len()
    }

    /// The next token is this word.
    pub fn is_word(&self, word: &str) -> bool {
        self.peek().is_some_and(|t| t.is_word(word))
    }

    /// The next tokens are these words.
    pub fn is_words(&self, words: &[&str]) -> bool {
        words.iter().enumerate().all(|(i, w)| self.peek_at(i).is_some_and(|t| t.is_word(w)))
    }

    /// The next token is one of these words.
    pub fn is_any_word(&self, words: &[&str]) -> bool {
        words.iter().any(|w| self.is_word(w))
    }

    /// The next token is this character.
    pub fn is_punct(&self, c: char) -> bool {
        self.peek().is_some_and(|t| t.is_punct(c))
    }

    /// Takes this word if it is next.
    pub fn eat_word(&mut self, word: &str) -> bool {
        let hit = self.is_word(word);
        self.at += usize::from(hit);
        hit
    }

    /// Takes one of these words if it is next.
    pub fn eat_any_word(&mut self, words: &[&str]) -> bool {
        let hit = self.is_any_word(words);
        self.at += usize::from(hit);
        hit
    }

    /// Takes all these words if they are next.
    pub fn eat_words(&mut self, words: &[&str]) -> bool {
        let hit = self.is_words(words);
        if hit {
            self.at += words.len();
        }
        hit
    }

    /// Takes this character if it is next.
    pub fn eat_punct(&mut self, c: char) -> bool {
        let hit = self.is_punct(c);
        self.at += usize::from(hit);
        hit
    }

    /// Takes an identifier if one is next.
    pub fn eat_identifier(&mut self) -> Option<Cow<'a, str>> {
        let name = self.peek()?.identifier()?;
        self.at += 1;
        Some(name)
    }

    /// Takes a whole number if one is next.
    pub fn eat_number(&mut self) -> Option<u64> {
        let token = self.peek().filter(|t| t.kind == TokenKind::Number)?;
        let value = token.text.parse().ok()?;
        self.at += 1;
        Some(value)
    }

    /// Takes a parenthesised run if "(" is next; false when it has no end.
    pub fn skip_parens(&mut self) -> bool {
        if !self.is_punct('(') {
            return true;
        }
        let mut depth = 0usize;
        while let Some(token) = self.take() {
            match token.kind {
                TokenKind::Punct('(') => depth += 1,
                TokenKind::Punct(')') => {
                    depth -= 1;
                    if depth == 0 {
                        return true;
                    }
                }
                _ => {}
            }
        }
        false
    }

    /// Skips to the next "," or unmatched ")" of this level, or to the end.
    pub fn skip_item(&mut self) {
        while let Some(token) = self.peek() {
            match token.kind {
                TokenKind::Punct(',') | TokenKind::Punct(')') => return,
                TokenKind::Punct('(') => {
                    if !self.skip_parens() {
                        return;
                    }
                }
                _ => self.at += 1,
            }
        }
    }

    /// Skips one option of ALTER TABLE that is not modelled: at least one token, then to the next "," of this level or
    /// to a word that starts an option which is modelled.
    pub fn skip_item_options(&mut self) {
        self.take();
        while let Some(token) = self.peek() {
            let stop = token.is_punct(',')
                || token.is_punct(')')
                || ["CHARACTER", "CHARSET", "COLLATE", "ENGINE", "CONVERT"].iter().any(|w| token.is_word(w));
            if stop {
                return;
            }
            if token.is_punct('(') {
                if !self.skip_parens() {
                    return;
                }
            } else {
                self.at += 1;
            }
        }
    }

    /// Byte offset of the next token, or of the end of the last.
    pub fn offset(&self) -> usize {
        self.peek().map(|t| t.start).or_else(|| self.tokens.last().map(|t| t.end)).unwrap_or(0)
    }
}
