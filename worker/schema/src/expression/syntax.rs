//! From the text of an expression to its tree.
use crate::lex::{Cursor, Token, TokenKind, tokenize};
use crate::sql_mode::SqlMode;

use super::error::ExpressionError;
use super::function;
use super::tree::{Is, Kind, Logic, Op, Tree};

/// Words that mean something to the servers when they are not quoted, so that they are no columns here.
const NO_COLUMNS: &str = "AND OR XOR NOT IN BETWEEN IS LIKE REGEXP RLIKE DIV MOD CASE WHEN THEN ELSE BINARY INTERVAL \
     EXISTS COLLATE MATCH ESCAPE CURRENT_DATE CURRENT_TIME CURRENT_TIMESTAMP CURRENT_USER \
     CURRENT_ROLE LOCALTIME LOCALTIMESTAMP UTC_DATE UTC_TIME UTC_TIMESTAMP ROW DEFAULT VALUES SELECT \
     ANY ALL SOME UNKNOWN CAST CONVERT IF";
/// Parentheses and NOTs inside each other; more is no filter.
const DEEPEST: usize = 64;
/// Comparisons and joints of them.
const MOST_OPERATORS: usize = 1000;

/// Reads a whole text.
pub(super) fn parse(text: &str) -> Result<Tree, ExpressionError> {
    let tokens = tokenize(text, SqlMode::default())
        .map_err(|e| ExpressionError { at: e.offset, what: e.what.to_owned() })?;
    let mut parser = Parser { c: Cursor::new(&tokens), tokens: &tokens, depth: 0, operators: 0 };
    let tree = parser.or()?;
    match parser.c.peek() {
        None => Ok(tree),
        Some(token) => Err(parser.unexpected(token)),
    }
}

pub(super) struct Parser<'t, 'a> {
    pub(super) c: Cursor<'t, 'a>,
    tokens: &'t [Token<'a>],
    depth: usize,
    operators: usize,
}

pub(super) type Parsed = Result<Tree, ExpressionError>;

impl Parser<'_, '_> {
    fn unexpected(&self, token: &Token<'_>) -> ExpressionError {
        ExpressionError { at: token.start, what: format!("`{}` is not supported here", token.text) }
    }

    fn missing(&self, what: &str) -> ExpressionError {
        ExpressionError { at: self.c.offset(), what: format!("{what} is missing") }
    }

    /// A tree from `start` to the last token taken.
    pub(super) fn tree(&self, kind: Kind, start: usize) -> Tree {
        let last = self.c.index().checked_sub(1).and_then(|i| self.tokens.get(i));
        Tree { kind, start, end: last.map_or(start, |t| t.end) }
    }

    fn two(&mut self, first: char, second: char) -> bool {
        let near = match (self.c.peek(), self.c.peek_at(1)) {
            (Some(a), Some(b)) => a.is_punct(first) && b.is_punct(second) && a.end == b.start,
            _ => false,
        };
        if near {
            self.c.go_to(self.c.index() + 2);
        }
        near
    }

    pub(super) fn or(&mut self) -> Parsed {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(ExpressionError {
                at: self.c.offset(),
                what: format!("more than {DEEPEST} levels of parentheses and NOT are not supported"),
            });
        }
        let mut left = self.xor()?;
        while self.c.eat_word("OR") || self.two('|', '|') {
            let right = self.xor()?;
            left = self.logic(Logic::Or, left, right)?;
        }
        self.depth -= 1;
        Ok(left)
    }

    fn logic(&mut self, logic: Logic, left: Tree, right: Tree) -> Parsed {
        self.count()?;
        let start = left.start;
        Ok(self.tree(Kind::Logic(logic, Box::new(left), Box::new(right)), start))
    }

    pub(super) fn count(&mut self) -> Result<(), ExpressionError> {
        self.operators += 1;
        if self.operators <= MOST_OPERATORS {
            return Ok(());
        }
        let what = format!("more than {MOST_OPERATORS} operators are not supported; use IN");
        Err(ExpressionError { at: self.c.offset(), what })
    }

    fn xor(&mut self) -> Parsed {
        let mut left = self.and()?;
        while self.c.eat_word("XOR") {
            let right = self.and()?;
            left = self.logic(Logic::Xor, left, right)?;
        }
        Ok(left)
    }

    fn and(&mut self) -> Parsed {
        let mut left = self.not()?;
        while self.c.eat_word("AND") || self.two('&', '&') {
            let right = self.not()?;
            left = self.logic(Logic::And, left, right)?;
        }
        Ok(left)
    }

    /// `NOT` holds weaker than a comparison, `!` stronger.
    fn not(&mut self) -> Parsed {
        let start = self.c.offset();
        let mut nots = 0;
        while self.c.eat_word("NOT") {
            nots += 1;
        }
        if nots > DEEPEST {
            return Err(ExpressionError { at: start, what: "too many NOTs".to_owned() });
        }
        let mut tree = self.comparison()?;
        for _ in 0..nots {
            tree = self.tree(Kind::Not(Box::new(tree)), start);
        }
        Ok(tree)
    }

    fn comparison(&mut self) -> Parsed {
        let mut left = self.predicate()?;
        loop {
            let start = left.start;
            if let Some(op) = self.op() {
                let right = self.predicate()?;
                self.count()?;
                left = self.tree(Kind::Compare(op, Box::new(left), Box::new(right)), start);
            } else if self.c.eat_word("IS") {
                self.count()?;
                let not = self.c.eat_word("NOT");
                let what = match () {
                    () if self.c.eat_word("NULL") || self.c.eat_word("UNKNOWN") => Is::Null,
                    () if self.c.eat_word("TRUE") => Is::True,
                    () if self.c.eat_word("FALSE") => Is::False,
                    () => return Err(self.missing("NULL, TRUE or FALSE")),
                };
                left = self.tree(Kind::Is { what, not, of: Box::new(left) }, start);
                if what != Is::Null {
                    return Ok(left);
                }
            } else {
                return Ok(left);
            }
        }
    }

    fn op(&mut self) -> Option<Op> {
        let third = |c: &Cursor<'_, '_>| matches!((c.peek_at(1), c.peek_at(2)), (Some(b), Some(t)) if t.is_punct('>') && t.start == b.end);
        if self.c.is_punct('<') && third(&self.c) && self.two('<', '=') {
            self.c.take();
            return Some(Op::NullSafe);
        }
        Some(match () {
            () if self.two('<', '=') => Op::LessEqual,
            () if self.two('<', '>') || self.two('!', '=') => Op::NotEqual,
            () if self.two('>', '=') => Op::GreaterEqual,
            // Shifts are not comparisons.
            () if self.c.is_punct('<') && !self.next_is('<') && self.c.eat_punct('<') => Op::Less,
            () if self.c.is_punct('>') && !self.next_is('>') && self.c.eat_punct('>') => Op::Greater,
            () if self.c.eat_punct('=') => Op::Equal,
            () => return None,
        })
    }

    fn next_is(&self, c: char) -> bool {
        self.c.peek_at(1).is_some_and(|t| t.is_punct(c))
    }

    fn predicate(&mut self) -> Parsed {
        let of = self.sum()?;
        let start = of.start;
        let not = self.c.is_word("NOT")
            && self
                .c
                .peek_at(1)
                .is_some_and(|t| t.is_word("IN") || t.is_word("BETWEEN") || t.is_word("LIKE"))
            && self.c.eat_word("NOT");
        let of = Box::new(of);
        if self.c.eat_word("IN") {
            if !self.c.eat_punct('(') {
                return Err(self.missing("`(`"));
            }
            let mut list = vec![self.operand()?];
            while self.c.eat_punct(',') {
                list.push(self.operand()?);
            }
            self.close()?;
            return Ok(self.tree(Kind::In { not, of, list }, start));
        }
        if self.c.eat_word("LIKE") {
            self.count()?;
            let pattern = self.pattern()?;
            let escape = if self.c.eat_word("ESCAPE") { self.escape()? } else { '\\' };
            return Ok(self.tree(Kind::Like { not, of, pattern, escape }, start));
        }
        if self.c.eat_word("BETWEEN") {
            let low = Box::new(self.sum()?);
            if !self.c.eat_word("AND") {
                return Err(self.missing("AND"));
            }
            let high = Box::new(self.sum()?);
            return Ok(self.tree(Kind::Between { not, of, low, high }, start));
        }
        Ok(*of)
    }

    /// A literal string.
    fn pattern(&mut self) -> Result<String, ExpressionError> {
        match self.operand()? {
            Tree { kind: Kind::Text(text), .. } => Ok(text),
            other => Err(ExpressionError {
                at: other.start,
                what: "a pattern is a literal string here".to_owned(),
            }),
        }
    }

    /// One character that is no wildcard itself. (With none the servers do not agree.)
    fn escape(&mut self) -> Result<char, ExpressionError> {
        let at = self.c.offset();
        let text = self.pattern()?;
        let mut chars = text.chars();
        match (chars.next(), chars.next()) {
            (Some(c), None) if c.is_ascii() && !matches!(c, '%' | '_') => Ok(c),
            _ => Err(ExpressionError {
                at,
                what: "ESCAPE takes one ASCII character, neither % nor _".to_owned(),
            }),
        }
    }

    pub(super) fn close(&mut self) -> Result<(), ExpressionError> {
        match self.c.peek() {
            _ if self.c.eat_punct(')') => Ok(()),
            Some(token) => Err(self.unexpected(token)),
            None => Err(self.missing("`)`")),
        }
    }

    pub(super) fn operand(&mut self) -> Parsed {
        let Some(token) = self.c.take() else { return Err(self.missing("a column or literal")) };
        let start = token.start;
        let kind = match token.kind {
            TokenKind::Punct('(') => {
                let inner = self.or()?;
                self.close()?;
                inner.kind
            }
            TokenKind::Punct('!') => {
                self.depth += 1;
                if self.depth > DEEPEST {
                    return Err(self.unexpected(token));
                }
                let of = self.operand()?;
                self.depth -= 1;
                Kind::Not(Box::new(of))
            }
            TokenKind::Punct('-') => match self.c.peek() {
                Some(number) if number.kind == TokenKind::Number => {
                    let number = format!("-{}", number.text);
                    self.c.take();
                    Kind::Number(number)
                }
                Some(_) if self.depth < DEEPEST => {
                    self.depth += 1;
                    let of = self.operand()?;
                    self.depth -= 1;
                    Kind::Minus(Box::new(of))
                }
                _ => return Err(self.unexpected(token)),
            },
            TokenKind::Number => Kind::Number(token.text.to_owned()),
            TokenKind::Str { .. } if token.text.starts_with(['\'', '"']) => {
                Kind::Text(token.string_value().unwrap_or_default().into_owned())
            }
            TokenKind::Word if token.is_word("NULL") => Kind::Null,
            TokenKind::Word if token.is_word("TRUE") => Kind::Bool(true),
            TokenKind::Word if token.is_word("FALSE") => Kind::Bool(false),
            TokenKind::Word if self.c.is_punct('(') => self.call(token)?,
            TokenKind::Word if function::changes(token.text) => return Err(Self::changing(token)),
            TokenKind::Word if NO_COLUMNS.split(' ').any(|w| token.is_word(w)) => {
                return Err(self.unexpected(token));
            }
            TokenKind::Word | TokenKind::QuotedIdent => {
                Kind::Column(token.identifier().unwrap_or_default().into_owned())
            }
            _ => return Err(self.unexpected(token)),
        };
        Ok(self.tree(kind, start))
    }
}
