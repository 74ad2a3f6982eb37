//! Arithmetic and calls of functions.
use crate::lex::Token;

use super::error::ExpressionError;
use super::function::{self, Function};
use super::syntax::{Parsed, Parser};
use super::tree::{Arithmetic, Kind, Tree};

impl Parser<'_, '_> {
    pub(super) fn sum(&mut self) -> Parsed {
        let mut left = self.product()?;
        loop {
            let what = match () {
                () if self.c.eat_punct('+') => Arithmetic::Add,
                () if self.c.eat_punct('-') => Arithmetic::Subtract,
                () => return Ok(left),
            };
            let right = self.product()?;
            left = self.arithmetic(what, left, right)?;
        }
    }

    fn product(&mut self) -> Parsed {
        let mut left = self.operand()?;
        loop {
            let what = match self.c.peek() {
                _ if self.c.eat_punct('*') => Arithmetic::Multiply,
                _ if self.c.eat_punct('%') || self.c.eat_word("MOD") => Arithmetic::Remainder,
                _ if self.c.eat_word("DIV") => Arithmetic::Divide,
                Some(token) if token.is_punct('/') => {
                    let what = "`/` is not supported, for the servers round its result: use DIV, or multiply \
                                the other side";
                    return Err(ExpressionError { at: token.start, what: what.to_owned() });
                }
                _ => return Ok(left),
            };
            let right = self.operand()?;
            left = self.arithmetic(what, left, right)?;
        }
    }

    fn arithmetic(&mut self, what: Arithmetic, left: Tree, right: Tree) -> Parsed {
        self.count()?;
        let start = left.start;
        Ok(self.tree(Kind::Arithmetic(what, Box::new(left), Box::new(right)), start))
    }

    pub(super) fn changing(name: &Token<'_>) -> ExpressionError {
        let what = format!(
            "`{}` gives another value at another time or in another session: whether a row is skipped would not depend on \
             the row alone",
            name.text
        );
        ExpressionError { at: name.start, what }
    }

    /// A function's arguments; its name has been taken.
    pub(super) fn call(&mut self, name: &Token<'_>) -> Result<Kind, ExpressionError> {
        if function::changes(name.text) {
            return Err(Self::changing(name));
        }
        let Some((function, least, most)) = Function::of(name.text) else {
            let what = format!("the function `{}` is not supported", name.text);
            return Err(ExpressionError { at: name.start, what });
        };
        self.count()?;
        self.c.eat_punct('(');
        let mut list = vec![self.or()?];
        while self.c.eat_punct(',') {
            list.push(self.or()?);
        }
        self.close()?;
        if (least..=most).contains(&list.len()) {
            return Ok(Kind::Call(function, list));
        }
        let what = format!("`{}` with {} arguments is not supported", name.text, list.len());
        Err(ExpressionError { at: name.start, what })
    }
}
