//! The little SQL that the target protocol speaks, as tokens and as conditions.
use std::collections::BTreeMap;

use super::Failed;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Token {
    /// A name or keyword; keywords are compared without case.
    Word(String),
    Text(Vec<u8>),
    Number(i128),
    Sign(u8),
}

/// A value of a column.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub enum Value {
    Number(i128),
    Text(Vec<u8>),
    Null,
}

pub type Row = BTreeMap<String, Value>;

/// Splits a packet's text into statements of tokens.
pub fn statements(text: &[u8]) -> Result<Vec<Vec<Token>>, Failed> {
    let mut all = vec![Vec::new()];
    let mut at = 0;
    while at < text.len() {
        let byte = text[at];
        at += 1;
        let token = match byte {
            b' ' | b'\n' | b'\t' | b'\r' => continue,
            b';' => {
                all.push(Vec::new());
                continue;
            }
            b'\'' => {
                let mut out = Vec::new();
                loop {
                    let byte = *text.get(at).ok_or_else(|| Failed::syntax("an open string"))?;
                    at += 1;
                    match byte {
                        b'\'' => break,
                        b'\\' => {
                            let escaped = *text.get(at).ok_or_else(|| Failed::syntax("an open escape"))?;
                            at += 1;
                            out.push(match escaped {
                                b'0' => 0,
                                b'n' => b'\n',
                                b'r' => b'\r',
                                b'Z' => 0x1a,
                                other => other,
                            });
                        }
                        other => out.push(other),
                    }
                }
                Token::Text(out)
            }
            b'`' => {
                let end = text[at..]
                    .iter()
                    .position(|b| *b == b'`')
                    .ok_or_else(|| Failed::syntax("an open name"))?;
                let name = String::from_utf8_lossy(&text[at..at + end]).into_owned();
                at += end + 1;
                Token::Word(name)
            }
            b'0'..=b'9' => {
                let begin = at - 1;
                while text.get(at).is_some_and(u8::is_ascii_digit) {
                    at += 1;
                }
                let digits = String::from_utf8_lossy(&text[begin..at]).into_owned();
                Token::Number(digits.parse().map_err(|_| Failed::syntax("a number"))?)
            }
            b'a'..=b'z' | b'A'..=b'Z' | b'_' | b'@' => {
                let begin = at - 1;
                while text.get(at).is_some_and(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'@')) {
                    at += 1;
                }
                let word = String::from_utf8_lossy(&text[begin..at]).into_owned();
                // A character set before a string says nothing here.
                if word.starts_with('_') && text.get(at) == Some(&b'\'') {
                    continue;
                }
                Token::Word(word)
            }
            other => Token::Sign(other),
        };
        if let Some(last) = all.last_mut() {
            last.push(token);
        }
    }
    all.retain(|statement| !statement.is_empty());
    Ok(all)
}

/// Reads tokens one after the other.
pub struct Reader<'a> {
    tokens: &'a [Token],
}

impl<'a> Reader<'a> {
    pub fn new(tokens: &'a [Token]) -> Self {
        Self { tokens }
    }

    pub fn is_word(&self, at: usize, word: &str) -> bool {
        matches!(self.tokens.get(at), Some(Token::Word(found)) if found.eq_ignore_ascii_case(word))
    }

    /// Takes the words when all of them come next.
    pub fn take(&mut self, words: &str) -> bool {
        let words: Vec<&str> = words.split(' ').collect();
        let all = words.iter().enumerate().all(|(at, word)| self.is_word(at, word));
        if all {
            self.tokens = &self.tokens[words.len()..];
        }
        all
    }

    pub fn expect(&mut self, words: &str) -> Result<(), Failed> {
        if self.take(words) {
            Ok(())
        } else {
            Err(Failed::syntax(&format!("no {words} before {:?}", self.tokens)))
        }
    }

    pub fn sign(&mut self, sign: u8) -> bool {
        let found = self.tokens.first() == Some(&Token::Sign(sign));
        if found {
            self.tokens = &self.tokens[1..];
        }
        found
    }

    pub fn need(&mut self, sign: u8) -> Result<(), Failed> {
        if self.sign(sign) {
            Ok(())
        } else {
            Err(Failed::syntax(&format!("no {} before {:?}", sign as char, self.tokens)))
        }
    }

    pub fn name(&mut self) -> Result<String, Failed> {
        match self.tokens.split_first() {
            Some((Token::Word(name), rest)) => {
                self.tokens = rest;
                Ok(name.clone())
            }
            _ => Err(Failed::syntax(&format!("no name before {:?}", self.tokens))),
        }
    }

    /// `schema.table`.
    pub fn table(&mut self) -> Result<String, Failed> {
        let schema = self.name()?;
        self.need(b'.')?;
        Ok(format!("{schema}.{}", self.name()?))
    }

    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    pub fn literal(&mut self) -> Result<Value, Failed> {
        let minus = self.sign(b'-');
        let value = match self.tokens.first() {
            Some(Token::Number(n)) => Value::Number(if minus { -n } else { *n }),
            Some(Token::Text(text)) => Value::Text(text.clone()),
            _ => return Err(Failed::syntax(&format!("no literal before {:?}", self.tokens))),
        };
        self.tokens = &self.tokens[1..];
        Ok(value)
    }

    /// `a, b, c`.
    pub fn names(&mut self) -> Result<Vec<String>, Failed> {
        let mut names = vec![self.name()?];
        while self.sign(b',') {
            names.push(self.name()?);
        }
        Ok(names)
    }

    /// `WHERE a = 1 AND b >= 2`, or nothing.
    pub fn condition(&mut self) -> Result<Condition, Failed> {
        let mut terms = Vec::new();
        if self.take("WHERE") {
            loop {
                let column = self.name()?;
                let compare = match (self.sign(b'<'), self.sign(b'>'), self.sign(b'=')) {
                    (false, false, true) => Compare::Equal,
                    (false, true, true) => Compare::AtLeast,
                    (true, true, false) => Compare::Unequal,
                    _ => return Err(Failed::syntax("a comparison")),
                };
                terms.push((column, compare, self.literal()?));
                if !self.take("AND") {
                    break;
                }
            }
        }
        Ok(Condition(terms))
    }

    /// A literal, `` `c` + 1 `` or `` IF(`c` = 1, 'a', 'b') ``.
    pub fn expression(&mut self) -> Result<Expression, Failed> {
        if self.take("IF") {
            self.need(b'(')?;
            let column = self.name()?;
            self.need(b'=')?;
            let value = self.literal()?;
            self.need(b',')?;
            let yes = self.literal()?;
            self.need(b',')?;
            let no = self.literal()?;
            self.need(b')')?;
            return Ok(Expression::If(column, value, yes, no));
        }
        if matches!(self.tokens.first(), Some(Token::Word(_))) {
            let column = self.name()?;
            self.need(b'+')?;
            return Ok(Expression::Plus(column, self.literal()?));
        }
        Ok(Expression::Literal(self.literal()?))
    }
}

pub enum Compare {
    Equal,
    Unequal,
    AtLeast,
}

/// Terms that all have to hold.
pub struct Condition(Vec<(String, Compare, Value)>);

impl Condition {
    pub fn holds(&self, row: &Row) -> bool {
        self.0.iter().all(|(column, compare, value)| {
            let found = row.get(column).unwrap_or(&Value::Null);
            match compare {
                Compare::Equal => found == value,
                Compare::Unequal => found != value,
                Compare::AtLeast => found >= value,
            }
        })
    }

    /// The literal that a column must equal.
    pub fn of(&self, column: &str) -> Option<&Value> {
        self.0.iter().find(|(name, _, _)| name == column).map(|(_, _, value)| value)
    }
}

pub enum Expression {
    Literal(Value),
    Plus(String, Value),
    If(String, Value, Value, Value),
}

impl Expression {
    pub fn value(&self, row: &Row) -> Value {
        match self {
            Self::Literal(value) => value.clone(),
            Self::Plus(column, by) => match (row.get(column), by) {
                (Some(Value::Number(a)), Value::Number(b)) => Value::Number(a + b),
                _ => Value::Null,
            },
            Self::If(column, value, yes, no) => {
                if row.get(column) == Some(value) {
                    yes.clone()
                } else {
                    no.clone()
                }
            }
        }
    }
}
