//! The statements of a `.rules` file.

use std::ops::Range;

use super::fault::Fault;
use super::token::{Piece, Spanned, Token};
use crate::limits;

pub(super) struct Stmt {
    pub kind: StmtKind,
    pub span: Range<usize>,
}

pub(super) enum StmtKind {
    Expr(Expr),
    Assign(Target, Expr),
    /// `name += value`
    Extend(String, Expr),
    For(Target, Expr, Vec<Stmt>),
    If(Expr, Vec<Stmt>, Vec<Stmt>),
    Pass,
}

/// What a value is bound to.
pub(super) enum Target {
    Name(String),
    Each(Vec<Target>),
}

pub(super) struct Expr {
    pub kind: ExprKind,
    pub span: Range<usize>,
}

pub(super) enum ExprKind {
    None,
    Bool(bool),
    Int(i64),
    Text(String),
    Format(Vec<Piece>),
    Name(String),
    List(Vec<Expr>),
    Tuple(Vec<Expr>),
    /// `[item for target in over if test]`
    Each(Box<Expr>, Vec<Clause>),
    /// `a + b + c`
    Sum(Vec<Expr>),
    Not(Box<Expr>),
    All(Vec<Expr>),
    Any(Vec<Expr>),
    Compare(Box<Expr>, &'static str, Box<Expr>),
    /// `then if test else otherwise`: test, then, otherwise.
    Choose(Box<[Expr; 3]>),
    Call(String, Vec<Argument>),
    Index(Box<Expr>, Box<Expr>),
}

pub(super) enum Clause {
    For(Target, Expr),
    If(Expr),
}

pub(super) struct Argument {
    pub name: Option<String>,
    pub value: Expr,
}

/// Words that are no names.
const KEYWORDS: &[&str] = &[
    "and", "break", "continue", "def", "elif", "else", "for", "if", "in", "lambda", "load", "not",
    "or", "pass", "return", "while", "import", "class",
];

/// The statements that `tokens` make up.
pub(super) fn parse(tokens: &[Spanned]) -> Result<Vec<Stmt>, Fault> {
    let mut parser = Parser { tokens, depth: 0 };
    let mut found = Vec::new();
    loop {
        parser.blank_lines();
        if matches!(parser.peek(), Token::End) {
            return Ok(found);
        }
        parser.statement(&mut found)?;
    }
}

struct Parser<'t> {
    tokens: &'t [Spanned],
    depth: usize,
}

impl<'t> Parser<'t> {
    fn peek(&self) -> &'t Token {
        self.tokens.first().map_or(&Token::End, |(token, _)| token)
    }

    fn here(&self) -> Range<usize> {
        self.tokens.first().map_or(0..0, |(_, span)| span.clone())
    }

    fn next(&mut self) -> Range<usize> {
        let span = self.here();
        // The last token is the end, and it stays.
        if let [_, rest @ ..] = self.tokens
            && !rest.is_empty()
        {
            self.tokens = rest;
        }
        span
    }

    fn unexpected<T>(&self) -> Result<T, Fault> {
        let message = match self.peek() {
            Token::End => "Parse error: unexpected end of file".to_owned(),
            token => format!("Parse error: unexpected {} here", token.shown()),
        };
        Err(Fault::new(message, self.here()))
    }

    fn is(&self, sign: &str) -> bool {
        matches!(self.peek(), Token::Sign(found) if *found == sign)
    }

    fn is_word(&self, word: &str) -> bool {
        matches!(self.peek(), Token::Name(name) if name == word)
    }

    fn take(&mut self, sign: &str) -> bool {
        let found = self.is(sign);
        if found {
            self.next();
        }
        found
    }

    fn take_word(&mut self, word: &str) -> bool {
        let found = self.is_word(word);
        if found {
            self.next();
        }
        found
    }

    fn need(&mut self, sign: &str) -> Result<Range<usize>, Fault> {
        if self.is(sign) { Ok(self.next()) } else { self.unexpected() }
    }

    fn blank_lines(&mut self) {
        while matches!(self.peek(), Token::Newline) {
            self.next();
        }
    }

    /// Runs `read` one level deeper.
    fn deeper<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T, Fault>) -> Result<T, Fault> {
        if self.depth >= limits::RULES_DEPTH_MAX {
            return Err(Fault::new("Parse error: nested too deeply", self.here()));
        }
        self.depth += 1;
        let found = read(self);
        self.depth -= 1;
        found
    }

    /// One statement, or several on one line.
    fn statement(&mut self, found: &mut Vec<Stmt>) -> Result<(), Fault> {
        let start = self.here();
        let kind = match self.peek() {
            Token::Name(word) if word == "for" => Some(self.deeper(Self::for_loop)?),
            Token::Name(word) if word == "if" => Some(self.deeper(Self::condition)?),
            _ => None,
        };
        if let Some(kind) = kind {
            found.push(Stmt { kind, span: start });
            return Ok(());
        }
        loop {
            found.push(self.simple()?);
            let more = self.take(";");
            if matches!(self.peek(), Token::Newline) {
                self.next();
                return Ok(());
            }
            if !more {
                return self.unexpected();
            }
        }
    }

    fn simple(&mut self) -> Result<Stmt, Fault> {
        let start = self.here();
        if self.take_word("pass") {
            return Ok(Stmt { kind: StmtKind::Pass, span: start });
        }
        let first = self.tuple(true)?;
        let span = first.span.clone();
        let kind = if self.is("=") {
            self.next();
            StmtKind::Assign(target(first)?, self.tuple(true)?)
        } else if self.is("+=") {
            self.next();
            match first.kind {
                ExprKind::Name(name) => StmtKind::Extend(name, self.tuple(true)?),
                _ => return Err(Fault::new("Parse error: cannot assign to this", span)),
            }
        } else {
            StmtKind::Expr(first)
        };
        Ok(Stmt { kind, span })
    }

    fn for_loop(&mut self) -> Result<StmtKind, Fault> {
        self.next();
        let (target, over) = self.for_head(true)?;
        Ok(StmtKind::For(target, over, self.block()?))
    }

    /// `target in over`
    fn for_head(&mut self, open: bool) -> Result<(Target, Expr), Fault> {
        let start = self.here();
        let mut targets = vec![target(self.primary()?)?];
        let mut several = false;
        while self.take(",") {
            several = true;
            targets.push(target(self.primary()?)?);
        }
        let to = match targets.pop() {
            Some(only) if !several => only,
            Some(last) => {
                targets.push(last);
                Target::Each(targets)
            }
            None => return Err(Fault::new("Parse error: nothing to assign to", start)),
        };
        if !self.take_word("in") {
            return self.unexpected();
        }
        // The `if` of a comprehension is a clause of its own.
        let over = if open { self.tuple(true)? } else { self.any()? };
        Ok((to, over))
    }

    fn condition(&mut self) -> Result<StmtKind, Fault> {
        self.next();
        let test = self.expr()?;
        let then = self.block()?;
        self.blank_lines();
        let otherwise = if self.is_word("elif") {
            let span = self.here();
            vec![Stmt { kind: self.deeper(Self::condition)?, span }]
        } else if self.take_word("else") {
            self.block()?
        } else {
            Vec::new()
        };
        Ok(StmtKind::If(test, then, otherwise))
    }

    fn block(&mut self) -> Result<Vec<Stmt>, Fault> {
        self.need(":")?;
        let mut found = Vec::new();
        if !matches!(self.peek(), Token::Newline) {
            self.statement(&mut found)?;
            return Ok(found);
        }
        self.blank_lines();
        if !matches!(self.peek(), Token::Indent) {
            return self.unexpected();
        }
        self.next();
        loop {
            self.blank_lines();
            match self.peek() {
                Token::Dedent => {
                    self.next();
                    return Ok(found);
                }
                Token::End => return self.unexpected(),
                _ => self.statement(&mut found)?,
            }
        }
    }

    /// An expression, or several with commas between them where `open`.
    fn tuple(&mut self, open: bool) -> Result<Expr, Fault> {
        let first = self.expr()?;
        if !open || !self.is(",") {
            return Ok(first);
        }
        let start = first.span.start;
        let mut items = vec![first];
        let mut end = start;
        while self.is(",") {
            end = self.next().end;
            if matches!(self.peek(), Token::Newline | Token::End | Token::Sign("=" | ")" | ":")) {
                break;
            }
            let item = self.expr()?;
            end = item.span.end;
            items.push(item);
        }
        Ok(Expr { kind: ExprKind::Tuple(items), span: start..end })
    }

    fn expr(&mut self) -> Result<Expr, Fault> {
        self.deeper(|parser| {
            let then = parser.any()?;
            if !parser.take_word("if") {
                return Ok(then);
            }
            let test = parser.any()?;
            if !parser.take_word("else") {
                return parser.unexpected();
            }
            let otherwise = parser.expr()?;
            let span = then.span.start..otherwise.span.end;
            Ok(Expr { kind: ExprKind::Choose(Box::new([test, then, otherwise])), span })
        })
    }

    fn any(&mut self) -> Result<Expr, Fault> {
        self.chain(Self::all, |p| p.take_word("or"), ExprKind::Any)
    }

    fn all(&mut self) -> Result<Expr, Fault> {
        self.chain(Self::negation, |p| p.take_word("and"), ExprKind::All)
    }

    /// Operands of one operator. They are kept side by side, so that a long chain is not deep.
    fn chain(
        &mut self,
        operand: fn(&mut Self) -> Result<Expr, Fault>,
        operator: fn(&mut Self) -> bool,
        kind: fn(Vec<Expr>) -> ExprKind,
    ) -> Result<Expr, Fault> {
        let first = operand(self)?;
        let start = first.span.start;
        let mut end = first.span.end;
        let mut operands = vec![first];
        while operator(self) {
            let next = operand(self)?;
            end = next.span.end;
            operands.push(next);
        }
        match operands.pop() {
            Some(only) if operands.is_empty() => Ok(only),
            last => {
                operands.extend(last);
                Ok(Expr { kind: kind(operands), span: start..end })
            }
        }
    }

    fn negation(&mut self) -> Result<Expr, Fault> {
        if !self.is_word("not") {
            return self.comparison();
        }
        let start = self.next().start;
        let operand = self.deeper(Self::negation)?;
        let span = start..operand.span.end;
        Ok(Expr { kind: ExprKind::Not(Box::new(operand)), span })
    }

    fn comparison(&mut self) -> Result<Expr, Fault> {
        let left = self.sum()?;
        let operator = if self.take("==") {
            "=="
        } else if self.take("!=") {
            "!="
        } else if self.take_word("in") {
            "in"
        } else if self.take_word("not") {
            if !self.take_word("in") {
                return self.unexpected();
            }
            "not in"
        } else {
            return Ok(left);
        };
        let right = self.sum()?;
        let span = left.span.start..right.span.end;
        Ok(Expr { kind: ExprKind::Compare(Box::new(left), operator, Box::new(right)), span })
    }

    fn sum(&mut self) -> Result<Expr, Fault> {
        self.chain(Self::primary, |p| p.take("+"), ExprKind::Sum)
    }

    fn primary(&mut self) -> Result<Expr, Fault> {
        let mut found = self.atom()?;
        let mut indexes = 0;
        while self.is("[") {
            indexes += 1;
            if indexes > limits::RULES_INDEXES_MAX {
                return Err(Fault::new("Parse error: nested too deeply", self.here()));
            }
            self.next();
            let index = self.expr()?;
            let span = found.span.start..self.need("]")?.end;
            found = Expr { kind: ExprKind::Index(Box::new(found), Box::new(index)), span };
        }
        Ok(found)
    }

    fn atom(&mut self) -> Result<Expr, Fault> {
        let span = self.here();
        let kind = match self.peek() {
            Token::Int(number) => ExprKind::Int(*number),
            Token::Text(text) => return self.text(text),
            Token::Format(pieces) => ExprKind::Format(pieces.clone()),
            Token::Name(word) => match word.as_str() {
                "None" => ExprKind::None,
                "True" => ExprKind::Bool(true),
                "False" => ExprKind::Bool(false),
                word if KEYWORDS.contains(&word) => return self.unexpected(),
                name => return self.named(name),
            },
            Token::Sign("-") => {
                self.next();
                let Token::Int(number) = self.peek() else {
                    return self.unexpected();
                };
                let span = span.start..self.next().end;
                return Ok(Expr { kind: ExprKind::Int(-*number), span });
            }
            Token::Sign("(") => return self.parenthesis(),
            Token::Sign("[") => return self.list(),
            _ => return self.unexpected(),
        };
        self.next();
        Ok(Expr { kind, span })
    }

    /// Strings side by side are one only in Python.
    fn text(&mut self, text: &str) -> Result<Expr, Fault> {
        let span = self.next();
        Ok(Expr { kind: ExprKind::Text(text.to_owned()), span })
    }

    fn named(&mut self, name: &str) -> Result<Expr, Fault> {
        let span = self.next();
        if !self.is("(") {
            return Ok(Expr { kind: ExprKind::Name(name.to_owned()), span });
        }
        self.next();
        let mut arguments = Vec::new();
        while !self.is(")") {
            arguments.push(self.argument()?);
            if !self.take(",") {
                break;
            }
        }
        let end = self.need(")")?.end;
        Ok(Expr { kind: ExprKind::Call(name.to_owned(), arguments), span: span.start..end })
    }

    fn argument(&mut self) -> Result<Argument, Fault> {
        let value = self.expr()?;
        if !self.is("=") {
            return Ok(Argument { name: None, value });
        }
        match value.kind {
            ExprKind::Name(name) => {
                self.next();
                Ok(Argument { name: Some(name), value: self.expr()? })
            }
            _ => self.unexpected(),
        }
    }

    fn parenthesis(&mut self) -> Result<Expr, Fault> {
        let start = self.next().start;
        if self.is(")") {
            let span = start..self.next().end;
            return Ok(Expr { kind: ExprKind::Tuple(Vec::new()), span });
        }
        let mut inner = self.tuple(true)?;
        inner.span = start..self.need(")")?.end;
        Ok(inner)
    }

    fn list(&mut self) -> Result<Expr, Fault> {
        let start = self.next().start;
        let mut items = Vec::new();
        while !self.is("]") {
            items.push(self.expr()?);
            if self.is_word("for") && items.len() == 1 {
                let clauses = self.clauses()?;
                let span = start..self.need("]")?.end;
                return match items.pop() {
                    Some(item) => Ok(Expr { kind: ExprKind::Each(Box::new(item), clauses), span }),
                    None => self.unexpected(),
                };
            }
            if !self.take(",") {
                break;
            }
        }
        let span = start..self.need("]")?.end;
        Ok(Expr { kind: ExprKind::List(items), span })
    }

    fn clauses(&mut self) -> Result<Vec<Clause>, Fault> {
        let mut found = Vec::new();
        loop {
            if found.len() >= limits::RULES_DEPTH_MAX {
                return Err(Fault::new("Parse error: nested too deeply", self.here()));
            }
            if self.take_word("for") {
                let (target, over) = self.for_head(false)?;
                found.push(Clause::For(target, over));
            } else if self.take_word("if") {
                found.push(Clause::If(self.any()?));
            } else {
                return Ok(found);
            }
        }
    }
}

fn target(expr: Expr) -> Result<Target, Fault> {
    match expr.kind {
        ExprKind::Name(name) => Ok(Target::Name(name)),
        ExprKind::Tuple(items) | ExprKind::List(items) => {
            Ok(Target::Each(items.into_iter().map(target).collect::<Result<_, _>>()?))
        }
        _ => Err(Fault::new("Parse error: cannot assign to this", expr.span)),
    }
}

#[cfg(test)]
mod tests {
    use super::{Stmt, parse};
    use crate::rules::fault::Fault;
    use crate::rules::token::tokens;

    fn of(text: &str) -> Result<Vec<Stmt>, Fault> {
        parse(&tokens(text)?)
    }

    #[test]
    fn statements_are_read_in_all_their_forms() {
        for (text, count) in [
            ("", 0),
            ("\n# nothing\n", 0),
            ("x = 1; y = 2;\nz = (1, 2,)\n", 3),
            ("a, b = 'x', 'y'\n[a, b] = c", 2),
            ("for x in ['a']:\n  f(x)\n  x += y\nz = 1", 2),
            ("if a: pass\nelif b:\n  pass\nelse:\n  pass\n", 1),
            ("x = [a + b for a in c for b in d if a not in b and not b == a]", 1),
            ("f(a, b = c if d else e,\n)\n", 1),
            ("x = y[0][-1]", 1),
        ] {
            let found = of(text).map(|found| found.len());
            assert_eq!(found, Ok(count), "{text:?}");
        }
    }

    #[test]
    fn faults_lie_where_the_reference_puts_them() {
        for (text, message, span) in [
            ("x =\n", "unexpected new line here", 3..4),
            ("prefix_rule(\n", "unexpected end of file", 13..13),
            ("x = = 1", "unexpected symbol '=' here", 4..5),
            ("def f(): pass", "unexpected symbol 'def' here", 0..3),
            ("  x", "unexpected new indentation block here", 2..2),
            ("'a' 'b'", "unexpected string literal \"b\" here", 4..7),
        ] {
            let fault = of(text).err().expect("does not parse");
            assert_eq!(fault.message, format!("Parse error: {message}"), "{text:?}");
            assert_eq!(fault.span, span, "{text:?}");
        }
    }

    #[test]
    fn nothing_is_too_deep_or_too_long() {
        for deep in ["[", "(", "f(", "not ", "x[", "if x: "] {
            assert!(of(&deep.repeat(100_000)).is_err(), "{deep}");
        }
        let chain = format!("x = {}1", "1 + ".repeat(10_000));
        assert!(of(&chain).is_ok());
        assert!(of(&format!("x{}", "[0]".repeat(10_000))).is_err());
        let left = format!("{}x{}", "(".repeat(60), "[0][0][0][0])".repeat(60));
        assert!(of(&left).is_ok());
    }
}
